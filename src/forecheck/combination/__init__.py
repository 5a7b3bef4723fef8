"""Forecast combination: classical members and pooled linear maps for panels, weighted by rolling origins."""
