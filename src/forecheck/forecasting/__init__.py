"""Forecasting with what works: which model, backtests, fits that are saved, forecasts with intervals."""
