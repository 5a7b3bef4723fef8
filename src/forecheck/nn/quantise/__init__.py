"""Vector quantisation of patches."""
