"""Series of every kind that the combination is asked to forecast."""

import numpy as np

from forecheck.combination.ragged import ragged


def monthly(count=8, length=90, seed=0, level=100.0):
    """Positive series with a trend, a yearly season and noise, of unequal length."""
    rng = np.random.default_rng(seed)
    t = np.arange(length)
    series = []
    for _ in range(count):
        season = 1 + 0.3 * np.sin(2 * np.pi * t / 12 + rng.uniform(0, 6))
        y = level * (1 + rng.uniform(-0.002, 0.01) * t) * season * np.exp(0.05 * rng.standard_normal(length))
        series.append(y[rng.integers(0, length // 3) :])
    return series


def walks(count=6, length=60, seed=0):
    """Random walks with drift around zero, of unequal length."""
    rng = np.random.default_rng(seed)
    return [np.cumsum(0.3 + rng.standard_normal(length - int(rng.integers(0, length // 3)))) - 20 for _ in range(count)]


def batch(series):
    return ragged([np.asarray(each, dtype=float) for each in series])
