"""What must be known of all series before a piece can be cut: stamps, lengths, the split and the lookback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from forecheck.data.frequency import Frequency
from forecheck.data.reading.pieces import Pieces
from forecheck.data.scaling import scalable_among
from forecheck.data.source import count, listed
from forecheck.data.splits import by_stamps, is_by_share, share_places
from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasting.selection import fitting_lookback, room_for
from forecheck.forecasting.streaming.cut import served
from forecheck.progress import Progress


@dataclass(frozen=True)
class Survey:
    """What all series have together.

    Attributes:
        tables: numbers of those with series that can be forecast.
        series: how many series are forecast.
        rows: how many rows they have.
        shortest: rows of the shortest.
        first, last: stamps.
        split: stamps at which validation and test begin.
        frequency: the step of the first series.
        channels: names.
        notes: what a user should know.
    """

    tables: tuple[int, ...]
    series: int
    rows: int
    shortest: int
    first: Any
    last: Any
    split: str
    frequency: Frequency
    channels: tuple[str, ...]
    notes: tuple[str, ...]


def survey(pieces: Pieces, split: str, progress: Progress | None = None) -> Survey:
    """Read all data once.

    Args:
        pieces: the data.
        split: in percent, or two stamps.
        progress: called with the share that is done.

    Raises:
        DataError: if the data cannot be used as they are.
        UsageError: if the split is written otherwise.
    """
    if not is_by_share(split) and split.count(",") != 1:
        raise UsageError(
            f"a stream cannot be split by {split!r}", "Use percent (70/10/20) or dates (2015-01-01,2016-01-01)."
        )
    stamps: Any = None
    counts = np.zeros(0, dtype=np.int64)
    series = left = 0
    tables: list[int] = []
    shortest: list[int] = []
    aside: list[str] = []
    known = None
    for each in served(pieces, progress):
        left += len(each.aside)
        aside += each.aside[: 10 - len(aside)]
        if each.panel is None:
            continue
        known = known or each.panel
        tables.append(each.number)
        series += len(each.panel.series)
        shortest.append(int(each.panel.lengths.min()))
        found, often = np.unique(each.panel.time, return_counts=True)
        stamps, places = np.unique(found if stamps is None else np.concatenate([stamps, found]), return_inverse=True)
        counts = np.bincount(places, weights=np.concatenate([counts, often])).astype(np.int64)
    if known is None:
        raise DataError(f"{pieces.source.name}: no series changes and has rows enough to be scaled by")
    if series < 2:
        raise UsageError(
            f"{pieces.source.name} has one series that can be forecast: a stream is of many",
            "One series fits into memory: forecheck forecast.",
        )
    said = f"{left:,} of {left + series:,} series never change or have too few rows, so no forecast: {listed(aside)}"
    return Survey(
        tuple(tables),
        series,
        int(counts.sum()),
        min(shortest),
        stamps[0],
        stamps[-1],
        _stamped(split, stamps, counts),
        known.frequency,
        known.channels,
        (said.replace(" and 5 more", " and others"),) if left else (),
    )


def _stamped(split: str, stamps: Any, counts: Any) -> str:
    """A split in percent as stamps."""
    if not is_by_share(split):
        return split
    behind = stamps[-1] + (stamps[-1] - stamps[-2] if len(stamps) > 1 else 1)
    return ",".join(str(stamps[place] if place < len(stamps) else behind) for place in share_places(split, counts))


def described(found: Survey, pieces: Pieces) -> str:
    """What was read, in one line, as `Panel.described` has it."""
    period = found.frequency.period
    return (
        f"read {count(found.rows, 'row')} as {count(len(found.channels), 'channel')} of {found.series:,} series, "
        f'time column "{pieces.time}", every {found.frequency}, '
        + (f"season of {period:,} steps" if period > 1 else "no season known")
    )


def own_lookback(pieces: Pieces, found: Survey, model: str, horizon: int, progress: Progress | None = None) -> int:
    """The lookback that suits the model and the data, as `forecheck.forecasting.selection.own_lookbacks` finds it.

    Args:
        pieces: the data, read once more.
        found: what all series have together.
        model: name of the forecaster.
        horizon: H.
        progress: called with the share that is done.

    Raises:
        DataError: if not even one window fits.
    """
    longest, shortest = 0, found.rows
    for each in served(pieces, progress):
        if each.panel is not None:
            borders = by_stamps(found.split, each.panel)
            serving = scalable_among(each.panel, borders) & (borders.test_end > borders.train_end)
            longest = max(longest, int(borders.train_end.max()))
            shortest = min(shortest, int(borders.train_end[serving].min(initial=shortest)))
    natural = registry.find(model).natural_lookback(horizon)
    room = room_for(pieces.source.name, horizon, longest)
    return min(fitting_lookback(natural, room, shortest), found.shortest)
