"""Ground floor: panels, their edges to files and frames, splits, scaling and windows."""
