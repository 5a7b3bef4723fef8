"""Models that forecast series from their end, of other libraries or our own, beside our forecasters of windows."""
