"""Labels: which rows are anomalous. They judge, and are never seen by what is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.data.panel import Panel
from forecheck.errors import DataError, UsageError

_HINTS = ("label", "anomal", "outlier", "is_", "target_")


def without_labels(panel: Panel, labels: Any) -> tuple[Panel, Float[np.ndarray, " time"] | None]:
    """The panel without its column of labels, and the labels: 0, 1, or NaN where they were missing.

    Args:
        panel: the data.
        labels: name of a column of 0 and 1, the labels of all rows, or None.

    Raises:
        UsageError: if there is no such column, or nothing else.
        DataError: if labels are others than 0 and 1, or not as many as rows.
    """
    if labels is None:
        return panel, None
    if not isinstance(labels, str):
        return panel, _checked(_array(labels, panel), "labels")
    if labels not in panel.channels:
        raise UsageError(
            f"{panel.name} has no column {labels!r} of numbers to take as labels; there is {_listed(panel.channels)}",
            "Labels are a column of 0 and 1 beside the values.",
        )
    place = panel.channels.index(labels)
    kept = [other for other in range(len(panel.channels)) if other != place]
    if not kept:
        raise UsageError(f"{panel.name} has no column but its labels", "Give the values that were labelled too.")
    found = panel.values[:, place]
    filled = panel.filled
    if filled is not None:
        found = np.where(filled[:, place], np.nan, found)
        filled = filled[:, kept] if filled[:, kept].any() else None
    channels = tuple(panel.channels[other] for other in kept)
    fills = {name: count for name, count in panel.fills.items() if name != labels}
    rest = replace(panel, values=panel.values[:, kept], channels=channels, filled=filled, fills=fills)
    return rest, _checked(found, f'column "{labels}" of {panel.name}')


def unnamed_labels(panel: Panel) -> list[str]:
    """Channels that look like labels which nobody named: 0 and 1 alone, under a name that says so."""
    binary = ((panel.values == 0) | (panel.values == 1)).all(axis=0)
    return [
        name
        for name, alone in zip(panel.channels, binary, strict=True)
        if alone and any(hint in name.lower() for hint in _HINTS)
    ]


def _array(labels: Any, panel: Panel) -> Float[np.ndarray, " time"]:
    try:
        found = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"labels are no numbers: {error}", "Labels are 0 and 1, or False and True.") from error
    if found.shape != (len(panel.values),):
        raise DataError(
            f"labels have the shape {found.shape}, but {panel.name} has {len(panel.values):,} rows",
            "Give one label a row, in the order of the panel.",
        )
    return found


def _checked(found: Float[np.ndarray, " time"], what: str) -> Float[np.ndarray, " time"]:
    wrong = np.flatnonzero(~np.isnan(found) & (found != 0) & (found != 1))
    if len(wrong):
        raise DataError(
            f"{what}: labels are 0 and 1, but there is {found[wrong[0]]:g} at row {wrong[0]}",
            "Give a column of 0 (normal) and 1 (anomalous).",
        )
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
