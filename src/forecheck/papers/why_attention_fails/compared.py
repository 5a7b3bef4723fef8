"""Losses of edited models beside those of the raw ones: changes with their intervals, as the judges need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.papers.claim import Estimate
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds
from forecheck.statistics.inference import MINIMUM_BLOCKS, Comparison, compare

MARGIN = 0.01
"""Relative change of the error that counts as one."""
Losses = Float[np.ndarray, "seed time"]


def picked(rows: Sequence[Row], **settings: Any) -> list[Row]:
    """Rows with these settings, by seed."""
    chosen = [row for row in rows if all(row[key] == value for key, value in settings.items())]
    return sorted(chosen, key=lambda row: row["seed"])


def values(rows: Sequence[Row], name: str) -> list[Any]:
    """The values of a setting, each once, in their order."""
    return list(dict.fromkeys(row[name] for row in rows))


def losses(rows: Sequence[Row]) -> Losses:
    """Of rows that differ in their seed alone."""
    return np.array([row["losses"] for row in rows])


def change(edited: Losses, raw: Losses, overlap: int, reference: float | None = None) -> Comparison:
    """Edited losses against raw ones, paired by seed and window, relative to the raw mean or another reference.

    The interval holds for overlapping windows and has the spread between seeds in it.

    Args:
        edited: losses, paired with `raw`.
        raw: losses of the model as it was trained.
        overlap: how many consecutive windows share targets.
        reference: loss that the change is relative to, positive; the mean of `raw` if not given.

    Raises:
        DataError: if a loss is not finite, there are fewer than three windows, or the reference is not positive.
        UsageError: if the overlap is below 1.
    """
    loss = float(raw.mean()) if reference is None else reference
    return compare([edited - raw], loss, overlap, margin=MARGIN, over_seeds="yes")[0]


def held(c: Comparison, *, above: float | None = None, below: float | None = None) -> bool | None:
    """Whether a change lies above and below bounds, by its whole 95 % interval.

    None too if the test part is too short for an interval.

    Args:
        c: the change.
        above: what it must exceed, relative; None for no bound.
        below: what must exceed it, relative; None for no bound.
    """
    if c.blocks < MINIMUM_BLOCKS:
        return None
    return holds(Estimate(c.effect, *c.interval), above=above, below=below)


def percents(c: Comparison) -> Estimate:
    """A change in percent."""
    return Estimate(100 * c.effect, 100 * c.interval[0], 100 * c.interval[1])


def worded(c: Comparison) -> str:
    """A change with its interval."""
    low, high = c.interval
    return f"{100 * c.effect:+.1f} % [{100 * low:+.1f}, {100 * high:+.1f}]"


def listed(words: Sequence[str]) -> str:
    """Words in a row."""
    return ", ".join(words)
