"""What `auto` chooses from; apart from everything else, so that the program can tell it without loading torch."""

COMBINATION = "combination"
"""Forecasts panels instead of windows: no backtest or audit has it."""
CANDIDATES = ("last", "seasonal", "mean", "nlinear", "rlinear", "linear", "dlinear", "anchored")
"""Of a backtest: forecasters of windows that are fitted in seconds."""
FORECAST_CANDIDATES = (*CANDIDATES, COMBINATION)
"""Of a forecast."""
