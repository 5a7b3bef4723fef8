"""Expanding folds: fit on the past, be tested on what follows, inside the training windows and then on validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from forecheck.data.windows import Windows


@dataclass(frozen=True, eq=False)
class Fold:
    """Windows to fit on and windows to be tested on, which come after them.

    Attributes:
        fit: windows whose targets end before the first of `held` begins, series by series.
        held: windows held out.
        times: place of every held window in its series' part: what series have in common.
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
        cuts: shares of every series' training windows at which a fold starts, rising.
        most: about how many windows of a series to hold out a fold; the others overlap with them anyway.
        period: the windows that are kept go through all phases of it.
    """
    parts = segments(train)
    edges = [[int(len(part) * cut) for cut in (*cuts, 1.0)] for part in parts]
    spans = [(part, edge[k], edge[k + 1]) for k in range(len(cuts)) for part, edge in zip(parts, edges, strict=True)]
    longest = max(*(end - start for _, start, end in spans), *(len(part) for part in segments(validation)))
    stride = _stride(longest, most, period)
    # In windows, not rows: targets of the last window fitted on end where the first one held begins.
    gap = -(-train.horizon // train.step) - 1
    folds = []
    for k in range(len(cuts)):
        fit = np.concatenate([part[: max(edge[k] - gap, 0)] for part, edge in zip(parts, edges, strict=True)])
        held = [part[edge[k] : edge[k + 1]] for part, edge in zip(parts, edges, strict=True)]
        # Fewer windows than steps to forecast do not hold two targets apart: nothing to learn from.
        if len(fit) >= train.horizon and any(len(part) for part in held):
            folds.append(_fold(replace(train, origins=fit), train, held, stride))
    return [*folds, _fold(train, validation, segments(validation), stride)]


def _fold(fit: Windows, windows: Windows, held: Sequence[Int[np.ndarray, " _"]], stride: int) -> Fold:
    kept = [part[::stride] for part in held]
    held_windows = replace(windows, origins=np.concatenate(kept), step=windows.step * stride)
    return Fold(fit, held_windows, np.concatenate([np.arange(len(part)) for part in kept]))


def segments(windows: Windows) -> list[Int[np.ndarray, " _"]]:
    """Origins of every series, or of every stretch of one without a gap."""
    return np.split(windows.origins, np.flatnonzero(np.diff(windows.origins) != windows.step) + 1)


def _stride(longest: int, most: int, period: int) -> int:
    stride = max(1, -(-longest // most))
    while stride > 1 and math.gcd(stride, period) > 1:
        stride += 1
    return stride
