"""Choosing: a lookback from the length of the data, and the simplest model that is not beaten, on validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from forecheck.data.panel import Panel
from forecheck.data.splits import parse_split
from forecheck.errors import DataError
from forecheck.forecasters import registry

_LONGEST = 336


def default_lookback(panel: Panel, horizon: int, split: str | None = None) -> int:
    """The field's 336 steps, or less if the training part is short.

    At most half of what the longest training part leaves beside the horizon, so that there are at least as many
    training windows as weights a step.

    Raises:
        DataError: if not even one window fits.
    """
    borders = parse_split(split or panel.split, panel)
    room = int(borders.train_end.max()) - horizon
    if room < 2:
        raise DataError(
            f"{panel.name} is too short for horizon {horizon}: "
            f"its training part has {int(borders.train_end.max())} rows",
            "Choose a shorter horizon, or give more data.",
        )
    return max(1, min(_LONGEST, room // 2))


def usable(names: Sequence[str], period: int, lookback: int) -> list[str]:
    """Those of `names` that can be run: repeating a season needs one, inside the lookback."""
    return [name for name in names if name != "seasonal" or 1 < period <= lookback]


def simplest_unbeaten(losses: Mapping[str, float], margin: float) -> str:
    """The model of lowest rank whose validation loss lies within the margin of the best one.

    Args:
        losses: validation loss by model name.
        margin: relative; a model is beaten if the best is better than it by more than this share of its own loss.
    """
    best = min(losses.values())
    unbeaten = [name for name, loss in losses.items() if loss - best <= margin * loss]
    return min(unbeaten, key=lambda name: registry.find(name).rank)
