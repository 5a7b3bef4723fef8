"""A panel: series laid end to end in one array, with their time index and names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from forecheck.data.covariates import Covariates
from forecheck.data.frequency import Frequency
from forecheck.data.source import count
from forecheck.errors import DataError


@dataclass(frozen=True)
class Reading:
    """What reading decided; it changes nothing of the data.

    Attributes:
        time: the time column, several joined by `+`; None if rows are consecutive steps.
        ids: what the names of series were in long data, text or whole numbers; empty for wide data.
        notes: what was set aside, joined or read in one of several ways.
        words: by which a command reads the data again: the set or file, and options; empty for frames.
    """

    time: str | None = None
    ids: Literal["", "text", "integer"] = ""
    notes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Panel:
    """S series of C channels, end to end.

    LTSF's wide CSV is S=1, C=7; Nixtla's long frame is S=N, C=1. Ragged lengths are just offsets.

    Attributes:
        values: observations in their own units; finite, float64.
        offsets: first row of every series and, last, the number of rows: (0, ..., time).
        time: one stamp a row, `datetime64[us]` (UTC) or consecutive int64 steps, increasing within a series.
        series: names of the series.
        channels: names of the channels.
        frequency: the step between two rows.
        name: what reports call this panel (a set's name or a file's).
        split: the set's standard split in the notation of `forecheck.data.splits.parse_split`.
        fills: how many missing values were filled on reading, by channel (empty if none).
        filled: which values were missing and have been filled; None if none was. They are no truth: no loss counts
            them, and windows see in their place what was known before (`forecheck.data.causal`).
        fill: by which method they were filled; empty if none was.
        reading: which columns were taken for what, and what was decided on reading.
        covariates: columns beside the channels that may tell of them; None if there are none.

    Raises:
        DataError: if values are missing or infinite, or offsets do not fit.
    """

    values: Float[np.ndarray, "time channel"]
    offsets: Int[np.ndarray, " series_plus_one"]
    time: np.ndarray[Any, np.dtype[Any]]
    series: tuple[str, ...]
    channels: tuple[str, ...]
    frequency: Frequency
    name: str = "data"
    split: str = "70/10/20"
    fills: dict[str, int] = field(default_factory=dict)
    filled: Bool[np.ndarray, "time channel"] | None = None
    fill: str = ""
    reading: Reading = Reading()
    covariates: Covariates | None = None

    def __post_init__(self) -> None:
        rows = len(self.values)
        if rows == 0 or self.values.shape[1] == 0:
            raise DataError(f"{self.name} holds no observations")
        if (
            self.offsets[0] != 0
            or self.offsets[-1] != rows
            or len(self.offsets) != len(self.series) + 1
            or (np.diff(self.offsets) <= 0).any()
        ):
            raise DataError(f"{self.name}: offsets must rise from 0 to {rows}, one series a step")
        if len(self.channels) != self.values.shape[1] or len(self.time) != rows:
            raise DataError(f"{self.name}: names or times do not fit the {rows} x {self.values.shape[1]} values")
        if self.filled is not None and self.filled.shape != self.values.shape:
            raise DataError(f"{self.name}: the mask of filled values does not have the shape of the values")
        beside = self.covariates
        if beside is not None and (len(beside.values) != rows or len(beside.future) != len(self.series)):
            raise DataError(f"{self.name}: the covariates do not have the rows and the series of the panel")
        bad = np.argwhere(~np.isfinite(self.values))
        if len(bad):
            row, channel = bad[0]
            raise DataError(
                f"{self.name} has {len(bad)} missing or infinite values, the first in channel "
                f'"{self.channels[channel]}" at row {row} ({self.time[row]})',
                "Fill them (fill='linear', 'last' or 'seasonal') or drop the channel.",
            )

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        time: str | None = None,
        series: str | None = None,
        target: str | Sequence[str] | None = None,
        fill: str | None = None,
        drop: Sequence[str] = (),
        name: str = "frame",
    ) -> Panel:
        """Panel of a pandas, polars or pyarrow frame, wide or long; see `forecheck.data.reading.frames.from_frame`.

        Args:
            frame: the data.
            time: the time column; None to find it.
            series: the column with the series' names, which makes the frame long; None to find it.
            target: the columns to take as channels; all numeric ones by default.
            fill: how to fill missing values and rows: linear, last or seasonal; None refuses them.
            drop: columns, or series of a long frame, to leave out.
            name: what messages and reports call the data.

        Raises:
            DataError: if the frame cannot be used as it is; the message names column, row (from 0), time and remedy.
            UsageError: if `fill` is unknown or `frame` is not a data frame.
        """
        from forecheck.data.reading.frames import from_frame

        return from_frame(frame, time=time, series=series, target=target, fill=fill, drop=drop, name=name)

    @property
    def described(self) -> str:
        """What was read, in one line: rows, channels, series, time column, step, season, and what was decided."""
        named = len(self.series) > 1 or self.reading.ids
        of = count(len(self.series), "series", "") if named else "one series"
        column = f'time column "{self.reading.time}"' if self.reading.time is not None else "no time column"
        period = self.frequency.period
        season = f"season of {period:,} steps" if period > 1 else "no season known"
        parts = [
            f"read {count(len(self.values), 'row')} as {count(len(self.channels), 'channel')} of {of}",
            column,
            f"every {self.frequency}",
            season,
        ]
        return "; ".join([", ".join(parts), *self.reading.notes])

    def only(self, series: Bool[np.ndarray, " series"]) -> Panel:
        """The panel with some of its series, at least one."""
        rows = np.repeat(series, self.lengths)
        return replace(
            self,
            values=self.values[rows],
            offsets=np.concatenate([[0], np.cumsum(self.lengths[series])]),
            time=self.time[rows],
            series=tuple(name for name, kept in zip(self.series, series, strict=True) if kept),
            filled=None if self.filled is None else self.filled[rows],
            covariates=None if self.covariates is None else self.covariates.only(series, rows),
        )

    @property
    def lengths(self) -> Int[np.ndarray, " series"]:
        """Rows of every series."""
        return np.diff(self.offsets)

    @cached_property
    def calendar(self) -> Float[np.ndarray, " time"]:
        """Steps from the earliest stamp of the panel to every row; whole numbers for series on one common grid."""
        return self.calendar_from(self.time.min())

    def calendar_from(self, start: Any) -> Float[np.ndarray, " time"]:
        """Steps from a stamp, which need not be one of the panel's, to every row."""
        first = self.frequency.distance(start, self.time[self.offsets[:-1]])
        return np.repeat(first, self.lengths) + np.arange(len(self.time)) - np.repeat(self.offsets[:-1], self.lengths)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over values, offsets, times, names, frequency and what was filled: its address in the store."""
        digest = hashlib.sha256()
        for array in (self.values, self.offsets, self.time):
            digest.update(str(array.dtype).encode())
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr((self.series, self.channels, self.frequency)).encode())
        if self.filled is not None:  # panels without fills keep the address that they had before there was a mask
            digest.update(self.fill.encode() + np.packbits(self.filled).tobytes())
        if self.covariates is not None:
            self.covariates.update(digest)
        return digest.hexdigest()

    def series_rows(self, index: int) -> slice:
        """Rows of series `index`."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def series_of(self, rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
        """The series that each of `rows` belongs to."""
        return np.searchsorted(self.offsets, rows, side="right") - 1

    def __repr__(self) -> str:
        times = f"{self.time[0]} to {self.time[-1]}"
        return (
            f"Panel({self.name}: {len(self.series)} series x {len(self.channels)} channels, "
            f"{len(self.values)} rows, every {self.frequency}, {times})"
        )
