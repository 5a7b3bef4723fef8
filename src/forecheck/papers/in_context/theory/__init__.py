"""The theory of arXiv 2510.09776 as running code, and the autoregressive series that it speaks of."""
