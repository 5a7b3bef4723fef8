"""Splits: which rows are for training, validation and test, and which forecast origins belong to each part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int

from forecheck.data.panel import Panel
from forecheck.errors import DataError, UsageError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Borders:
    """Row borders of every series, counted from the series' own first row.

    Training rows are [0, train_end), validation [train_end, validation_end), test [validation_end, test_end).
    Targets lie wholly inside their part; inputs of validation and test may look back across the border,
    never forward. All series of a panel are cut at the same times, so a part of a series may be empty.
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

    def only(self, series: Bool[np.ndarray, " series"]) -> Borders:
        """The same borders, all parts of the other series empty."""
        return Borders(*(np.where(series, end, 0) for end in (self.train_end, self.validation_end, self.test_end)))


def parse_split(split: str, panel: Panel) -> Borders:
    """Borders of a split in one of three notations; several series are cut at the same times.

    - `70/10/20`: percent of the rows. As in the LTSF benchmarks train is int(.7 n), test int(.2 n), validation the
      rest. Of several series it is the pair of stamps before and after which at most these shares of all rows lie.
    - `8640+2880+2880`: steps from the earliest stamp; what follows is not used (ETT's fixed borders).
    - `2015-01-01,2016-01-01`: validation starts at the first, test at the second; a third ends the test part. Whole
      numbers where the panel's time is whole numbers.

    Series share the weights of a model. If each were cut by its own rows, the model would be trained on times that it
    is tested on.

    Raises:
        UsageError: if the notation is none of these.
        DataError: if a part would be empty in all series.
    """
    if is_by_share(split):
        borders = _by_share(split, panel)
    elif re.fullmatch(r"\d+\+\d+\+\d+", split):
        borders = _by_steps(split, panel)
    elif "," in split:
        borders = by_stamps(split, panel)
    else:
        raise UsageError(
            f"cannot read split {split!r}",
            "Use percent (70/10/20), rows (8640+2880+2880) or dates (2015-01-01,2016-01-01).",
        )
    for part in PARTS:
        first, end = borders.rows(part)
        if not (end > first).any():
            of = f' of series "{panel.series[0]}"' if len(panel.series) == 1 else ""
            raise DataError(
                f"{panel.name}: the {part} part{of} is empty under split {split}",
                f"Give more data than these {len(panel.values):,} rows, or split otherwise (--split).",
            )
    return borders


def is_by_share(split: str) -> bool:
    """Whether a split is written in percent."""
    return re.fullmatch(r"\d+(\.\d+)?/\d+(\.\d+)?/\d+(\.\d+)?", split) is not None


def _by_share(split: str, panel: Panel) -> Borders:
    rows = len(panel.values)
    lengths = panel.lengths.astype(np.int64)
    if len(panel.series) == 1:
        train, test = _rows_of(split, rows)
        return Borders(np.array([train]), np.array([rows - test]), lengths)
    stamps, counts = np.unique(panel.time, return_counts=True)
    ends = [_before(panel, stamps[at]) if at < len(stamps) else lengths for at in share_places(split, counts)]
    return Borders(ends[0], ends[1], lengths)


def share_places(split: str, counts: Int[np.ndarray, " stamp"]) -> tuple[int, int]:
    """Where validation and test begin among the stamps of several series, by their shares of all rows.

    Args:
        split: percent of training, validation and test, as `70/10/20`.
        counts: rows of every stamp, the earliest first.

    Returns:
        Places of two stamps; their number for one after the last.

    Raises:
        UsageError: if the shares do not sum to 100.
    """
    rows = int(counts.sum())
    train, test = _rows_of(split, rows)
    before = np.concatenate([[0], np.cumsum(counts)])  # rows before every stamp, and before the end
    first = int(np.searchsorted(before, train, side="right")) - 1
    return first, int(np.searchsorted(before, rows - test, side="left"))


def _rows_of(split: str, rows: int) -> tuple[int, int]:
    """Rows for training and for the test of a split in percent."""
    shares = np.array([float(share) for share in split.split("/")])
    if abs(shares.sum() - 100) > 1e-9:
        raise UsageError(f"the shares of split {split!r} sum to {shares.sum():g}, not to 100")
    # Rounding before int() keeps 70 % of 10 at 7 where .7 * 10 in floating point is 7.000000000000001 or 6.99...
    train, test = (int(np.floor(np.round(share / 100 * rows, 6))) for share in (shares[0], shares[2]))
    return train, test


def _by_steps(split: str, panel: Panel) -> Borders:
    ends = np.cumsum([int(rows) for rows in split.split("+")])
    steps = _steps(panel)
    if steps < ends[2]:
        unit = "rows" if len(panel.series) == 1 else "steps from its first stamp to its last"
        raise DataError(f"{panel.name} has {steps} {unit}, but split {split} needs {ends[2]}")
    return Borders(*(np.clip(end - first_steps(panel), 0, panel.lengths) for end in ends))


def by_stamps(split: str, panel: Panel) -> Borders:
    """Borders of a split that names stamps, as `parse_split`; parts may be empty.

    Raises:
        UsageError: if it does not name two or three stamps of the panel's kind.
    """
    dates = panel.time.dtype.kind == "M"
    try:
        stamps: list[Any] = [np.datetime64(part.strip(), "us") if dates else int(part) for part in split.split(",")]
    except ValueError as error:
        if dates:
            raise UsageError(f"cannot read the dates of split {split!r}: {error}") from error
        raise UsageError(
            f"split {split!r} is by date, but {panel.name} has no dates",
            "Split by percent, by rows, or by whole numbers as they stand in its time.",
        ) from error
    if len(stamps) not in (2, 3):
        raise UsageError(
            f"split {split!r} names {len(stamps)} dates",
            "Name where validation starts, where test starts and, if it is not the end of the data, where test ends.",
        )
    ends = [_before(panel, stamp) for stamp in stamps]
    return Borders(ends[0], ends[1], ends[2] if len(ends) == 3 else panel.lengths.astype(np.int64))


def _before(panel: Panel, stamp: Any) -> Int[np.ndarray, " series"]:
    """Rows of every series before a stamp."""
    slices = map(panel.series_rows, range(len(panel.series)))
    return np.array([np.searchsorted(panel.time[rows], stamp) for rows in slices], dtype=np.int64)


def first_steps(panel: Panel) -> Int[np.ndarray, " series"]:
    """Whole steps from the earliest stamp of a panel to the first row of every series."""
    return np.floor(panel.calendar[panel.offsets[:-1]]).astype(np.int64)


def _steps(panel: Panel) -> int:
    """Steps of the calendar from the earliest stamp of a panel to its last."""
    return int((first_steps(panel) + panel.lengths).max())


def origins(
    panel: Panel, borders: Borders, part: Part, lookback: int, horizon: int, step: int = 1
) -> Int[np.ndarray, " window"]:
    """Every forecast origin of a part: the panel row of the first target step, series by series.

    An origin o takes rows [o - lookback, o) as input and [o, o + horizon) as target; the target lies inside the
    part, the input inside the series. With a step, origins are the multiples of it, counted for all series from the
    earliest stamp of the panel (forecasts made once a day at midnight, say). Windows whose whole target was filled
    have nothing to be right or wrong about and are left out.

    Args:
        panel: the data.
        borders: of the parts, as `parse_split` finds them.
        part: train, validation or test.
        lookback: L, steps of input.
        horizon: H, steps of target.
        step: only multiples of it are origins.

    Raises:
        DataError: if no window fits; the message says which length is missing.
        UsageError: if lookback, horizon or step is not positive.
    """
    if lookback < 1 or horizon < 1 or step < 1:
        raise UsageError(f"lookback, horizon and step must be positive, got {lookback}, {horizon} and {step}")
    result = fitting_origins(panel, borders, part, lookback, horizon, step)
    if len(result) == 0:
        first, end = borders.rows(part)
        longest = int((end - first).max())
        needed = lookback + horizon if part == "train" else horizon
        raise DataError(
            f"{panel.name} is too short: its {part} part has at most {longest} rows a series, "
            f"but lookback {lookback} and horizon {horizon} need {needed}"
            + (f" from a multiple of the step {step} on " if step > 1 else " ")
            + f"(series of {int(panel.lengths.max())} rows at most)",
            "Choose a shorter lookback or horizon, or another --split.",
        )
    if panel.filled is None:
        return result
    seen = np.concatenate([[0], np.cumsum(~panel.filled.all(axis=1))])
    kept = result[seen[result + horizon] > seen[result]]
    if len(kept) == 0:
        raise DataError(
            f"{panel.name}: all targets of its {part} part were missing and have been filled",
            "Choose another --split, or drop the series or columns that are mostly missing.",
        )
    return kept


def fitting_origins(
    panel: Panel, borders: Borders, part: Part, lookback: int, horizon: int, step: int = 1
) -> Int[np.ndarray, " window"]:
    """As `origins`, which may be none here, and with windows whose whole target was filled.

    Args:
        panel: the data.
        borders: of the parts, as `parse_split` finds them.
        part: train, validation or test.
        lookback: L, steps of input.
        horizon: H, steps of target.
        step: only multiples of it are origins.
    """
    first, end = borders.rows(part)
    found = [
        offset + np.arange(-(-(start + max(int(lo), lookback)) // step) * step - start, int(hi) - horizon + 1, step)
        for offset, start, lo, hi in zip(panel.offsets[:-1], first_steps(panel), first, end, strict=True)
    ]
    return np.concatenate(found)


def notes(panel: Panel, borders: Borders, cut: dict[Part, Int[np.ndarray, " window"]]) -> tuple[str, ...]:
    """What a reader must know of series that do not serve in all parts, a sentence each; nothing of a single series.

    Args:
        panel: the data.
        borders: as `prepare` uses them: series without a scale have empty parts.
        cut: origins of every part.
    """
    count = len(panel.series)
    if count == 1:
        return ()
    serves = {part: np.isin(np.arange(count), panel.series_of(cut[part])) for part in PARTS}
    unscaled = borders.train_end == 0
    unseen = ~unscaled & ~serves["train"] & (serves["validation"] | serves["test"])
    untested = ~unscaled & ~serves["test"]
    remarks = [
        (unscaled, "have no or too few training rows, or constant ones, so no scale: no window of theirs is used"),
        (unseen, "have no training window: they are forecast by what was learnt from the others"),
        (untested, "have no test window: they end before it or are too short, and serve before it alone"),
    ]
    return tuple(
        f"{int(mask.sum())} of {count} series {words} ({_named(panel, mask)})" for mask, words in remarks if mask.any()
    )


def _named(panel: Panel, series: Bool[np.ndarray, " series"], limit: int = 5) -> str:
    names: Sequence[str] = [f'"{panel.series[index]}"' for index in np.flatnonzero(series)]
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def fold_splits(panel: Panel, split: str | None, folds: int, lookback: int, horizon: int) -> list[str]:
    r"""Splits of rolling origins, the earliest first; the last one is `split` itself.

    With the borders (a, b, e) of `split`, in steps of the calendar from the earliest stamp, and T = e - b, fold k of K
    has the borders

    .. math:: (a, b, e) - (K - k) \, T

    Training always begins at the beginning, so its part grows by T from fold to fold. Fits, scalers and choices of a
    fold see nothing of its test part, which belongs to the training part of some later fold.

    Args:
        panel: the data.
        split: the standard split, None for the panel's own.
        folds: K.
        lookback: L, the longest of all models.
        horizon: H.

    Returns:
        Notations that `parse_split` reads.

    Raises:
        UsageError: if there is no room for so many folds; the message names the largest possible number.
        DataError, UsageError: see `parse_split`.
    """
    if folds < 1:
        raise UsageError(f"folds must be positive, got {folds}")
    standard = split or panel.split
    moved = _moved(panel, standard, folds, lookback, horizon)
    if len(moved) < folds:
        raise UsageError(
            f"{panel.name} has no room for {folds} folds: under split {standard}, lookback {lookback} and horizon "
            f"{horizon} at most {len(moved)} leave a training part of a quarter of the standard one and of two windows",
            f"Use at most --folds {len(moved)}, or a shorter lookback.",
        )
    return moved[::-1]


def most_folds(panel: Panel, split: str | None, lookback: int, horizon: int) -> int:
    """How many folds `fold_splits` allows, at least 1: the standard split itself.

    Args:
        panel: the data.
        split: the standard split, None for the panel's own.
        lookback: L, the longest of all models.
        horizon: H.
    """
    return len(_moved(panel, split or panel.split, None, lookback, horizon))


def _moved(panel: Panel, split: str, most: int | None, lookback: int, horizon: int) -> list[str]:
    """The standard split, and then the earlier ones that leave enough to train on; at most so many."""
    standard = parse_split(split, panel)
    ends = (standard.train_end, standard.validation_end, standard.test_end)
    # A border is where its last row ends: rows behind it are all later.
    train, validation, test = (int((first_steps(panel) + end)[end > 0].max()) for end in ends)
    length, rows = test - validation, int(standard.train_end.sum())
    found = [split]
    while most is None or len(found) < most:
        back = len(found) * length
        notation = f"{train - back}+{validation - train}+{length}"
        if train - back < 1:
            break
        try:
            borders = parse_split(notation, panel)
        except DataError:  # all series begin later
            break
        if 4 * int(borders.train_end.sum()) < rows or int(borders.train_end.max()) < 2 * (lookback + horizon):
            break
        found.append(notation)
    return found
