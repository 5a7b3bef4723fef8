"""A panel as it was known at an earlier time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from forecheck.data.panel import Panel


def past_of(panel: Panel, rows: Int[np.ndarray, " series"], ahead: int) -> Panel:
    """The first rows of every series; known columns of the rows behind them are those of the future.

    Args:
        panel: the data.
        rows: of every series that are kept, at most its length; series of which none is kept are left out, not all.
        ahead: steps of the future; NaN in known columns where a series has no such row.
    """
    offset = np.arange(len(panel.values)) - np.repeat(panel.offsets[:-1], panel.lengths)
    kept = offset < np.repeat(rows, panel.lengths)
    some = rows > 0
    beside = panel.covariates
    if beside is not None:
        places = panel.offsets[:-1, None] + rows[:, None] + np.arange(ahead)
        there = places < panel.offsets[1:, None]
        future = np.where(there[..., None], beside.values[np.where(there, places, 0)], np.nan)
        beside = replace(replace(beside, future=future).only(some, kept), unseen={})
    return replace(
        panel,
        values=panel.values[kept],
        offsets=np.concatenate([[0], np.cumsum(rows[some])]),
        time=panel.time[kept],
        series=tuple(name for name, there in zip(panel.series, some, strict=True) if there),
        filled=None if panel.filled is None else panel.filled[kept],
        covariates=beside,
    )
