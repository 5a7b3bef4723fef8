"""Series of unequal length in one array, right aligned, and the naive error that is their unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from forecheck.data.causal import causal
from forecheck.data.panel import Panel

_MOST = 30_000_000
"""Numbers that a batch may hold: 240 MB."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """Series that end together.

    Attributes:
        values: in their own units; NaN before a series begins, nowhere else.
        truth: which values were observed; those that were filled on reading are none.
    """

    values: Float[np.ndarray, "series time"]
    truth: Bool[np.ndarray, "series time"]

    @property
    def first(self) -> Int[np.ndarray, " series"]:
        """Place of every series' first value; the width of the batch where it has none."""
        there = ~np.isnan(self.values)
        return np.where(there.any(axis=1), there.argmax(axis=1), self.values.shape[1])

    @property
    def lengths(self) -> Int[np.ndarray, " series"]:
        """Values of every series."""
        return self.values.shape[1] - self.first

    def before(self, end: int) -> Ragged:
        """The batch without its last `end` steps."""
        return self if end == 0 else Ragged(self.values[:, :-end], self.truth[:, :-end])

    def last(self, steps: int) -> Ragged:
        """The last `steps` steps."""
        return Ragged(self.values[:, -steps:], self.truth[:, -steps:])

    def only(self, which: Bool[np.ndarray, " series"] | Int[np.ndarray, " _"] | slice) -> Ragged:
        """Some of the series."""
        return Ragged(self.values[which], self.truth[which])


def ragged(series: Sequence[Float[np.ndarray, " _"]]) -> Ragged:
    """A batch of series that were observed throughout."""
    most = max(len(each) for each in series)
    values = np.full((len(series), most), np.nan)
    for row, each in zip(values, series, strict=True):
        row[most - len(each) :] = each
    return Ragged(values, ~np.isnan(values))


def width_of(panel: Panel, most: int = _MOST) -> int:
    """Rows of the longest series that a batch holds: all, or fewer where numbers would not fit into memory.

    Args:
        panel: the data.
        most: numbers to hold.
    """
    return min(int(panel.lengths.max()), max(1, most // (len(panel.series) * len(panel.channels))))


def from_panel(panel: Panel, most: int = _MOST) -> Ragged:
    """Every channel of every series as a series of its own, channels within series.

    Args:
        panel: the data; filled values are seen as what was known before (`forecheck.data.causal`).
        most: numbers to hold; older rows go where there are more.
    """
    count, width = len(panel.series) * len(panel.channels), width_of(panel, most)
    known = causal(panel)
    seen = np.ones(known.shape, dtype=bool) if panel.filled is None else ~panel.filled
    # Row numbers of the right-aligned grid; places before a series begins point at row 0 and are blanked.
    rows = panel.offsets[1:, None] - width + np.arange(width)
    there = rows >= panel.offsets[:-1, None]
    rows = np.where(there, rows, 0)
    values = np.where(there[..., None], known[rows], np.nan).transpose(0, 2, 1).reshape(count, width)
    truth = (there[..., None] & seen[rows]).transpose(0, 2, 1).reshape(count, width)
    return Ragged(values, truth & ~np.isnan(values))


def naive_error(batch: Ragged, lag: int) -> Float[np.ndarray, " series"]:
    r"""Mean absolute change over a season, the scale of MASE.

    .. math:: q_s = \frac{1}{n} \sum_t |y_{s,t} - y_{s,t-m}|

    Args:
        batch: series in their own units.
        lag: m, steps; series that are not longer than it, or repeat themselves exactly, have that of lag 1. Pairs count
            of which both were observed; where there is none, those that were filled count too.

    Returns:
        In the units of the series; 0 where it does not change at all.

    Source: Hyndman & Koehler, *Another look at measures of forecast accuracy*, IJF 2006.
    """
    scale = _mean_change(batch, lag, batch.truth)
    for truth in (batch.truth, ~np.isnan(batch.values)):
        scale = np.where(scale > 0, scale, _mean_change(batch, 1, truth))
    return scale


def _mean_change(batch: Ragged, lag: int, counted: Bool[np.ndarray, "series time"]) -> Float[np.ndarray, " series"]:
    if lag >= batch.values.shape[1]:
        return np.zeros(len(batch.values))
    known = counted[:, lag:] & counted[:, :-lag]
    change = np.where(known, np.abs(batch.values[:, lag:] - batch.values[:, :-lag]), 0.0)
    return change.sum(axis=1) / np.maximum(1, known.sum(axis=1))


def in_units(batch: Ragged, unit: Float[np.ndarray, " series"]) -> Ragged:
    """The batch divided by one number a series."""
    return replace(batch, values=batch.values / unit[:, None])
