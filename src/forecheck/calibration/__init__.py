"""Calibration: the audit is put to data on which the right answer is known."""
