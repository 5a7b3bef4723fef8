"""Columns beside the channels of a table: known ones with the steps after the end, past ones, and those of series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from forecheck.data.calendars import calendar_column, check_calendar
from forecheck.data.covariates import Covariates
from forecheck.data.fill import fill_missing
from forecheck.data.frequency import Frequency
from forecheck.data.grid import Timeline
from forecheck.data.reading.columns import is_text, numbers
from forecheck.data.reading.future import Cells, read_future
from forecheck.data.reading.notation import MISSING
from forecheck.data.reading.roles import Roles, column_of, usual_part
from forecheck.data.reading.values import check_finite, check_range
from forecheck.data.source import Source, count, listed, stamp
from forecheck.errors import DataError, UsageError

MOST_LEVELS = 20
"""Categories of a column: with more, few rows tell of each."""


@dataclass(frozen=True)
class Asked:
    """Columns that are no channels, as the user names them.

    Attributes:
        known: whose values are there for the steps after the end.
        static: which say of every series what it is.
        calendar: features of the stamps, see `forecheck.data.calendars.check_calendar`.
        future: a table of the steps after the end; without one they are rows with empty targets.
        past: whose values are there up to the end alone.
    """

    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    future: tuple[pa.Table, Source] | None = None
    past: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the table."""
        return (*self.known, *self.past, *self.static)

    def called(self, own: Callable[[str], str]) -> Asked:
        """The same columns as the table calls them.

        Args:
            own: the table's name of a column.
        """
        if not self.columns:  # NOTHING stays what it is
            return self
        known, past, static = (tuple(map(own, names)) for names in (self.known, self.past, self.static))
        return replace(self, known=known, past=past, static=static)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that may hold numbers."""
        return (*self.known, *self.past)

    def check(self, table: pa.Table, source: Source, others: Sequence[str | None]) -> None:
        """Refuse what cannot be asked of a table.

        Args:
            table: the data.
            source: where they came from.
            others: columns that play another part: the time, the series, targets, dropped ones.

        Raises:
            DataError: if a column is not there, or named twice.
            UsageError: if a calendar feature does not exist, or a table of the future has nothing to tell.
        """
        check_calendar(self.calendar)
        names = set(table.column_names)
        for name in self.columns:
            if name not in names:
                raise source.unknown(name, table.column_names)
            if self.columns.count(name) > 1 or name in others:
                raise DataError(
                    f'{source.name}: column "{name}" is named twice: among known, past and static columns, the '
                    "time, the series, the targets and those dropped, it can be one",
                    f"Name it once: a column is known if its values after the end are, and else past "
                    f"({source.option('past', name)}).",
                )
        if self.future is not None and not self.known:
            raise UsageError(
                f"{self.future[1].name} tells of the future, but no column is said to be known",
                f"Name its columns with {source.option('known', 'COLUMN')}.",
            )

    def check_parts(self, table: pa.Table, roles: Roles, source: Source, *, chosen: bool) -> None:
        """Refuse a column that is the time, the series or the target by itself, where no other one is.

        Args:
            table: the data.
            roles: of all other columns.
            source: where the data came from.
            chosen: whether the user named the targets.

        Raises:
            DataError: if one is.
        """
        for name in self.columns:
            part = usual_part(table, name, roles, source, chosen=chosen)
            if part:
                raise DataError(
                    f'{source.name}: column "{name}" is the {part}, so it can be no known, past or static column',
                    f"Do not name it among these: it is found by itself. Else say with "
                    f"{source.option(part, 'COLUMN')} which column is the {part}.",
                )


_EMPTY = MISSING - {"none", "-", "?"}
"""Of categories, `none` may well be one."""
NOTHING = Asked()
"""A table of channels alone."""


def set_apart(
    asked: Asked,
    table: pa.Table,
    timeline: Timeline,
    values: Float[np.ndarray, "time channel"],
    roles: Roles,
    frequency: Frequency,
    fill: str | None,
    source: Source,
) -> tuple[Timeline, Float[np.ndarray, "history channel"], Covariates, tuple[str, ...]]:
    """The timeline and the values without the rows after the end, the covariates, and notes.

    Rows at the end of a series in which no channel has a value are those after its end.

    Args:
        asked: what the user named.
        table: the data.
        timeline: of all rows.
        values: of all rows; NaN where they are missing.
        roles: of the columns.
        frequency: of the timeline.
        fill: how missing values are filled.
        source: where the data came from.

    Raises:
        DataError: if a column has missing or infinite values or is text of too many categories, if a static one
            changes within a series, or if the future is not that of the data.
    """
    ends = _ends(values, timeline)
    starts = timeline.offsets[:-1]
    kept = np.concatenate([np.arange(start, end) for start, end in zip(starts, ends, strict=True)])
    offsets = np.concatenate([[0], np.cumsum(ends - starts)])
    past_timeline = replace(timeline, time=timeline.time[kept], offsets=offsets, rows=timeline.rows[kept])
    ahead = timeline.offsets[1:] - ends
    notes = []
    if ahead.any():
        notes.append(f"{count(int(ahead.sum()), 'row')} without targets taken for the steps after the end")
    cells = {name: _cells(table, name, source) for name in asked.known}
    levels = {name: each.levels for name, each in cells.items() if each.levels}
    text = {name for name in asked.known if name in levels}
    known = _filled(asked.known, cells, timeline, frequency, fill, source, text)
    future = np.full((len(starts), int(ahead.max(initial=0)), len(asked.known)), np.nan)
    for series, (end, steps) in enumerate(zip(ends, ahead, strict=True)):
        future[series, :steps] = known[end : end + steps]
    unseen: dict[str, tuple[str, ...]] = {}
    if asked.future is not None:
        if ahead.any():
            raise DataError(
                f"{source.name} has rows without targets after the end, and {asked.future[1].name} is given too",
                "Give the future once: in the file, or by itself.",
            )
        kinds = {name: replace(cells[name], values=known[kept, place]) for place, name in enumerate(asked.known)}
        future, levels, remarks = read_future(
            *asked.future, asked.known, kinds, levels, past_timeline, roles, frequency
        )
        notes += remarks
    for place, name in enumerate(asked.known):
        if name in levels:
            seen = set(known[kept, place].astype(int).tolist())
            later = future[:, :, place]
            new = sorted(set(later[~np.isnan(later)].astype(int).tolist()) - seen)
            if new:
                unseen[name] = tuple(levels[name][level] for level in new)
    for name in asked.calendar:
        calendar_column(name, timeline.time[:1], frequency)
    static = {name: _static(name, table, past_timeline, source) for name in asked.static}
    made = Covariates(asked.known, known[kept], future, levels, static, check_calendar(asked.calendar), unseen)
    if asked.past:
        lagged, remarks = _lagged(asked.past, table, timeline, past_timeline, frequency, fill, source)
        _check_not_targets(asked.past, lagged, values[kept], roles.channels, source)
        made, notes = replace(made, past=asked.past, lagged=lagged), [*notes, *remarks]
    return past_timeline, values[kept], made, tuple(notes)


def _lagged(
    names: tuple[str, ...],
    table: pa.Table,
    timeline: Timeline,
    past: Timeline,
    frequency: Frequency,
    fill: str | None,
    source: Source,
) -> tuple[Float[np.ndarray, "time past"], list[str]]:
    """Past columns by row of the history, and notes; gaps are filled by what was known before.

    Raises:
        DataError: if one has texts, or missing values that are not to be filled.
    """
    cells = {name: _cells(table, name, source) for name in names}
    for name, each in cells.items():
        if each.levels:
            raise DataError(
                f'{source.name} has texts in column "{name}", such as {listed(each.levels[:2])}: the effects of past '
                "columns are those of numbers",
                "Write a column of 0 and 1 a text, or do not name the column.",
            )
    found = _filled(names, cells, past, frequency, fill, source, set(names))
    after = np.setdiff1d(timeline.rows, past.rows)
    later = [name for name in names if not np.isnan(cells[name].values[after[after >= 0]]).all()]
    if not later:
        return found, []
    return found, [f"what {listed(later)} says of the steps after the end is not used; name it as known if it is"]


def _check_not_targets(
    names: tuple[str, ...],
    lagged: Float[np.ndarray, "time past"],
    values: Float[np.ndarray, "time channel"],
    channels: tuple[str, ...],
    source: Source,
) -> None:
    """Refuse past columns that are a channel, number by number (DataError)."""
    for column, name in enumerate(names):
        for channel, target in enumerate(channels):
            seen = ~np.isnan(values[:, channel])
            if seen.any() and (lagged[seen, column] == values[seen, channel]).all():
                raise DataError(
                    f'{source.name}: the past column "{name}" is the target "{target}" itself, whose past is used '
                    "anyway",
                    "Do not name the column as past.",
                )


def _ends(values: Float[np.ndarray, "time channel"], timeline: Timeline) -> np.ndarray:
    """The row after the last value of every series; after its last row where it has none, which is reported later."""
    seen = ~np.isnan(values).all(axis=1)
    last = np.where(seen, np.arange(1, len(seen) + 1), 0)
    ends = np.maximum.reduceat(last, timeline.offsets[:-1])
    return np.where(ends > 0, ends, timeline.offsets[1:])


def _cells(table: pa.Table, name: str, source: Source) -> Cells:
    """A column as numbers, or as places of its categories.

    Raises:
        DataError: if it is neither.
    """
    column = column_of(table, name)
    if pa.types.is_boolean(column.type):
        return Cells(numbers(column.cast(pa.int8()), name, source))
    try:
        return Cells(numbers(column, name, source))
    except DataError:
        if not is_text(column.type):
            raise
    texts = [None if cell is None or cell.strip().lower() in _EMPTY else cell.strip() for cell in column.to_pylist()]
    levels = tuple(dict.fromkeys(text for text in texts if text is not None))
    if len(levels) > MOST_LEVELS:
        raise DataError(
            f'{source.name} has {len(levels):,} different texts in column "{name}", such as {listed(levels[:2])}: more '
            f"than the {MOST_LEVELS} categories whose effects can be told apart",
            "Group them, or do not name the column.",
        )
    places = {level: float(place) for place, level in enumerate(levels)}
    return Cells(np.array([np.nan if text is None else places[text] for text in texts]), levels)


def _filled(
    names: tuple[str, ...],
    cells: dict[str, Cells],
    timeline: Timeline,
    frequency: Frequency,
    fill: str | None,
    source: Source,
    by_last: set[str],
) -> Float[np.ndarray, "time column"]:
    """Columns by row of the timeline, without gaps."""
    found = np.full((len(timeline.rows), len(names)), np.nan)
    there = timeline.rows >= 0
    for place, name in enumerate(names):
        found[there, place] = cells[name].values[timeline.rows[there]]
    if not names:
        return found
    check_finite(found, timeline, names, source)
    check_range(found, timeline, names, source)
    for place, name in enumerate(names):
        column = found[:, [place]]
        holes = np.isnan(column[:, 0])
        if not holes.any():
            continue
        how = "last" if fill and name in by_last else fill
        first = int(np.argmax(holes))
        time = None if timeline.column is None else timeline.time[first]
        row = int(timeline.rows[first])
        where = source.at(row, time) if row >= 0 else f"the missing row of {stamp(time)}"
        message = (
            f'{source.name} has {count(int(holes.sum()), "missing value")} in column "{name}", which is to explain '
            f"others, the first at {where}{timeline.of(first)}"
        )
        remedy = f"Fill it, there or with {source.fill}, or do not name the column."
        if how is None:
            raise DataError(message, remedy)
        try:
            found[:, [place]] = fill_missing(column, timeline, (name,), frequency, fill=how, source=source)[0]
        except DataError as error:
            remedy = "Fill it in the data, cut the series there, or do not name the column."
            raise DataError(f"{message}; it cannot be filled by {how}", remedy) from error
    return found


def _static(name: str, table: pa.Table, timeline: Timeline, source: Source) -> tuple[str, ...]:
    """The category of every series."""
    column: list[Any] = column_of(table, name).to_pylist()
    found = []
    for start, end, series in zip(timeline.offsets[:-1], timeline.offsets[1:], timeline.series, strict=True):
        rows = [int(row) for row in timeline.rows[start:end] if row >= 0]
        levels = list(dict.fromkeys(str(column[row]).strip() for row in rows))
        if len(levels) > 1:
            raise DataError(
                f'{source.name}: column "{name}" is no fact of the series "{series}": it is {levels[0]} and '
                f"{levels[1]}",
                f"Name it with {source.option('known', name)} if it is known for the steps after the end.",
            )
        if column[rows[0]] is None or levels[0].lower() in _EMPTY:
            raise DataError(
                f'{source.name} has no value in column "{name}" for the series "{series}"',
                "Write it, or do not name the column.",
            )
        found.append(levels[0])
    if len(set(found)) > MOST_LEVELS:
        raise DataError(
            f'{source.name} has {len(set(found)):,} categories in column "{name}", more than the {MOST_LEVELS} whose '
            "effects can be told apart",
            "Group them, or do not name the column.",
        )
    return tuple(found)
