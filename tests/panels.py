"""Small panels and models that many tests share."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel

HOUR = 3_600_000_000
TINY = {
    "patch": 8,
    "stride": 8,
    "width": 8,
    "heads": 2,
    "hidden": 16,
    "layers": 2,
    "epochs": 2,
    "batch": 64,
    "lr": 0.003,
    "schedule": "constant",
}


def hourly(rows=600, channels=2, seed=0, noise=0.3):
    """A daily and a slower wave with noise, hourly, in units far from standard."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None]
    phase = np.arange(channels)
    values = (
        np.sin(2 * np.pi * t / 24 + phase)
        + 0.5 * np.sin(2 * np.pi * t / 90)
        + noise * rng.standard_normal((rows, channels))
    )
    time = np.datetime64("2024-01-01", "us") + HOUR * np.arange(rows).astype("timedelta64[us]")
    names = tuple(f"c{i}" for i in range(channels))
    return Panel(50 + 10 * values, np.array([0, rows]), time, ("0",), names, Frequency("us", HOUR), "waves")


def as_csv(panel):
    """A panel of one series as the text of a file."""
    rows = [f"{time},{','.join(map(str, row))}" for time, row in zip(panel.time, panel.values, strict=True)]
    return "\n".join([f"time,{','.join(panel.channels)}", *rows]) + "\n"


def ragged(lengths=(200, 160, 240), seed=0):
    """Three daily series of one channel and different lengths, from the same day on."""
    return staggered(lengths, [0] * len(lengths), seed)


def staggered(lengths, starts, seed=0):
    """Daily series of one channel that start on different days."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([np.sin(np.arange(n) / 3)[:, None] + 0.2 * rng.standard_normal((n, 1)) for n in lengths])
    day = np.timedelta64(1, "D").astype("timedelta64[us]")
    first = np.datetime64("2024-01-01", "us")
    time = np.concatenate([first + day * np.arange(s, s + n) for n, s in zip(lengths, starts, strict=True)])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    names = tuple(f"store_{i}" for i in range(len(lengths)))
    return Panel(values, offsets, time, names, ("y",), Frequency("us", 24 * HOUR), "stores")


def gappy(panel, share=0.1, fill="last", seed=0):
    """A panel of which values are missing at random and filled; the first row of every series is whole."""
    rng = np.random.default_rng(seed)
    holes = rng.random(panel.values.shape) < share
    holes[panel.offsets[:-1]] = False
    values = np.where(holes, np.nan, panel.values)
    for start, end in pairwise(panel.offsets):
        for channel in range(values.shape[1]):
            seen = np.flatnonzero(~holes[start:end, channel])
            part = values[start:end, channel]
            part[:] = np.interp(np.arange(end - start), seen, part[seen])
    return replace(panel, values=values, filled=holes, fill=fill)


KINDS = {
    "one series": (hourly(), 1),
    "ragged": (ragged(), 1),
    "steps": (hourly(), 3),
    "staggered": (staggered((300, 150, 50), (0, 100, 250)), 1),
    "staggered steps": (staggered((300, 150), (0, 101)), 5),
    "filled": (gappy(hourly(), 0.3), 1),
    "filled staggered steps": (gappy(staggered((300, 150), (0, 101)), 0.8), 2),
}
"""Panels of every kind, each with the rows between two origins."""
