"""Some series of a larger panel, cut into windows as the whole would be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from forecheck.data.panel import Panel
from forecheck.data.reading.pieces import Pieces
from forecheck.data.scaling import Scaler, fit_scaler, scalable_among
from forecheck.data.splits import PARTS, Borders, by_stamps, fitting_origins
from forecheck.data.windows import Windows
from forecheck.forecasting.fit import completed
from forecheck.forecasting.fitted import check_lengths


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

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, see `of`."""
        dates = np.asarray(self.first).dtype.kind == "M"
        return asdict(self) | {"first": int(np.asarray(self.first).astype(np.int64)), "dates": dates}

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Plan:
        """The plan that `to_dict` described."""
        first = np.int64(described["first"])
        size = described["lookback"], described["horizon"], described["split"]
        return cls(*size, first.astype("datetime64[us]") if described["dates"] else first)


def served(pieces: Pieces, wanted: Collection[int] | None = None) -> Iterator[Served]:
    """Every table's series, in the order of the data.

    Args:
        pieces: the data, divided.
        wanted: numbers of the tables that are read; None for all.

    Raises:
        DataError: if the data cannot be used as they are.
    """
    for number, table in pieces.tables(wanted):
        panel = pieces.panel(number, table)
        ends = panel.lengths
        enough = scalable_among(panel, Borders(ends, ends, ends))
        aside = tuple(panel.series[place] for place in np.flatnonzero(~enough))
        yield Served(number, panel.only(enough) if enough.any() else None, aside)


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
