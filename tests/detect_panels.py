"""Series on which it is known what is anomalous."""

import numpy as np

import forecheck as fc

PERIOD = 12


def seasonal(rows=720, seed=0, channels=1, noise=0.3):
    """Seasons of twelve rows with noise, a column a channel."""
    rng = np.random.default_rng(seed)
    wave = 3 * np.sin(2 * np.pi * np.arange(rows) / PERIOD)[:, None]
    return wave * (1 + np.arange(channels)) + noise * rng.normal(size=(rows, channels))


def frame(values, **columns):
    """A frame of monthly rows."""
    import pandas as pd

    values = np.asarray(values).reshape(len(values), -1)
    named = {f"c{place}": column for place, column in enumerate(values.T)}
    return pd.DataFrame({"ds": pd.date_range("1960-01-01", periods=len(values), freq="MS")} | named | columns)


def panel_of(values, fill=None):
    return fc.load(frame(values), fill=fill, name="made")


def detect(data, **given):
    """Quick: nothing is trained, one process."""
    usual = {"model": "nlinear", "attention": "none", "lookback": 24, "workers": 0, "false_alarms": 10}
    return fc.detect(data, **usual | given)
