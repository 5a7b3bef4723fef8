"""Expanding folds: fit on the past, be tested on what follows, inside the training windows and then on validation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from forecheck.data.windows import Windows

_ROUNDING = 1e-6  # of a step: calendars of series on other grids are fractions


@dataclass(frozen=True, eq=False)
class Fold:
    """Windows to fit on and windows to be tested on, which come after them.

    Attributes:
        fit: windows whose targets end before the first of `held` begins, in all series.
        held: windows held out.
        times: of every held window, counted from 0 over the distinct ones of the fold: what series have in common.
    """

    fit: Windows
    held: Windows
    times: Int[np.ndarray, " window"]


def expanding_folds(train: Windows, validation: Windows, cuts: Sequence[float], most: int, period: int) -> list[Fold]:
    """Folds in the order of time; the last one fits on all training windows and is held against validation.

    One validation part holds few independent windows (a few times n / H), and may be of another kind than what
    follows; the second half of the training part has as much to say.

    Args:
        train: training windows.
        validation: validation windows.
        cuts: shares of the training windows' distinct times at which a fold starts, rising.
        most: about how many windows of a series to hold out a fold; the others overlap with them anyway.
        period: the windows that are kept go through all phases of it.
    """
    times = train.times
    stamps = np.unique(times)
    edges = [*(stamps[int(len(stamps) * cut)] for cut in cuts), np.inf]
    spans = [(times >= start) & (times < end) for start, end in itertools.pairwise(edges)]
    longest = max(*(len(np.unique(times[span])) for span in spans), len(np.unique(validation.times)))
    stride = _stride(longest, most, period)
    folds = []
    for edge, span in zip(edges[:-1], spans, strict=True):
        fit = train.origins[times + train.horizon <= edge + _ROUNDING]
        # Fewer windows than steps to forecast do not hold two targets apart: nothing to learn from.
        if len(fit) >= train.horizon and span.any():
            folds.append(_fold(replace(train, origins=fit), replace(train, origins=train.origins[span]), stride))
    return [*folds, _fold(train, validation, stride)]


def _fold(fit: Windows, windows: Windows, stride: int) -> Fold:
    held = windows.strided(stride)
    return Fold(fit, held, order_of(held))


def order_of(windows: Windows) -> Int[np.ndarray, " window"]:
    """Place of every window's time among the distinct ones."""
    place: Int[np.ndarray, " window"] = np.unique(windows.times, return_inverse=True)[1]
    return place


def _stride(longest: int, most: int, period: int) -> int:
    stride = max(1, -(-longest // most))
    while stride > 1 and math.gcd(stride, period) > 1:
        stride += 1
    return stride
