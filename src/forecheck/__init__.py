"""forecheck: tests for your forecaster."""
