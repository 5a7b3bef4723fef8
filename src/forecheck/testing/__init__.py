"""Contract suites that others can run on what they build for forecheck."""
