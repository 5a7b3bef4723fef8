"""Attention kernels: how queries and keys say what the values are mixed to."""
