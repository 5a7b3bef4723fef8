"""Which column plays which part: the time, the names of series, the channels, and what is set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from forecheck.data.frequency import infer_frequency
from forecheck.data.reading.counters import FEWEST, as_numbers, breaks, counts, counts_by_name, numbers_rows
from forecheck.data.reading.dates import UnreadableTimeError
from forecheck.data.reading.header import is_date
from forecheck.data.reading.numbered import DoubtfulNumberError, NoSuchWeekError, calendar, says_unix
from forecheck.data.reading.parts import (
    clock,
    joined_clock,
    joined_parts,
    may_be_feature,
    parts_of,
    short_year,
    tells_no_more,
)
from forecheck.data.reading.shape import check_header, check_stacked
from forecheck.data.source import Source, listed
from forecheck.errors import DataError

_TIMES = ("date", "ds", "timestamp", "time", "datetime")
_UNNAMED = ("", "unnamed: 0", "__index_level_0__")  # what writing a pandas index leaves behind
_COUNTERS = (*_UNNAMED, "index", "id", "no", "no.", "nr", "row", "rownum", "#", "t", "step", "year")
# The name of the series column, as Nixtla's libraries and AutoGluon have it -> time and target.
LONG = {"unique_id": ("ds", "y"), "item_id": ("timestamp", "target")}
_SAMPLE = 20
_FEWEST_MINUTES, _FEWEST_DAYS = 10, 5  # distinct numbers that are Unix time, or dates in digits, hardly by chance


@dataclass(frozen=True)
class Roles:
    """Parts of the columns.

    Attributes:
        time: the time column, None if rows are consecutive steps.
        series: the column with the series' names.
        channels: the columns of values.
        notes: what was decided without being asked, to be reported.
    """

    time: str | None
    series: str | None
    channels: tuple[str, ...]
    notes: tuple[str, ...] = ()


def column_of(table: pa.Table, name: str) -> pa.Array:
    """One column as one array."""
    column = table.column(name).combine_chunks()
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def find_roles(
    table: pa.Table,
    source: Source,
    *,
    time: str | None,
    series: str | None,
    target: str | Sequence[str] | None,
    drop: Sequence[str],
) -> tuple[pa.Table, Roles]:
    """The table, with a column of times joined from several if there are such, and its roles.

    Args:
        table: as it was read.
        source: named in messages.
        time: the time column; None to find it.
        series: the column of the series' names; None to find it, or for a wide table.
        target: the channels; None for all numeric columns that are left.
        drop: columns to leave out; of a long table also names of series, which are not looked up here.

    Raises:
        DataError: if a column is not there, or a doubt remains that an option has to settle.
    """
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    names = set(table.column_names)
    for column in (time, series, *targets):
        if column is not None and column not in names:
            raise source.unknown(column, table.column_names)
    dropped = set(drop)
    left = [column for column in table.column_names if column not in dropped]
    lower = {column.lower(): column for column in left}
    key = next((known for known in LONG if known in lower), None)
    series = series or (lower[key] if key else None)
    unknown = [column for column in drop if column not in names]
    if unknown and series is None:
        raise source.unknown(unknown[0], table.column_names)
    usual_time, usual_target = LONG[series.lower()] if series and series.lower() in LONG else ("", "")
    if not targets:
        check_header(left, source)
    free = [column for column in left if column != series and column not in set(targets)]
    found = _Finder(table, source, series, free)
    if time is None and usual_time and usual_time in lower and lower[usual_time] not in targets:
        time = lower[usual_time]
    if time is None:
        time = found.time()
    table, notes = found.table, found.notes
    rest = [column for column in left if column not in (time, series) and column not in found.used]
    if not targets:
        known = [lower[column] for column in (usual_target, "y", "target") if column in lower and lower[column] in rest]
        if series and known:
            targets = tuple(known[:1])
        else:
            if time is None and series is None:
                check_stacked(table, rest, source)
            targets, aside = found.channels(rest, time)
            notes = (*notes, *aside)
    _check_targets(targets, rest, {time, series, *dropped}, left, source)
    return table, Roles(time, series, targets, notes)


def usual_part(table: pa.Table, name: str, roles: Roles, source: Source, *, chosen: bool) -> str:
    """The part that a column set aside would play if no other column does: `time`, `series`, `target` or none.

    Args:
        table: as it was read.
        name: of the column.
        roles: of all others.
        source: named in messages.
        chosen: whether the user named the targets.
    """
    lower = name.lower().strip()
    if roles.time is None and (lower in _TIMES or _Finder(table, source, None, ()).holds_dates(name)):
        return "time"
    if roles.series is None and lower in LONG:
        return "series"
    if roles.series is not None and not chosen and lower in ("y", "target"):
        return "target"
    return ""


def _check_targets(
    targets: Sequence[str], rest: Sequence[str], others: set[str | None], left: Sequence[str], source: Source
) -> None:
    twice = len(set(targets)) < len(targets)
    for column in targets:
        if column in others or (twice and targets.count(column) > 1):
            raise DataError(
                f'{source.name}: column "{column}" cannot be a target, since it is also the time, the series, dropped '
                "or named twice",
                f"Choose among {', '.join(rest)}.",
            )
    if not targets:
        raise DataError(
            f"{source.name} has no columns of values beside {', '.join(left) or 'those dropped'}",
            "Give it at least one numeric column"
            + (f", or name one that only counts with {source.option('target', rest[-1])}." if rest else "."),
        )


def _dates(cells: Sequence[str]) -> bool:
    """Whether all texts are dates, each for itself."""
    return bool(cells) and all(map(is_date, cells))


class _Finder:
    """The columns that were not named by the user, looked at by name and content.

    Args:
        names: the columns that may be the time.
    """

    def __init__(self, table: pa.Table, source: Source, series: str | None, names: Sequence[str]) -> None:
        self.table, self.source, self.names = table, source, list(names)
        self.used: set[str] = set()
        self.notes: tuple[str, ...] = ()
        self._order, self._offsets = np.arange(table.num_rows), np.array([0, table.num_rows])
        if series is not None:
            column = column_of(table, series)
            if pa.types.is_nested(column.type):
                raise DataError(
                    f'column "{series}" of {source.name} holds a {column.type} in every row, so it names no series',
                    f"Name a column of texts or whole numbers: {source.option('series', 'NAME')}.",
                )
            codes = np.from_dlpack(column.dictionary_encode().indices.fill_null(0))
            self._order = np.argsort(codes, kind="stable")
            self._offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])

    def time(self) -> str | None:
        """The time column, by name, else by content; several that belong together are joined.

        Raises:
            DataError: if more than one may be the time.
        """
        named = [name for name in self.names if name.lower().strip() in _TIMES]
        dated = [name for name in self.names if self.holds_dates(name)]
        clocks = [name for name in self.names if name not in dated and self._is_clock(name, dated)]
        both = [*named, *(name for name in dated if name not in named)]
        if len(dated) == 1 and len(clocks) == 1 and set(both) <= {*dated, *clocks}:
            joined = self._join_clock(dated[0], clocks[0])
            if joined is not None:
                return joined
        if len(dated) == 1 and len(named) == 2 and clocks and set(both) == {*dated, *clocks}:
            return dated[0]
        if len(both) > 1:
            raise DataError(
                f'{self.source.name} has several columns that may be the time: "{both[0]}" and "{both[1]}"',
                f"Name it with {self.source.option('time', both[0])}, and drop the others that hold no numbers.",
            )
        if both:
            if not named and both[0] != self.names[0]:
                self.notes = (*self.notes, f'time column "{both[0]}" found by its dates')
            return both[0]
        return self._joined() or self._calendar() or self._counter()

    def channels(self, rest: Sequence[str], time: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns that are channels unless others are named, and notes on those that are set aside."""
        aside, notes = set(), []
        if time is None:
            self._check_breaks(rest)
        counters = [name for name in rest if self._counts(name) or (time is not None and self._is_index(name))]
        for name in counters:
            aside.add(name)
        if counters and len(counters) < len(rest):
            notes.append(f"set aside: {listed(counters)}, which {'counts' if len(counters) == 1 else 'count'} the rows")
        elif counters:
            return (), ()
        parts = parts_of(self.table, [name for name in rest if name not in aside])
        clocks = [name for name in rest if time is not None and name not in aside and self._is_clock(name, [time])]
        others = [name for name in rest if time is not None and name not in aside and may_be_feature(self.table, name)]
        if time is not None and (parts or clocks or others):
            stamps = self._stamps(time)
            repeats = [] if stamps is None else tells_no_more(self.table, stamps, parts, clocks, others)
            if repeats and len(repeats) < len(rest) - len(aside):
                aside |= set(repeats)
                verb = "repeats" if len(repeats) == 1 else "repeat"
                notes.append(f"set aside: {listed(repeats)}, which {verb} what the time says")
        return tuple(name for name in rest if name not in aside), tuple(notes)

    def _check_breaks(self, names: Sequence[str]) -> None:
        """Refuse what would be the time if rows were not missing, doubled or moved."""
        for name in names:
            numbers = as_numbers(self.table.column(name).combine_chunks())
            row = None if numbers is None else breaks(numbers[self._order], self._offsets)
            if row is not None and numbers is not None and len(names) > 1:
                before, after = (self._order[row + ahead] for ahead in (-1, 0))
                raise DataError(
                    f'{self.source.name} has no dates, and column "{name}" counts its rows but for '
                    f"{self.source.at(int(after))}, where {numbers[after]} follows {numbers[before]}: rows seem to be "
                    "missing, doubled or out of order",
                    f"Mend the rows. If they are consecutive as they are, leave it out with {self.source.drop(name)}; "
                    f"if it holds values, name all channels with {self.source.option('target', 'COLUMN')}.",
                )

    def _stamps(self, time: str) -> np.ndarray | None:
        from forecheck.data.reading.dates import parse_times

        try:
            stamps = parse_times(column_of(self.table, time), time)
        except UnreadableTimeError:
            return None
        return stamps if stamps.dtype.kind == "M" else None

    def holds_dates(self, name: str) -> bool:
        """Whether the cells of a column are dates."""
        kind = self.table.schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return True
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return False
        cells = [text.strip() for text in column_of(self.table, name).slice(0, 200).to_pylist() if text]
        return _dates(list(dict.fromkeys(cell for cell in cells if cell))[:_SAMPLE])

    def _is_clock(self, name: str, dated: Sequence[str]) -> bool:
        return bool(dated) and clock(column_of(self.table, name), name) is not None

    def _join_clock(self, date: str, time: str) -> str | None:
        spans = clock(column_of(self.table, time), time)
        stamps = None if spans is None else joined_clock(column_of(self.table, date), spans)
        return None if stamps is None else self._add([date, time], stamps)

    def _joined(self) -> str | None:
        if short := short_year(self.table, self.names):
            raise DataError(
                f'{self.source.name} seems to have its time in column "{short}" and others, but its years have less '
                "than four digits",
                f"Write 1990, not 90. If the rows are consecutive, leave it out with {self.source.drop(short)}.",
            )
        found = joined_parts(self.table, parts_of(self.table, self.names))
        return None if found is None else self._add(*found)

    def _add(self, columns: list[str], stamps: np.ndarray) -> str:
        name = "+".join(columns)
        self.table = self.table.append_column(name, pa.array(stamps, pa.timestamp("us")))
        self.used |= set(columns)
        self.notes = (*self.notes, f"time joined from columns {listed(columns)}")
        return name

    def _calendar(self) -> str | None:
        """The one column of numbers that are a calendar."""
        found = [name for name in self.names if self._is_calendar(name)]
        if len(found) > 1:
            raise DataError(
                f'{self.source.name} has several columns that may be the time: "{found[0]}" and "{found[1]}"',
                f"Name it with {self.source.option('time', found[0])}.",
            )
        if not found:
            return None
        self.notes = (*self.notes, f'time column "{found[0]}" found by its numbers')
        return found[0]

    def _is_calendar(self, name: str) -> bool:
        """Whether numbers are a calendar, and regular, too many to be so by chance, or called so."""
        numbers = as_numbers(column_of(self.table, name))
        try:
            found = None if numbers is None else calendar(numbers, name)
        except DoubtfulNumberError:
            return True
        except NoSuchWeekError:
            return len(self.table) >= FEWEST
        if found is None:
            return False
        stamps, kind = found
        parts = np.split(stamps[self._order], self._offsets[1:-1])
        rises = all((np.diff(part).astype(np.int64) > 0).all() for part in parts)
        distinct = len(np.unique(stamps))
        if kind.startswith("Unix"):  # whole minutes apart, unless the name tells it
            return rises or says_unix(name) or distinct >= _FEWEST_MINUTES
        if (len(stamps) >= FEWEST and "two digits" not in kind) or (distinct >= _FEWEST_DAYS and kind.endswith("day")):
            return True
        return rises and infer_frequency(max(parts, key=len)) is not None

    def _counter(self) -> str | None:
        """The column that numbers the rows: a nameless first one, one of years, else the only one that counts."""
        first = self.names[0] if self.names else None
        whole = first is not None and pa.types.is_integer(self.table.schema.field(first).type)
        if first is not None and whole and first.lower().strip() in _UNNAMED:
            return first
        years = [name for name in self.names if name.lower().strip() in ("year", "yr", "jahr", "années", "año")]
        if len(years) == 1 and parts_of(self.table, years):
            return years[0]
        counters = [name for name in self.names if self._counts(name, whole=True)]
        usual = [name for name in counters if name.lower().strip() in _COUNTERS]
        if (len(counters) != 1 and len(usual) != 1) or len(counters) == len(self.names):
            if len(counters) > 1 and len(counters) < len(self.names):
                raise DataError(
                    f"{self.source.name} has no dates, and several columns that count its rows: {listed(counters)}",
                    f"Name the one that is the time with {self.source.option('time', counters[0])}, and drop the "
                    f"others; a column of values is named with {self.source.option('target', 'COLUMN')}.",
                )
            return None
        chosen = usual[0] if len(usual) == 1 else counters[0]
        self.notes = (*self.notes, f'time column "{chosen}" found, since it counts the rows')
        return chosen

    def _is_index(self, name: str) -> bool:
        """Whether a column is what writing a pandas frame leaves behind of labels, also of rows that were taken out."""
        return name.lower().strip() in _UNNAMED and pa.types.is_integer(self.table.schema.field(name).type)

    def _counts(self, name: str, *, whole: bool = False) -> bool:
        numbers = as_numbers(self.table.column(name).combine_chunks())
        if numbers is None or (whole and numbers.dtype.kind != "i"):
            return False
        if len(numbers) < FEWEST:
            return name.lower().strip() in _COUNTERS and len(self._offsets) == 2 and counts_by_name(numbers)
        ordered = numbers[self._order]
        return counts(ordered, self._offsets) or numbers_rows(ordered, self._offsets)
