"""What must be known of all series before a piece can be cut: stamps, lengths, the split and the lookback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from forecheck.data.frequency import Frequency
from forecheck.data.reading.pieces import Pieces
from forecheck.data.source import count, listed
from forecheck.data.splits import is_by_share, share_places
from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasting.selection import fitting_lookback, room_for
from forecheck.forecasting.streaming.spread import Spread
from forecheck.forecasting.streaming.steps import Stamps, TrainingRows
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


def survey(spread: Spread, split: str, progress: Progress | None = None) -> Survey:
    """Read all data once.

    Args:
        spread: the data, and who reads them.
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
    pieces = spread.pieces
    stamps = counts = np.zeros(0, dtype=np.int64)
    series = left = 0
    tables: list[int] = []
    shortest: list[int] = []
    aside: list[str] = []
    usual: dict[str, Any] = {}
    for table in spread.run(Stamps(), progress):
        facts = table.facts
        left += facts["left"]
        aside += facts["aside"][: 10 - len(aside)]
        if not table.arrays:
            continue
        usual = usual or facts
        _check_kind(facts, usual, pieces)
        tables.append(table.number)
        series += facts["series"]
        shortest.append(facts["shortest"])
        stamps, places = np.unique(np.concatenate([stamps, table.arrays["stamps"]]), return_inverse=True)
        counts = np.bincount(places, weights=np.concatenate([counts, table.arrays["counts"]])).astype(np.int64)
    if not usual:
        raise DataError(f"{pieces.source.name}: no series changes and has rows enough to be scaled by")
    if series < 2:
        raise UsageError(
            f"{pieces.source.name} has one series that can be forecast: a stream is of many",
            "One series fits into memory: forecheck forecast.",
        )
    stamped = stamps.astype("datetime64[us]") if usual["dates"] else stamps
    said = f"{left:,} of {left + series:,} series never change or have too few rows, so no forecast: {listed(aside)}"
    return Survey(
        tuple(tables),
        series,
        int(counts.sum()),
        min(shortest),
        stamped[0],
        stamped[-1],
        _stamped(split, stamped, counts),
        Frequency(**usual["frequency"]),
        tuple(usual["channels"]),
        (said.replace(" and 5 more", " and others"),) if left else (),
    )


def _check_kind(facts: dict[str, Any], usual: dict[str, Any], pieces: Pieces) -> None:
    """Refuse series of another step than the first ones."""
    steps = [Frequency(**each["frequency"]) for each in (facts, usual)]
    kinds = [(each.unit, each.count, each.month_end) for each in steps]
    if kinds[0] != kinds[1] or facts["dates"] != usual["dates"]:
        raise DataError(
            f'{pieces.source.name} has a row every {steps[1]} in series "{usual["first"]}" and its neighbours, but a '
            f'row every {steps[0]} in "{facts["first"]}" and its own',
            "Bring all series to one step, or stream those of each step by themselves.",
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


def own_lookback(spread: Spread, found: Survey, model: str, horizon: int, progress: Progress | None = None) -> int:
    """The lookback that suits the model and the data, as `forecheck.forecasting.selection.own_lookbacks` finds it.

    Args:
        spread: the data, read once more, and who reads them.
        found: what all series have together.
        model: name of the forecaster.
        horizon: H.
        progress: called with the share that is done.

    Raises:
        DataError: if not even one window fits.
    """
    longest, shortest = 0, found.rows
    for table in spread.run(TrainingRows(found.split), progress):
        if table.facts:
            longest = max(longest, table.facts["longest"])
            shortest = min(shortest, shortest if table.facts["shortest"] is None else table.facts["shortest"])
    natural = registry.find(model).natural_lookback(horizon)
    room = room_for(spread.pieces.source.name, horizon, longest)
    return min(fitting_lookback(natural, room, shortest), found.shortest)
