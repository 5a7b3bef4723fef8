"""A closed form fitted on all tables: Gram matrices add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from forecheck.errors import DataError
from forecheck.forecasters.gram import Gram
from forecheck.forecasters.linear import ClosedForm
from forecheck.forecasting.fit import RESIDUALS, conformal_widths
from forecheck.forecasting.streaming.cut import Plan
from forecheck.forecasting.streaming.place import StreamFit
from forecheck.forecasting.streaming.spread import Spread
from forecheck.forecasting.streaming.steps import Answer, GramMatrices, Residuals, grams_of
from forecheck.progress import Progress
from forecheck.statistics.conformal import conformal_rank


@dataclass
class Sums:
    """Gram matrices of all windows so far, by part and group of channels.

    Attributes:
        grams: by part, and of `all` rows; a part is missing until a window of it was met.
        windows: by part.
        turns: test windows by whole steps of the calendar.
    """

    grams: dict[str, list[Gram]] = field(default_factory=dict)
    windows: dict[str, int] = field(default_factory=dict)
    turns: Counter[int] = field(default_factory=Counter)

    def add(self, table: Answer) -> None:
        """Count the windows of a table."""
        for part, windows in table.facts.get("windows", {}).items():
            self.windows[part] = self.windows.get(part, 0) + windows
            if new := grams_of(table, part):
                old = self.grams.get(part)
                self.grams[part] = new if old is None else [one + more for one, more in zip(old, new, strict=True)]
        if "turns" in table.arrays:
            self.turns.update(table.arrays["turns"].tolist())


def fit_stream(
    spread: Spread,
    plan: Plan,
    forecaster: ClosedForm,
    levels: Sequence[float],
    *,
    refit: bool,
    summing: Progress | None = None,
    calibrating: Progress | None = None,
) -> StreamFit:
    r"""Fit on the sums of all tables' Gram matrices, which are those of all windows.

    .. math:: \sum_{w} z_w z_w^\top = \sum_{\text{tables}} \sum_{w \in \text{table}} z_w z_w^\top

    So the fit is that of all data in memory, up to the order of additions. A second pass is made for intervals, over
    the residuals of test windows: all of them, or so many as `forecheck.forecasting.fit` keeps.

    Args:
        spread: the data, and who reads them.
        plan: how they are cut.
        forecaster: not fitted yet.
        levels: coverage of intervals, in percent.
        refit: fit again on all windows, with what validation chose.
        summing, calibrating: called with the progress of the two passes.

    Raises:
        DataError: if a part has no window, or too few for a level.
    """
    pieces, sums = spread.pieces, Sums()
    groups = tuple((group.start, group.stop) for group in forecaster.groups)
    for table in spread.run(GramMatrices(plan, groups), summing):
        sums.add(table)
    for part in ("train", "validation", "test"):
        if part not in sums.grams:
            raise DataError(
                f"{pieces.source.name} is too short: its {part} part has no window of lookback {plan.lookback} "
                f"and horizon {plan.horizon} in any series",
                "Choose a shorter lookback or horizon, or another --split.",
            )
    for level in levels:
        conformal_rank(sums.windows["test"], level / 100)
    report = forecaster.fit_sums(zip(sums.grams["train"], sums.grams["validation"], strict=True))
    ridge = report.details["ridge"]
    strengths = ridge if isinstance(ridge, list) else [ridge]
    final = forecaster.refitted(sums.grams["all"], strengths) if refit else forecaster
    info = {
        "ridge": ridge,
        "validation_mse": {forecaster.name: _mse(forecaster, sums.grams["validation"])},
        "test_mse": _mse(forecaster, sums.grams["test"]),
        "windows": sums.windows,
        "calibration_windows": sums.windows["test"],
        "refitted": refit,
    }
    widths = {}
    if levels:
        residuals = _residuals(spread, plan, forecaster, sums.turns, calibrating)
        widths = conformal_widths(residuals, levels, set(levels))
    return StreamFit(final, widths, info)


def _mse(forecaster: ClosedForm, grams: Sequence[Gram]) -> float:
    r"""Mean squared error over the windows of Gram matrices.

    .. math:: \sum_w \|V^\top x + b - y\|^2 = \operatorname{tr} V^\top G V - 2 \operatorname{tr} V^\top C
              + \sum \|y\|^2 + 2 b^\top (V^\top s - t) + n \|b\|^2
    """
    tensors = forecaster.tensors()
    total, count = 0.0, 0
    for gram, weight, bias in zip(grams, tensors["weight"].numpy(), tensors["bias"].numpy(), strict=True):
        total += float((weight * (gram.inputs @ weight - 2 * gram.cross)).sum() + gram.target_square.sum())
        total += float(2 * bias @ (weight.T @ gram.input_sum - gram.target_sum) + gram.count * bias @ bias)
        count += gram.count * len(bias)
    return max(total, 0.0) / count


def _residuals(
    spread: Spread, plan: Plan, forecaster: ClosedForm, turns: Counter[int], progress: Progress | None
) -> Float[np.ndarray, "window horizon channel"]:
    """Absolute errors of test windows: all, or those of every so many turns, which are the same for all series."""
    task, first = forecaster.task, min(turns)
    stride = max(1, turns.total() * task.horizon * task.channels // RESIDUALS)
    kept = sum(count for turn, count in turns.items() if (turn - first) % stride == 0)
    found = np.empty((kept, task.horizon, task.channels), dtype=np.float32)
    place = 0
    for table in spread.run(Residuals(plan, forecaster, first, stride), progress):
        new = table.arrays.get("residuals", found[:0])
        found[place : place + len(new)] = new
        place += len(new)
    return found
