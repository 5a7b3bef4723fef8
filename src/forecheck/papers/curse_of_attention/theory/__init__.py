"""The theory of arXiv 2412.06061 as running code, and the synthetic series that its experiments draw."""
