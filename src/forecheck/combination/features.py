"""What known columns are to a regression: categories one by one, numbers bent, and all by part of the day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from forecheck.data.calendars import LEVELS, calendar_column
from forecheck.data.covariates import Covariates
from forecheck.data.panel import Panel

_HOUR = 3_600_000_000
_PARTS = 24
"""Of the day; on hours of bike hire eight of them were worse at rolling origins."""
_BETWEEN = 0.5
"""Share of a column's variance between series beyond which it is measured within each."""
_FURTHER = 0.1
"""Of the range that was seen; what lies further outside is held at the edge."""


@dataclass(frozen=True, eq=False)
class Raw:
    """Columns of right-aligned series, with the steps after their end.

    Attributes:
        names: of the columns.
        values: the last `horizon` steps are those after the end; NaN before a series begins.
        levels: categories by column; their places are the values.
        parts: part of the day of every step, where steps are shorter than it; else None.
        groups: of every series, by static column and its level; one column that is one where there is none.
        horizon: H.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "series step column"]
    levels: dict[str, tuple[str, ...]]
    parts: np.ndarray | None
    groups: Float[np.ndarray, "series group"]
    horizon: int


def raw_columns(panel: Panel, covariates: Covariates, horizon: int, width: int) -> Raw:
    """Known columns, those of the calendar last, right-aligned.

    Args:
        panel: the data.
        covariates: of the panel, with all steps of the horizon.
        horizon: H.
        width: rows of the history that are used.
    """
    ends = panel.offsets[1:]
    rows = ends[:, None] - width + np.arange(width)
    there = rows >= panel.offsets[:-1, None]
    rows = np.where(there, rows, 0)
    count = len(covariates.known)
    past = np.where(there[..., None], covariates.values[rows], np.nan)
    ahead = covariates.future[:, :horizon] if count else np.empty((len(ends), horizon, 0))
    columns = [np.concatenate([past, ahead], axis=1)]
    levels = {name: covariates.levels[name] for name in covariates.known if name in covariates.levels}
    dates = panel.time.dtype.kind == "M"
    stamps = None
    if dates or covariates.calendar:
        after = np.stack([panel.frequency.future(panel.time[end - 1], horizon) for end in ends])
        stamps = np.concatenate([panel.time[rows], after], axis=1)
    began = np.concatenate([there, np.ones((len(ends), horizon), dtype=bool)], axis=1)
    for name in covariates.calendar:
        assert stamps is not None
        column = calendar_column(name, stamps, panel.frequency)
        columns.append(np.where(began, column, np.nan)[..., None])
        if name in LEVELS:
            levels[name] = LEVELS[name]
    names = (*covariates.known, *covariates.calendar)
    parts = None
    if panel.frequency.unit == "us" and panel.frequency.count <= _HOUR and dates:
        assert stamps is not None
        clock = (stamps - stamps.astype("datetime64[D]")).astype(np.int64)
        parts = clock * _PARTS // (24 * _HOUR)
    return Raw(names, np.concatenate(columns, axis=2), levels, parts, _groups(panel, covariates), horizon)


def past_columns(panel: Panel, covariates: Covariates, horizon: int, width: int) -> Raw:
    """Past columns, right-aligned; NaN for the steps after the end.

    Args:
        panel, horizon, width: as for `raw_columns`.
        covariates: of the panel, with past columns.
    """
    assert covariates.lagged is not None
    rows = panel.offsets[1:, None] - width + np.arange(width)
    there = rows >= panel.offsets[:-1, None]
    past = np.where(there[..., None], covariates.lagged[np.where(there, rows, 0)], np.nan)
    ahead = np.full((len(past), horizon, past.shape[2]), np.nan)
    groups = np.ones((len(past), 1))
    return Raw(covariates.past, np.concatenate([past, ahead], axis=1), {}, None, groups, horizon)


def _groups(panel: Panel, covariates: Covariates) -> Float[np.ndarray, "series group"]:
    """One column for all series, then one a static column and level."""
    columns = [np.ones(len(panel.series))]
    for levels in covariates.static.values():
        columns += [np.array([each == level for each in levels], dtype=float) for level in dict.fromkeys(levels)]
    return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False)
class Column:
    """How one column enters the regression.

    Attributes:
        place: among the raw ones.
        levels: how many categories; 0 for numbers.
        two: whether it has two values: then it enters as it is.
        mean, std: of every series.
        low, high: standardised, the range beyond which values are held at its edge.
        knees: standardised, where the slope may change.
    """

    place: int
    levels: int
    two: bool
    mean: Float[np.ndarray, " series"]
    std: Float[np.ndarray, " series"]
    low: float
    high: float
    knees: tuple[float, ...]

    def expand(self, x: Float[np.ndarray, "some step"], series: slice) -> list[Float[np.ndarray, "some step"]]:
        """Its columns of a regression.

        Args:
            x: values of some series.
            series: which.
        """
        if self.levels:
            return [(x == level).astype(float) for level in range(self.levels)]
        z = (x - self.mean[series, None]) / self.std[series, None]
        if self.two:
            return [z]
        z = np.clip(z, self.low, self.high)
        return [z, np.square(z), *(np.maximum(z - knee, 0.0) for knee in self.knees)]


def columns_of(raw: Raw) -> tuple[list[Column], list[str]]:
    """How every column enters, from its history; and the names of those that never change, which do not.

    Args:
        raw: the columns.
    """
    found, constant = [], []
    for place, name in enumerate(raw.names):
        history = raw.values[:, : -raw.horizon, place]
        low, high = np.nanmin(history), np.nanmax(history)
        if low == high:
            constant.append(name)
            continue
        if name in raw.levels:
            none = np.zeros(len(history))
            found.append(Column(place, len(raw.levels[name]), True, none, none, 0.0, 0.0, ()))
            continue
        mean, std = np.nanmean(history, axis=1), np.nanstd(history, axis=1)
        overall, spread = float(np.nanmean(history)), float(np.nanstd(history))
        two = bool(np.isin(history[~np.isnan(history)], (low, high)).all())
        if two or np.nanvar(mean) < _BETWEEN * spread**2 or not (std > 0).any():
            mean, std = np.full(len(history), overall), np.full(len(history), spread)
        std = np.where(std > 0, std, 1.0)
        z = (history - mean[:, None]) / std[:, None]
        edges = np.nanquantile(z, (0.0, 0.25, 0.75, 1.0))
        room = _FURTHER * (edges[3] - edges[0])
        knees = tuple(float(knee) for knee in edges[1:3])
        found.append(Column(place, 0, two, mean, std, float(edges[0] - room), float(edges[3] + room), knees))
    return found, constant


def design(raw: Raw, columns: list[Column], series: slice) -> Float[np.ndarray, "some step feature"]:
    """The regression's columns for some series; zero before they begin.

    Args:
        raw: the columns.
        columns: how they enter.
        series: which.
    """
    found: list[np.ndarray] = []
    for column in columns:
        found += column.expand(raw.values[series, :, column.place], series)
    x = np.nan_to_num(np.stack(found, axis=2))
    if raw.parts is not None:
        part = raw.parts[series]
        x = np.concatenate([x, *(x * (part == p)[..., None] for p in range(_PARTS))], axis=2)
    groups = raw.groups[series]
    if groups.shape[1] > 1:
        x = np.concatenate([x * groups[:, None, [g]] for g in range(groups.shape[1])], axis=2)
    return x
