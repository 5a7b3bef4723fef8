"""Metrics of detection, one file a family, and the registry that knows them by name."""
