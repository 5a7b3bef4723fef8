"""Training: one short loop and its recipe."""
