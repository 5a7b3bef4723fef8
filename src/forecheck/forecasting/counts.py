"""Forecasts of counts as whole numbers, where that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from forecheck.data.frequency import stamp
from forecheck.data.panel import Panel
from forecheck.errors import DataError

_EXACT = 2.0**53
"""From here on not every whole number is a float64."""


def check_counts(panel: Panel) -> None:
    """Refuse data that are no whole numbers where they were observed (DataError)."""
    odd = panel.values != np.rint(panel.values)
    if panel.filled is not None:
        odd &= ~panel.filled
    if not odd.any():
        return
    row, channel = np.argwhere(odd)[0]
    raise DataError(
        f'{panel.name} holds {panel.values[row, channel]:g} in column "{panel.channels[channel]}" at '
        f"{stamp(panel.time[row])}, which is no whole number",
        "Leave --integer out, or forecast the columns of counts alone (--target).",
    )


def whole_numbers(values: Float[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"] | Float[np.ndarray, "*shape"]:
    r"""The nearest whole numbers, halves to even.

    .. math:: Q_{\operatorname{rint} X}(p) = \operatorname{rint}(Q_X(p))

    Rounding is monotone, so that quantiles of a rounded quantity are the rounded quantiles: none cross, forecasts stay
    within their intervals, and what is not negative stays so.

    Args:
        values: forecasts or ends of intervals; beyond 2^53 and where they are not finite they stay as they are.
    """
    found = np.rint(values)
    return found.astype(np.int64) if (np.abs(found) < _EXACT).all() else values


def counted(columns: dict[str, Any]) -> dict[str, Any]:
    """Columns of a forecast with whole numbers; names and stamps are left as they are.

    Args:
        columns: by name.
    """
    return {name: values if name in ("unique_id", "ds") else whole_numbers(values) for name, values in columns.items()}
