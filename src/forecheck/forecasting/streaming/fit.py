"""A closed form fitted on all pieces: Gram matrices add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.data.reading.pieces import Pieces
from forecheck.data.windows import Windows
from forecheck.errors import DataError
from forecheck.forecasters.gram import Gram, gram_of
from forecheck.forecasters.linear import ClosedForm
from forecheck.forecasting.fit import RESIDUALS, conformal_widths
from forecheck.forecasting.streaming.cut import Cut, Plan, cut, served
from forecheck.progress import Progress
from forecheck.statistics.conformal import conformal_rank
from forecheck.trials.score import batch_size


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

    def add(self, piece: Cut, groups: Sequence[slice]) -> None:
        """Count the windows of a piece."""
        for part, windows in piece.windows.items():
            self.windows[part] = self.windows.get(part, 0) + len(windows)
            if not len(windows):
                continue
            new = [gram_of(windows, group) for group in groups]
            old = self.grams.get(part)
            self.grams[part] = new if old is None else [one + more for one, more in zip(old, new, strict=True)]
            if part == "test":
                self.turns.update(_turns(windows).tolist())


@dataclass(frozen=True)
class StreamFit:
    """A fit on all pieces.

    Attributes:
        forecaster: what forecasts, refitted on all rows if that was asked for.
        widths: half-widths of intervals by level, as `forecheck.forecasting.fitted.Fitted` has them.
        info: what validation chose, losses and counts.
    """

    forecaster: ClosedForm
    widths: dict[str, Float[np.ndarray, "horizon channel"]]
    info: dict[str, Any]


def _cuts(pieces: Pieces, plan: Plan, progress: Progress | None) -> Iterator[Cut]:
    """Every piece, cut into windows."""
    return (cut(each.panel, plan) for each in served(pieces, progress) if each.panel is not None)


def fit_stream(
    pieces: Pieces,
    plan: Plan,
    forecaster: ClosedForm,
    levels: Sequence[float],
    *,
    refit: bool,
    summing: Progress | None = None,
    calibrating: Progress | None = None,
) -> StreamFit:
    r"""Fit on the sums of all pieces' Gram matrices, which are those of all windows.

    .. math:: \sum_{w} z_w z_w^\top = \sum_{\text{pieces}} \sum_{w \in \text{piece}} z_w z_w^\top

    So the fit is that of all data in memory, up to the order of additions. A second pass is made for intervals, over
    the residuals of test windows: all of them, or so many as `forecheck.forecasting.fit` keeps.

    Args:
        pieces: the data.
        plan: how they are cut.
        forecaster: not fitted yet.
        levels: coverage of intervals, in percent.
        refit: fit again on all windows, with what validation chose.
        summing, calibrating: called with the progress of the two passes.

    Raises:
        DataError: if a part has no window, or too few for a level.
    """
    sums = Sums()
    for piece in _cuts(pieces, plan, summing):
        sums.add(piece, forecaster.groups)
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
        residuals = _residuals(_cuts(pieces, plan, calibrating), forecaster, sums.turns)
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


def _turns(windows: Windows) -> Any:
    """Whole steps of the calendar at every origin, as `Windows.strided` counts them."""
    return np.floor(windows.times).astype(np.int64)


def _residuals(
    pieces: Iterator[Cut], forecaster: ClosedForm, turns: Counter[int]
) -> Float[np.ndarray, "window horizon channel"]:
    """Absolute errors of test windows: all, or those of every so many turns, which are the same for all series."""
    task, first = forecaster.task, min(turns)
    stride = max(1, turns.total() * task.horizon * task.channels // RESIDUALS)
    kept = sum(count for turn, count in turns.items() if (turn - first) % stride == 0)
    found = np.empty((kept, task.horizon, task.channels), dtype=np.float32)
    place = 0
    for piece in pieces:
        test = piece.windows["test"]
        test = replace(test, origins=test.origins[(_turns(test) - first) % stride == 0])
        for _, x, y in test.batches(batch_size(test)):
            found[place : place + len(y)] = (forecaster.predict(x) - y).abs().numpy()
            place += len(y)
    return found
