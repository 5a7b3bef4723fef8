"""Forecasters: one protocol, one file a family or model."""
