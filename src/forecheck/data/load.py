"""One verb for everything that can be forecast: a panel, a frame, a file or the name of a set."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from forecheck.data import bundled, catalog, fetch
from forecheck.data.panel import Panel
from forecheck.data.reading.beside import NOTHING, Asked
from forecheck.data.reading.files import parse, read, table_of
from forecheck.data.reading.formats.known import FORMATS
from forecheck.data.reading.frames import from_frame, to_arrow
from forecheck.data.reading.written import Written
from forecheck.data.source import Source
from forecheck.errors import DataError, UsageError

_SUFFIXES = (".csv", ".gz", ".txt", ".tsv", *(suffix for each in FORMATS for suffix in each.suffixes))


def load(
    data: Any,
    *,
    time: str | None = None,
    series: str | None = None,
    target: str | Sequence[str] | None = None,
    fill: str | None = None,
    drop: Sequence[str] = (),
    name: str | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    delimiter: str | None = None,
    skip: int | None = None,
    known: str | Sequence[str] = (),
    static: str | Sequence[str] = (),
    calendar: str | Sequence[str] = (),
    future: Any = None,
    past: str | Sequence[str] = (),
) -> Panel:
    """Panel of a named set, a file, a data frame, or a panel, which is handed on as it is.

    Args:
        data: a path that exists or looks like a file, a name of `datasets()` in any case, a pandas, polars or pyarrow
            frame, or a panel.
        time: the time column; see `forecheck.data.reading.frames.from_frame`, as for the next four.
        series: the column with the series' names, for long data.
        target: the columns to keep as channels.
        fill: linear, last or seasonal; missing values are refused without it.
        drop: columns to leave out.
        name: what messages and reports call the data.
        header: whether the first line of a text file holds names; found by default, as what follows.
        decimal: the decimal mark of numbers written as text, `.` or `,`.
        thousands: what parts thousands in them: `,`, `.`, a space or `'`.
        delimiter: what parts the cells of a text file: a character, or tab or space.
        skip: lines of a text file before the header, or before the data if it has none.
        known: columns that are no channels and whose values are there for the steps after the end, in rows with empty
            targets or in `future`.
        static: columns that say of every series what it is, as a region or a kind.
        calendar: features of the stamps, known for all time; see `forecheck.data.calendars.check_calendar`.
        future: a file or a frame of the steps after the end, with the columns of time, series and known ones.
        past: columns of numbers that are no channels and are known up to the end alone; where they have gaps, `fill`
            takes what was known before.

    Raises:
        DataError: if the data cannot be found or used as they are; see `read` and `from_frame`.
        UsageError: if `fill` is unknown, `data` is of no known type, or options are given with a panel.
    """
    written = Written(header, decimal, thousands, delimiter, skip)
    parts = [_names(part) for part in (known, static, calendar, past)]
    if isinstance(data, Panel):
        if any(parts) or future is not None:
            raise UsageError(
                "a panel is ready: what is known beside its channels is given when it is read",
                "Read it with fc.load(data, known=[...], future=...).",
            )
        if any(each is not None for each in (time, series, target, fill)) or drop or written != Written():
            raise UsageError("a panel is ready: it takes no time, series, target, fill or drop, and no notation")
        return data if name is None else replace(data, name=name)
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    ahead = None if future is None else _future(future, series, written)
    asked = Asked(parts[0], parts[1], parts[2], ahead, parts[3])
    if asked == Asked():
        asked = NOTHING
    how: dict[str, Any] = {"time": time, "series": series, "target": target, "fill": fill, "drop": drop}
    if not isinstance(data, str | os.PathLike):
        return from_frame(data, **how, name=name or "frame", written=written, asked=asked)
    if data == "":
        raise UsageError("the data have an empty name", "Name a set of `forecheck datasets`, or a file.")
    path = Path(data).expanduser()
    entry = catalog.dataset(data) if isinstance(data, str) else None
    if entry is not None and not path.is_file():
        if written != Written():
            raise UsageError(f"{entry.name} is a named set: how its file is written is known")
        panel = _named(entry, **how, name=name, asked=asked)
    elif path.exists() or _looks_like_a_file(data, path):
        panel = read(path, **how, name=name, written=written, asked=asked)
    else:
        raise _unknown(data)
    single: dict[str, Any] = {"time": time, "series": series, "fill": fill, "decimal": decimal, "thousands": thousands}
    single |= {"delimiter": delimiter, "skip": skip, "future": future}
    several = {"target": (target,) if isinstance(target, str) else target or (), "drop": drop}
    several |= dict(zip(("known", "static", "calendar", "past"), parts, strict=True))
    words = _words(str(data), single, several, header)
    return replace(panel, reading=replace(panel.reading, words=words))


def _unknown(data: str | os.PathLike[str]) -> DataError:
    """There is no such data; near names are told."""
    near = difflib.get_close_matches(str(data).casefold(), catalog.names(), n=3, cutoff=0.5)
    known = [found.name for found in map(catalog.dataset, near) if found is not None]
    return DataError(
        f"there is neither a data set nor a file called {str(data)!r}",
        (f"Did you mean {' or '.join(dict.fromkeys(known))}? " if known else "")
        + f"Known sets: {', '.join(found.name for found in catalog.datasets())}. Files are searched from {Path.cwd()}.",
    )


def _words(
    data: str, single: Mapping[str, Any], several: Mapping[str, Sequence[str]], header: bool | None
) -> tuple[str, ...]:
    """What a user types for these data, as the commands name the options; nothing if a frame is part of them."""
    if not isinstance(single["future"], str | os.PathLike | None):
        return ()
    words = [data]
    words += [word for name, value in single.items() if value is not None for word in (f"--{name}", str(value))]
    words += [word for name, values in several.items() for value in values for word in (f"--{name}", str(value))]
    return (*words, *([] if header is None else ["--header" if header else "--no-header"]))


def _names(names: Any) -> tuple[str, ...]:
    """One name or several, as columns are called on reading."""
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, Iterable):
        raise UsageError(f"columns are named, got {names!r}", 'Write known=["price", "promo"].')
    return tuple(str(name) for name in names)


def _future(future: Any, series: str | None, written: Written) -> tuple[Any, Source]:
    """The table of the steps after the end, and where it came from."""
    if isinstance(future, Panel):
        raise UsageError("the future is a panel, which has no columns beside its channels", "Give its file or frame.")
    if isinstance(future, str | os.PathLike):
        return table_of(future, series, written)
    return to_arrow(future, "future"), Source("future")


def _looks_like_a_file(data: Any, path: Path) -> bool:
    return isinstance(data, os.PathLike) or path.suffix.lower() in _SUFFIXES or len(path.parts) > 1


def _named(
    entry: catalog.Dataset,
    *,
    time: str | None,
    series: str | None,
    target: str | Sequence[str] | None,
    fill: str | None,
    drop: tuple[str, ...],
    name: str | None,
    asked: Asked,
) -> Panel:
    """A set of the catalogue, with what its file does not say."""
    source = Source(entry.name, is_file=True)
    fill = fill or entry.fill
    drop = drop if time else (*entry.drop, *(column for column in drop if column not in entry.drop))
    content = fetch.content(entry.remote, source) if entry.remote else bundled.content(entry.name)
    panel = parse(
        content,
        source,
        time=time,
        series=series,
        target=target,
        fill=fill,
        drop=drop,
        written=Written(header=entry.header),
        asked=asked,
    )
    frequency = replace(panel.frequency, season=entry.season) if entry.season else panel.frequency
    return replace(panel, name=name or entry.name, split=entry.split, frequency=frequency)
