"""Histories as the long frame of Nixtla's libraries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forecheck.peers.base import Forecasts, History


def frame_of(histories: Sequence[History]) -> Any:
    """`unique_id, ds, y` in pandas: histories by number, times by place in the history.

    Args:
        histories: each a series of its own, those of one series at several places too.
    """
    import pandas as pd

    values = [history.values for history in histories]  # noqa: PD011  no frame
    lengths = [len(each) for each in values]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(len(histories)), lengths),
            "ds": np.concatenate([np.arange(length) for length in lengths]),
            "y": np.concatenate(values),
        }
    )


def forecasts_of(made: Any, count: int, horizon: int) -> Forecasts:
    """The last column of a frame of forecasts, a row a history.

    Args:
        made: `unique_id, ds`, and a column of forecasts.
        count: of histories.
        horizon: H.
    """
    made = made.reset_index() if "unique_id" not in made.columns else made
    ordered = made.sort_values(["unique_id", "ds"])
    found: Forecasts = ordered.iloc[:, -1].to_numpy(dtype=np.float64).reshape(count, horizon)
    return found
