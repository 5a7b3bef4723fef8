"""Closed forms on panels that need not fit into memory: sums over pieces, and forecasts written piece by piece.

A pass reads the data once, a panel of some series at a time (`forecheck.data.reading.pieces`).
"""
