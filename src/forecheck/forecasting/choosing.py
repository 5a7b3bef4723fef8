"""`auto` of forecasts: forecasters of windows against the combination, at the same rolling origins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from forecheck.combination.origins import Origin, truth_of, units_at
from forecheck.combination.ragged import Ragged
from forecheck.data.causal import causal
from forecheck.data.scaling import Scaler
from forecheck.data.windows import Experiment
from forecheck.forecasters.base import Forecaster
from forecheck.forecasters.refit import can_refit, grams, refitted
from forecheck.forecasting.candidates import COMBINATION
from forecheck.forecasting.predicted import predict_rows
from forecheck.forecasting.selection import simplest_unbeaten
from forecheck.statistics.metrics import observed_mean
from forecheck.trials.rolling import windows_before
from forecheck.trials.store import Result

_CERTAIN = 2.0
"""Standard errors by which a forecaster must be better than the combination to be taken in its place."""
_SCOUT = "nlinear"
_REACH = 1.05
"""Loss of the scout beside that of the combination up to which other candidates may beat it."""
Errors = Float[np.ndarray, "origin series step"]


def errors_of(
    result: Result,
    forecaster: Forecaster,
    experiment: Experiment,
    scaler: Scaler,
    batch: Ragged,
    origins: Sequence[Origin],
    lag: int,
) -> Errors:
    """Errors at rolling origins in units of the naive error before them; closed forms are refitted up to the first.

    Args:
        result: of the trial that fitted it.
        forecaster: as it was fitted on the training part.
        experiment: the windows of its lookback.
        scaler: with a scale for every series.
        batch: the series, channels within series.
        origins: the earliest first.
        lag: of the naive error.
    """
    panel, task = experiment.panel, forecaster.task
    if can_refit(forecaster):
        ends = np.maximum(panel.lengths - origins[0].end, 0)
        windows = windows_before(experiment, ends)
        if len(windows):
            forecaster = refitted(forecaster, grams(forecaster, windows), result.summary["fit"]["details"])
    mean, std = (part[:, None, :] for part in (scaler.mean, scaler.std))  # (series, 1, channel)
    known = causal(panel)
    found = []
    for origin in origins:
        places = panel.offsets[1:] - origin.end
        full = panel.lengths - origin.end >= task.lookback
        rows = [known[place - task.lookback : place] for place in places[full]]
        y = np.full((len(panel.series), task.horizon, len(panel.channels)), np.nan)
        if rows:
            y[full] = predict_rows(forecaster, np.stack(rows), mean[full], std[full])[1] * std[full] + mean[full]
        forecast = y.transpose(0, 2, 1).reshape(len(batch.values), task.horizon)
        found.append((forecast - truth_of(batch, origin)) / units_at(batch, origin, lag)[:, None])
    return np.stack(found)


def scaled_losses(errors: Mapping[str, Errors]) -> dict[str, Float[np.ndarray, "origin series"]]:
    """Mean absolute scaled error of every origin and series that all of them forecast; NaN elsewhere."""
    losses = {name: observed_mean(np.abs(each), axis=2) for name, each in errors.items()}
    missing = np.any([np.isnan(loss) for loss in losses.values()], axis=0)
    return {name: np.where(missing, np.nan, loss) for name, loss in losses.items()}


def first_tried(names: Sequence[str]) -> list[str]:
    """The candidate that is fitted before the others, as it is cheap and seldom far behind them; all if it is missing.

    Args:
        names: of candidates.
    """
    return [_SCOUT] if _SCOUT in names else list(names)


def within_reach(losses: Mapping[str, float]) -> bool:
    """Whether other candidates are worth a fit: the first one is near the combination, or cannot be compared.

    Args:
        losses: scaled losses at rolling origins of both, by model; empty if there are none.
    """
    return _SCOUT in losses and losses[_SCOUT] <= _REACH * losses.get(COMBINATION, np.inf)


def chosen_of(
    losses: Mapping[str, Float[np.ndarray, "origin series"]], incumbent: str | None, margin: float
) -> tuple[str, str]:
    """The model that is taken, and the rule that took it.

    With an incumbent it is that one, unless others are better beyond the margin by two standard errors, of which the
    simplest unbeaten one is taken. Errors are the larger ones of those over origins and those over series, as
    origins overlap and series move together. Without one it is the simplest that is not beaten beyond the margin.

    Args:
        losses: scaled, by model; no others than forecasters and the incumbent.
        incumbent: the combination, or None.
        margin: relative difference that counts as none.
    """
    mean = {name: float(np.nanmean(loss)) for name, loss in losses.items()}
    if incumbent is None:
        rule = f"simplest within {100 * margin:g} % of the best scaled error at rolling origins"
        return simplest_unbeaten(mean, margin), rule
    better = {
        name: mean[name]
        for name in losses
        if name != incumbent
        and mean[incumbent] - mean[name] > margin * mean[incumbent]
        and _certain(losses[incumbent] - losses[name])
    }
    if not better:
        return incumbent, f"no candidate is certain to beat it by more than {100 * margin:g} % at rolling origins"
    return simplest_unbeaten(better, margin), f"certain to beat the {incumbent} at rolling origins"


def _certain(gains: Float[np.ndarray, "origin series"]) -> bool:
    """Whether a mean gain exceeds two standard errors, over origins and over series."""
    errors = []
    for axis in (0, 1):
        counted = (~np.isnan(gains)).sum(axis=axis)
        each = np.nansum(gains, axis=axis)[counted > 0] / counted[counted > 0]
        errors.append(each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else 0.0)
    return bool(max(errors) > 0 and np.nanmean(gains) > _CERTAIN * max(errors))
