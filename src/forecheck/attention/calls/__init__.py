"""Attention reached by the torch functions that a forward pass calls."""
