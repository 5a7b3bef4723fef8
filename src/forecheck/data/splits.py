"""Splits: which rows are for training, validation and test, and which forecast origins belong to each part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from forecheck.data.panel import Panel
from forecheck.errors import DataError, UsageError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Borders:
    """Row borders of every series, counted from the series' own first row.

    Training rows are [0, train_end), validation [train_end, validation_end), test [validation_end, test_end).
    Targets lie wholly inside their part; inputs of validation and test may look back across the border,
    never forward.
    """

    train_end: Int[np.ndarray, " series"]
    validation_end: Int[np.ndarray, " series"]
    test_end: Int[np.ndarray, " series"]

    def rows(self, part: Part) -> tuple[Int[np.ndarray, " series"], Int[np.ndarray, " series"]]:
        """First and last-plus-one target row of `part`, of every series."""
        if part == "train":
            return np.zeros_like(self.train_end), self.train_end
        if part == "validation":
            return self.train_end, self.validation_end
        return self.validation_end, self.test_end


def parse_split(split: str, panel: Panel) -> Borders:
    """Borders of a split in one of three notations.

    - `70/10/20`: percent of every series' rows. As in the LTSF benchmarks train is int(.7 n), test int(.2 n),
      validation the rest.
    - `8640+2880+2880`: rows; what follows is not used (ETT's fixed borders).
    - `2015-01-01,2016-01-01`: dates; validation starts at the first, test at the second.

    Raises:
        UsageError: if the notation is none of these.
        DataError: if a part would be empty.
    """
    lengths = panel.lengths
    if re.fullmatch(r"\d+(\.\d+)?/\d+(\.\d+)?/\d+(\.\d+)?", split):
        shares = np.array([float(share) for share in split.split("/")])
        if abs(shares.sum() - 100) > 1e-9:
            raise UsageError(f"the shares of split {split!r} sum to {shares.sum():g}, not to 100")
        # Rounding before int() keeps 70 % of 10 at 7 where .7 * 10 in floating point is 7.000000000000001 or 6.99...
        train = np.floor(np.round(shares[0] / 100 * lengths, 6)).astype(np.int64)
        test = np.floor(np.round(shares[2] / 100 * lengths, 6)).astype(np.int64)
        borders = Borders(train, lengths - test, lengths.astype(np.int64))
    elif re.fullmatch(r"\d+\+\d+\+\d+", split):
        ends = np.cumsum([int(rows) for rows in split.split("+")])
        if (lengths < ends[2]).any():
            raise DataError(f"{panel.name} has {lengths.min()} rows, but split {split} needs {ends[2]}")
        borders = Borders(*(np.full(len(lengths), end) for end in ends))
    elif "," in split:
        borders = _split_by_date(split, panel)
    else:
        raise UsageError(
            f"cannot read split {split!r}",
            "Use percent (70/10/20), rows (8640+2880+2880) or dates (2015-01-01,2016-01-01).",
        )
    for part in PARTS:
        first, end = borders.rows(part)
        empty = np.flatnonzero(end <= first)
        if len(empty):
            raise DataError(
                f'{panel.name}: the {part} part of series "{panel.series[empty[0]]}" is empty under split {split}'
            )
    return borders


def _split_by_date(split: str, panel: Panel) -> Borders:
    if panel.time.dtype.kind != "M":
        raise UsageError(f"split {split!r} is by date, but {panel.name} has no dates", "Split by percent or rows.")
    try:
        first, second = (np.datetime64(date.strip(), "us") for date in split.split(","))
    except ValueError as error:
        raise UsageError(f"cannot read the dates of split {split!r}: {error}") from error
    slices = [panel.series_rows(s) for s in range(len(panel.series))]
    train = np.array([np.searchsorted(panel.time[rows], first) for rows in slices])
    validation = np.array([np.searchsorted(panel.time[rows], second) for rows in slices])
    return Borders(train, validation, panel.lengths.astype(np.int64))


def origins(
    panel: Panel, borders: Borders, part: Part, lookback: int, horizon: int, step: int = 1
) -> Int[np.ndarray, " window"]:
    """Every forecast origin of a part: the panel row of the first target step, series by series.

    An origin o takes rows [o - lookback, o) as input and [o, o + horizon) as target; the target lies inside the
    part, the input inside the series. With a step, origins are the multiples of it, counted from the start of the
    series (forecasts made once a day at midnight, say).

    Raises:
        DataError: if no window fits; the message says which length is missing.
    """
    if lookback < 1 or horizon < 1 or step < 1:
        raise UsageError(f"lookback, horizon and step must be positive, got {lookback}, {horizon} and {step}")
    first, end = borders.rows(part)
    found = [
        offset + np.arange(-(-max(int(lo), lookback) // step) * step, int(hi) - horizon + 1, step)
        for offset, lo, hi in zip(panel.offsets[:-1], first, end, strict=True)
    ]
    result = np.concatenate(found)
    if len(result) == 0:
        longest = int((end - first).max())
        needed = lookback + horizon if part == "train" else horizon
        raise DataError(
            f"{panel.name} is too short: its {part} part has at most {longest} rows a series, "
            f"but lookback {lookback} and horizon {horizon} need {needed} "
            f"(series of {int(panel.lengths.max())} rows at most)",
            "Choose a shorter lookback or horizon, or another --split.",
        )
    return result
