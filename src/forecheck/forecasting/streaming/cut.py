"""Some series of a larger panel, cut into windows as the whole would be."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from forecheck.data.panel import Panel
from forecheck.data.reading.pieces import Pieces
from forecheck.data.scaling import Scaler, fit_scaler, scalable_among
from forecheck.data.splits import PARTS, Borders, by_stamps, fitting_origins
from forecheck.data.windows import Windows
from forecheck.errors import DataError
from forecheck.forecasting.fit import completed
from forecheck.forecasting.fitted import check_lengths
from forecheck.progress import Progress


@dataclass(frozen=True, eq=False)
class Served:
    """The series of a table that can be forecast.

    Attributes:
        number: of the table.
        panel: these series; None if there are none.
        aside: names of the others, which never change or have too few rows.
    """

    number: int
    panel: Panel | None
    aside: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cut:
    """Windows of some series.

    Attributes:
        panel: the series.
        scaler: of their training rows; of all rows for those that have too few, which serve no fit.
        windows: by part, and of `all` rows; there may be none.
    """

    panel: Panel
    scaler: Scaler
    windows: dict[str, Windows]


@dataclass(frozen=True)
class Plan:
    """How every piece is cut.

    Attributes:
        lookback: L.
        horizon: H.
        split: the stamps at which validation and test begin, in the notation of `by_stamps`.
        first: the earliest stamp of all series.
    """

    lookback: int
    horizon: int
    split: str
    first: Any


def served(pieces: Pieces, progress: Progress | None = None, wanted: Collection[int] | None = None) -> Iterator[Served]:
    """Every table's series, in the order of the data.

    Args:
        pieces: the data.
        progress: called with the share that is done.
        wanted: numbers of the tables that panels are made of; None for all.

    Raises:
        DataError: if the data cannot be used as they are.
    """
    usual: Panel | None = None
    rows = pieces.rows
    for number, (first, table) in enumerate(pieces.tables()):
        if wanted is None or number in wanted:
            panel = pieces.panel(first, table)
            usual = usual or panel
            _check_kind(panel, usual)
            ends = panel.lengths
            enough = scalable_among(panel, Borders(ends, ends, ends))
            aside = tuple(panel.series[place] for place in np.flatnonzero(~enough))
            yield Served(number, panel.only(enough) if enough.any() else None, aside)
        if progress is not None:
            progress((first + table.num_rows) / rows, "")


def _check_kind(panel: Panel, usual: Panel) -> None:
    """Refuse series of another step than the first ones."""
    steps = [(each.frequency.unit, each.frequency.count, each.frequency.month_end) for each in (panel, usual)]
    if steps[0] != steps[1] or panel.time.dtype != usual.time.dtype:
        raise DataError(
            f'{panel.name} has a row every {usual.frequency} in series "{usual.series[0]}" and its neighbours, but a '
            f'row every {panel.frequency} in "{panel.series[0]}" and its own',
            "Bring all series to one step, or stream those of each step by themselves.",
        )


def scaler_of(panel: Panel, borders: Borders) -> Scaler:
    """Scaler of the training rows, as it would be among all other series."""
    return fit_scaler(panel, borders, scalable_among(panel, borders))


def cut(panel: Panel, plan: Plan) -> Cut:
    """The windows of some series.

    Raises:
        DataError: if a series is shorter than the lookback.
    """
    check_lengths(panel, plan.lookback)
    borders = by_stamps(plan.split, panel)
    scaler = scaler_of(panel, borders)
    borders = borders.only(scaler.known)
    values, calendar = scaler.scale(panel), panel.calendar_from(plan.first)
    ends = panel.lengths
    every = Borders(ends, ends, ends).only(scaler.known)

    def windows(rows: Int[np.ndarray, " window"]) -> Windows:
        return Windows(values, plan.lookback, plan.horizon, rows, calendar=calendar)

    size = plan.lookback, plan.horizon
    found = {str(part): windows(fitting_origins(panel, borders, part, *size)) for part in PARTS}
    return Cut(panel, completed(panel, scaler), found | {"all": windows(fitting_origins(panel, every, "train", *size))})
