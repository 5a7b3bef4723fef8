"""Fit: what does best at rolling origins, or a named model, with calibrated intervals."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.combination.combine import Combination, lag_of, origins_for
from forecheck.combination.ragged import from_panel
from forecheck.combination.seasons import known_seasons
from forecheck.data.frequency import stamp
from forecheck.data.panel import Panel
from forecheck.data.scaling import Scaler, fit_scaler, scalable
from forecheck.data.source import listed
from forecheck.data.splits import Borders
from forecheck.data.windows import Experiment
from forecheck.errors import DataError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster
from forecheck.forecasters.refit import can_refit, grams, refitted
from forecheck.forecasting.backtest import plan as plan_trials
from forecheck.forecasting.beside import check_uses, notes_on, worths_of
from forecheck.forecasting.candidates import COMBINATION, FORECAST_CANDIDATES
from forecheck.forecasting.choosing import chosen_of, errors_of, first_tried, scaled_losses, within_reach
from forecheck.forecasting.combined import Combined, check_named, combined_panel, fit_combined
from forecheck.forecasting.fitted import Fitted, check_lengths, check_level
from forecheck.forecasting.selection import own_lookbacks, simplest_unbeaten, usable
from forecheck.statistics.conformal import conformal_rank
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.rolling import windows_before
from forecheck.trials.score import batch_size
from forecheck.trials.store import Result
from forecheck.trials.trial import Trial

RESIDUALS = 50_000_000  # numbers of calibration residuals held at once
_PERCENTS = range(1, 100)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Fits that can be made of these data.

    Attributes:
        experiment: windows of the longest lookback.
        lookbacks: by model.
        trials: by model.
    """

    experiment: Experiment
    lookbacks: dict[str, int]
    trials: dict[str, list[Trial]]


def run_fit(
    panel: Panel,
    protocol: Protocol,
    means: Means,
    *,
    model: str = "auto",
    candidates: Sequence[str] = FORECAST_CANDIDATES,
    levels: Sequence[float] = (),
    every_percent: bool = False,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    refit: bool = True,
) -> Fitted | Combined:
    """Fit a model for forecasts of the horizon's steps after the end of every series.

    `auto` takes the combination, unless a candidate is certain to beat it at the same rolling origins
    (`choosing.chosen_of`), or the combination alone where the data are too short for the others. One candidate is tried
    first, and the others only where it comes near the combination (`choosing.within_reach`).

    For forecasters of windows the panel is split in three: they are fitted on the first part, their strengths are
    chosen on the second, and the intervals are calibrated on the third, which neither saw. Then closed-form models
    are refitted, with what was chosen, on everything; the intervals stay those of the calibrated fit.

    Args:
        panel: the data.
        protocol: horizon, split and margin; without a lookback every model has its own, as far as the data allow.
        means: engine, and the store of fits.
        model: name of a forecaster, `combination`, or `auto`.
        candidates: what `auto` chooses from.
        levels: coverage of the intervals, in percent.
        every_percent: calibrate also all whole percents that there are enough windows for.
        options: by model, options that differ from the defaults.
        refit: refit closed-form models on all rows.

    Raises:
        DataError: if a series is too short, or there are too few windows for a level.
        UsageError: if a name, option or level is wrong.
    """
    for level in levels:
        check_level(level)
    if model == COMBINATION:
        check_named(protocol, options or {}, refit=refit)
        return fit_combined(panel, protocol, means)
    auto = model == "auto"
    asked = [name for name in candidates if name != COMBINATION] if auto else [model]
    wanted = auto and COMBINATION in candidates
    if not wanted:
        check_uses(panel, "auto without the combination" if auto else model)
    if wanted and not asked:
        return fit_combined(panel, protocol, means, rule="the only candidate")
    served, note = _servable(panel)
    alone = wanted and protocol.lookback is None and protocol.split is None
    if note and alone:
        return fit_combined(panel, protocol, means, rule=f"the other candidates cannot forecast all series: {note}")
    panel, beside = replace(served, covariates=None), served  # forecasters of windows see the channels alone
    try:
        plan = _planned(panel, protocol, asked, levels, options or {}, means.device, auto=auto)
    except DataError as error:
        if not alone:
            raise
        return fit_combined(beside, protocol, means, rule=f"the other candidates cannot be tried: {error.message}")
    made = combined_panel(beside, protocol.horizon, protocol.period, means) if wanted else None
    means.store.put_panel(panel)
    results = _run(means, plan, list(plan.trials)) if made is None else {}
    if auto:
        results, chosen, rule, rolling = _tried(plan, results, made, protocol, means)
    else:
        chosen, rule, rolling = model, "named", {}
    losses = {name: result.summary["validation_mse"] for name, result in results.items()}
    choice = {"model": chosen, "rule": rule, "validation_mse": losses, "rolling_mase": rolling}
    if chosen == COMBINATION:
        combined = fit_combined(beside, protocol, means, made, rule)
        return replace(combined, info=combined.info | choice)
    info = choice | {"read": panel.described, "notes": [note] * bool(note)}
    _add_known(info, made, beside)
    percents = [*levels, *(_PERCENTS if every_percent else ())]
    return _fitted(plan, protocol, means, results[chosen], info, percents, set(levels), refit=refit)


def _add_known(info: dict[str, Any], made: Combination | None, beside: Panel) -> None:
    """What known and past columns are worth to the combination, though another model was chosen."""
    worths = {} if made is None else worths_of(made)
    if made is not None and worths:
        info |= worths
        unused = f"{info['model']} does not use {' and '.join(worths)} columns"
        info["notes"] = [*info["notes"], *notes_on(made, beside), unused]


def _fitted(
    plan: _Plan,
    protocol: Protocol,
    means: Means,
    result: Result,
    info: dict[str, Any],
    levels: Sequence[float],
    needed: set[float],
    *,
    refit: bool,
) -> Fitted:
    """The chosen forecaster with its intervals, refitted on all rows where it can be."""
    panel, name = plan.experiment.panel, result.trial.forecaster
    experiment = _experiment(plan, protocol, name)
    first = registry.load(result.folder / "model")
    report = result.summary["fit"]
    means.watcher.part("refit and intervals", 0.0, 1)
    final = _refitted(first, experiment, report["details"]) if refit and can_refit(first) else first
    info |= {
        "lookback": plan.lookbacks[name],
        "test_mse": result.summary["mse"],
        "test_mae_real": result.summary["mae_real"],
        "calibration_windows": len(experiment.test),
        "refitted": final is not first,
        "split": experiment.split,
    }
    means.watcher.part("refit and intervals", 0.5, 1)
    widths = calibrated_widths(first, experiment, levels, needed)
    means.watcher.part("refit and intervals", 1.0, 1)
    origin = {"data": _described(panel), "fit": report, "versions": result.summary["versions"]}
    scaler = completed(panel, experiment.scaler)
    names = panel.series, panel.channels, panel.frequency
    return Fitted(final, scaler, *names, widths, info, origin, _losses(result, experiment))


def _losses(result: Result, experiment: Experiment) -> Float[np.ndarray, "series channel"]:
    """Mean absolute error on the test part by series, standardised units; NaN where nothing was observed."""
    mae = result.arrays["mae"]  # (window, channel)
    known = ~np.isnan(mae)
    total, count = np.zeros((2, len(experiment.panel.series), mae.shape[1]))
    of = experiment.panel.series_of(experiment.test.origins)
    np.add.at(total, of, np.where(known, mae, 0.0))
    np.add.at(count, of, known)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _run(means: Means, plan: _Plan, names: Sequence[str]) -> dict[str, Result]:
    """Results of models by name; what is in the store already is not run again."""
    trials = [plan.trials[name][0] for name in names]
    means(trials)
    return {name: means.store.need(trial) for name, trial in zip(names, trials, strict=True)}


def _tried(
    plan: _Plan, results: dict[str, Result], made: Combination | None, protocol: Protocol, means: Means
) -> tuple[dict[str, Result], str, str, dict[str, float]]:
    """Results of those that were fitted, and what `_chosen` gives; beside a combination one is fitted first."""
    names = list(plan.trials)
    results = results or _run(means, plan, first_tried(names))
    chosen, rule, rolling = _chosen(plan, results, made, protocol, means)
    if len(results) < len(names) and within_reach(rolling):
        results = _run(means, plan, names)
        chosen, rule, rolling = _chosen(plan, results, made, protocol, means)
    elif len(results) < len(names) and rolling:
        rule += f"; {', '.join(results)} is so far behind that no other was fitted"
    return results, chosen, rule, rolling


def _servable(panel: Panel) -> tuple[Panel, str]:
    """The series of a panel that have enough rows to be scaled by, and a sentence on those set aside, if any."""
    ends = panel.lengths
    enough = scalable(panel, Borders(ends, ends, ends))
    if enough.all() or not enough.any():
        return panel, ""
    left = [panel.series[index] for index in np.flatnonzero(~enough)]
    said = f"{len(left):,} of {len(panel.series):,} series never change or have too few rows, so no forecast"
    return panel.only(enough), f"{said}: {listed(left)}"


def _planned(
    panel: Panel,
    protocol: Protocol,
    asked: Sequence[str],
    levels: Sequence[float],
    options: Mapping[str, Mapping[str, Any]],
    device: str,
    *,
    auto: bool,
) -> _Plan:
    """What will be fitted; all that cannot be done with these data is refused here."""
    period = protocol.season(panel)
    own = own_lookbacks(panel, protocol.horizon, asked, protocol.lookback, protocol.split)
    if protocol.lookback is None:  # every series has to fill one
        own = {name: min(length, int(panel.lengths.min())) for name, length in own.items()}
    names = usable(asked, period, own.get("seasonal", 0)) if auto else list(asked)
    experiment = protocol.cut(panel, max((own[name] for name in names), default=1))
    check_lengths(panel, experiment.test.lookback)
    for level in levels:
        conformal_rank(len(experiment.test), level / 100)
    if auto:
        completed(panel, experiment.scaler)
    left_out = set(own) - set(names)
    kept = {key: value for key, value in options.items() if key not in left_out}
    return _Plan(experiment, own, plan_trials(experiment, names, kept, 1, period, own, device=device))


def _experiment(plan: _Plan, protocol: Protocol, name: str) -> Experiment:
    """The windows of one model's lookback."""
    whole = plan.experiment
    own = plan.lookbacks[name]
    return whole if own == whole.test.lookback else protocol.cut(whole.panel, own)


def _chosen(
    plan: _Plan, results: Mapping[str, Result], made: Combination | None, protocol: Protocol, means: Means
) -> tuple[str, str, dict[str, float]]:
    """The model, the rule that chose it, and scaled errors at rolling origins by model."""
    panel = plan.experiment.panel
    batch, seasons = from_panel(panel), known_seasons(panel.frequency, protocol.period)
    free = np.repeat(panel.lengths - plan.experiment.borders.validation_end, len(panel.channels))
    origins = [each for each in origins_for(batch, protocol.horizon, seasons) if each.end <= free.max()]
    origins = [each for each in origins if each.horizon == protocol.horizon]
    errors = {}
    if origins and made is not None:
        errors[COMBINATION] = made.errors[[made.origins.index(origin) for origin in origins]]
    for done, (name, result) in enumerate(results.items() if origins else ()):
        means.watcher.part("rolling origins", done, len(results))
        experiment = _experiment(plan, protocol, name)
        scaler = completed(panel, experiment.scaler)
        forecaster = registry.load(result.folder / "model")
        errors[name] = errors_of(result, forecaster, experiment, scaler, batch, origins, lag_of(batch, seasons))
    means.watcher.part("rolling origins", len(results), len(results))
    hidden = np.array([origin.end for origin in origins])[:, None] > free  # forecasters were chosen on these rows
    losses = scaled_losses({name: np.where(hidden[..., None], np.nan, each) for name, each in errors.items()})
    if any(np.isfinite(loss).any() for loss in losses.values()):
        chosen, rule = chosen_of(losses, COMBINATION if made is not None else None, protocol.margin)
        return chosen, rule, {name: float(np.nanmean(loss)) for name, loss in losses.items()}
    if made is not None:
        return COMBINATION, "no rolling origin lies behind the rows by which the others are chosen", {}
    validation = {name: result.summary["validation_mse"] for name, result in results.items()}
    rule = f"simplest within {100 * protocol.margin:g} % of the best validation loss: too short for rolling origins"
    return simplest_unbeaten(validation, protocol.margin), rule, {}


def calibrated_widths(
    fitted: Forecaster, experiment: Experiment, levels: Sequence[float], needed: set[float]
) -> dict[str, Float[np.ndarray, "horizon channel"]]:
    """Conformal half-widths by level, standardised units; series share them, channels do not.

    Levels with too few windows are left out, if they are not needed.

    Args:
        fitted: the forecaster.
        experiment: whose test windows calibrate the intervals.
        levels: coverage, in percent.
        needed: levels that must be there.

    Raises:
        DataError: if there are too few windows for a level that is needed.
    """
    if not levels:
        return {}
    test = experiment.test
    stride = max(1, len(test) * test.horizon * test.channels // RESIDUALS)
    windows = test.strided(stride)
    residuals = np.concatenate(
        [(fitted.predict(x) - y).abs().numpy() for _, x, y in windows.batches(batch_size(windows))]
    )
    return conformal_widths(residuals, levels, needed)


def conformal_widths(
    residuals: Float[np.ndarray, "window horizon channel"], levels: Sequence[float], needed: set[float]
) -> dict[str, Float[np.ndarray, "horizon channel"]]:
    """Conformal half-widths by level of absolute residuals, which are sorted on the way; see `calibrated_widths`.

    Args:
        residuals: absolute errors; NaN where the target was never observed. Sorted in place.
        levels: coverage, in percent.
        needed: levels that must be there; others are left out where there are too few windows.

    Raises:
        DataError: if there are too few windows for a level that is needed.
    """
    residuals.sort(axis=0)  # once, for all levels; NaN, of targets that were never observed, comes last
    counts = (~np.isnan(residuals)).sum(axis=0)  # (horizon, channel)
    widths = {}
    for level in levels:
        with contextlib.nullcontext() if level in needed else contextlib.suppress(DataError):
            ranks = {count: conformal_rank(int(count), level / 100) for count in np.unique(counts)}
            place = np.vectorize(ranks.__getitem__, otypes=[np.int64])(counts)
            widths[f"{level:g}"] = np.take_along_axis(residuals, place[None] - 1, axis=0)[0]
    return widths


def completed(panel: Panel, scaler: Scaler) -> Scaler:
    """With scales of series that began too late to have training rows: all their rows come before what is forecast."""
    if scaler.known.all():
        return scaler
    ends = panel.lengths
    whole = fit_scaler(panel, Borders(ends, ends, ends).only(~scaler.known))
    missing = np.flatnonzero(~(scaler.known | whole.known))
    if len(missing):
        raise DataError(
            f'series "{panel.series[missing[0]]}" of {panel.name} has too few observed rows to be scaled by',
            f"Drop it with --drop {shlex.quote(panel.series[missing[0]])}.",
        )
    known = scaler.known[:, None]
    return Scaler(np.where(known, scaler.mean, whole.mean), np.where(known, scaler.std, whole.std))


def _refitted(fitted: Forecaster, experiment: Experiment, details: Mapping[str, Any]) -> Forecaster:
    """The forecaster fitted on every row."""
    return refitted(fitted, grams(fitted, windows_before(experiment, experiment.panel.lengths)), details)


def _described(panel: Panel) -> dict[str, Any]:
    """What data were fitted."""
    return {
        "name": panel.name,
        "fingerprint": panel.fingerprint,
        "rows": len(panel.values),
        "first": stamp(panel.time.min()),
        "last": stamp(panel.time.max()),
        "fills": panel.fills,
    }
