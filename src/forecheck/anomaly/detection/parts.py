"""Which rows are trained on, chosen by, calibrated by and scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from forecheck.data.panel import Panel
from forecheck.data.splits import Borders, parse_split
from forecheck.errors import DataError, UsageError

_VALIDATION = 0.2
"""Share of the rows of the fit by which models are chosen and errors are scaled."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Borders of every series, counted from its own first row: four parts, one after the other.

    Attributes:
        split: of the fit, in the notation of splits; its test part is calibration and scored rows together.
        train_end: weights are fitted on the rows before.
        fit_end: models are chosen and errors are scaled by the rows from there on to here.
        calibration_end: the threshold is set by the rows from there on to here; the rows from here on are scored.
    """

    split: str
    train_end: Int[np.ndarray, " series"]
    fit_end: Int[np.ndarray, " series"]
    calibration_end: Int[np.ndarray, " series"]


def parts_of(panel: Panel, train: float, calibrate: float) -> Parts:
    """Cut a panel; several series are cut at the same times.

    Args:
        panel: the data.
        train: share of the rows of the fit, of which the last fifth chooses and scales.
        calibrate: share of the rows of the calibration part, which follows.

    Raises:
        UsageError: if a share is none, or nothing is left to score.
        DataError: if a part would be empty.
    """
    for name, share in (("train", train), ("calibrate", calibrate)):
        if not 0 < share < 1:
            raise UsageError(f"--{name} is a share of the rows between 0 and 1, got {share:g}", "Write 0.2 for 20 %.")
    if train + calibrate >= 1 - 1e-9:
        raise UsageError(
            f"--train {train:g} and --calibrate {calibrate:g} leave no rows to score", "Their sum must be less than 1."
        )
    fit = round(100 * train, 6)
    chosen = round(_VALIDATION * fit, 6)
    split = _written(fit - chosen, chosen)
    borders = _cut(panel, split)
    known = round(100 * calibrate, 6)
    return Parts(split, borders.train_end, borders.validation_end, _cut(panel, _written(fit, known)).validation_end)


def _written(first: float, second: float) -> str:
    return f"{first:.6f}/{second:.6f}/{100 - round(first, 6) - round(second, 6):.6f}"


def _cut(panel: Panel, split: str) -> Borders:
    try:
        return parse_split(split, panel)
    except DataError as error:
        raise DataError(
            f"{panel.name} is too short to be fitted, calibrated and scored: it has {len(panel.values):,} rows",
            "Give more rows, or other shares (--train, --calibrate).",
        ) from error
