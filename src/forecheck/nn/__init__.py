"""Ground floor: the parts that our torch models share."""
