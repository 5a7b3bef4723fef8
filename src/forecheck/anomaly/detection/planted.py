"""Anomalies planted into real rows, so that detectors can be compared where nobody has labelled any."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from forecheck.data.panel import Panel

KINDS = {"spike": 1, "level shift": 12, "seasonal break": 24, "drift": 24}
"""Rows of an anomaly, by kind."""
_SIZE = 1.5
"""By how many of the largest usual steps values are moved."""
_LARGE = 0.995
_APART = 72
"""Rows of a series that an anomaly has to itself, at least."""
_MOST = 120


@dataclass(frozen=True)
class Plant:
    """An anomaly.

    Attributes:
        series, channel: where.
        first, last: rows of the panel, the last one among them.
        kind: of `KINDS`.
    """

    series: int
    channel: int
    first: int
    last: int
    kind: str


def plant(
    panel: Panel, first: Int[np.ndarray, " series"], seed: int = 0, size: float = _SIZE
) -> tuple[Panel, list[Plant]]:
    """A panel with anomalies of all kinds in turn, at random places that do not touch.

    A spike moves one value by one and a half times the 99.5th percentile of the channel's absolute steps before the
    scored part; a level shift moves twelve values; a drift grows to that over 24; a seasonal break turns the order of
    24 values around.

    Args:
        panel: the data.
        first: row of every series from which on anomalies are planted.
        seed: of places, channels and directions.
        size: in those steps.
    """
    rng = np.random.default_rng(seed)
    values = panel.values.copy()
    room = [
        (series, int(start + lo + place))
        for series, (start, end, lo) in enumerate(zip(panel.offsets[:-1], panel.offsets[1:], first, strict=True))
        for place in range(0, int(end - start - lo) - _APART + 1, _APART)
    ]
    taken = sorted(rng.permutation(len(room))[:_MOST])
    plants = []
    for number, where in enumerate(taken):
        kind = list(KINDS)[number % len(KINDS)]
        series, begin = room[where]
        channel = int(rng.integers(len(panel.channels)))
        start = begin + int(rng.integers(1, _APART - KINDS[kind]))
        before = panel.values[panel.offsets[series] : panel.offsets[series] + first[series], channel]
        rows = slice(start, start + KINDS[kind])
        values[rows, channel] = _changed(values[rows, channel], kind, _step(before) * size * rng.choice([-1.0, 1.0]))
        plants.append(Plant(series, channel, rows.start, rows.stop - 1, kind))
    return replace(panel, values=values), plants


def _changed(values: Float[np.ndarray, " row"], kind: str, move: float) -> Float[np.ndarray, " row"]:
    if kind == "seasonal break":
        return values[::-1].copy()
    if kind == "drift":
        return values + move * np.arange(1, len(values) + 1) / len(values)
    return values + move


def _step(values: Float[np.ndarray, " row"]) -> float:
    """The absolute step that one in two hundred exceeds, or the largest of a series that mostly stays."""
    steps = np.abs(np.diff(values))
    return float(np.quantile(steps, _LARGE) or steps.max()) if len(steps) else 0.0
