"""Detection: scores from forecast errors, thresholds from a calibration part, alarms, and what they are compared to."""
