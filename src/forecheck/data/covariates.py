"""Columns beside the channels: known for the future or for the past, of the series, or of the calendar."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class Covariates:
    """What may tell of the channels and is not forecast itself.

    Attributes:
        known: columns whose values are there for the steps after the end.
        values: of known columns, by row of the panel; finite. Columns of categories hold places in `levels`.
        future: of known columns, for the steps after the end of every series; NaN where a row is not there.
        levels: categories of the columns that are none of numbers.
        static: by column, the category of every series.
        calendar: features that are computed from the stamps, as `forecheck.data.calendars` names them.
        unseen: by column, categories that occur in the future alone.
        past: columns that are known up to the end and not after it.
        lagged: of past columns, by row of the panel; finite. None if there are none.
    """

    known: tuple[str, ...]
    values: Float[np.ndarray, "time known"]
    future: Float[np.ndarray, "series ahead known"]
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    static: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calendar: tuple[str, ...] = ()
    unseen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    past: tuple[str, ...] = ()
    lagged: Float[np.ndarray, "time past"] | None = None

    def only(self, series: Bool[np.ndarray, " series"], rows: Bool[np.ndarray, " time"]) -> Covariates:
        """Those of some series and their rows."""
        static = {
            name: tuple(level for level, kept in zip(levels, series, strict=True) if kept)
            for name, levels in self.static.items()
        }
        lagged = None if self.lagged is None else self.lagged[rows]
        return replace(self, values=self.values[rows], future=self.future[series], static=static, lagged=lagged)

    def update(self, digest: Any) -> None:
        """Add all that a forecast depends on to a fingerprint.

        Args:
            digest: of `hashlib`.
        """
        for array in (self.values, self.future):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        parts = (self.known, sorted(self.levels.items()), sorted(self.static.items()), self.calendar)
        digest.update(hashlib.sha256(repr(parts).encode()).digest())
        if self.lagged is not None:
            digest.update(repr(self.past).encode() + np.ascontiguousarray(self.lagged).tobytes())

    @property
    def asked(self) -> dict[str, list[str]]:
        """Names by part, as `forecheck.load` takes them."""
        parts = {"known": self.known, "past": self.past, "static": self.static, "calendar": self.calendar}
        return {part: list(names) for part, names in parts.items() if names}
