"""Fit: what the backtest's rule picks, or a named model, with calibrated intervals."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

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
from forecheck.forecasting.backtest import plan
from forecheck.forecasting.candidates import CANDIDATES
from forecheck.forecasting.fitted import Fitted, check_lengths, check_level
from forecheck.forecasting.selection import own_lookbacks, simplest_unbeaten, usable
from forecheck.statistics.conformal import conformal_rank
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.rolling import windows_before
from forecheck.trials.score import batch_size

_RESIDUALS = 50_000_000  # numbers of calibration residuals held at once
_PERCENTS = range(1, 100)


def run_fit(
    panel: Panel,
    protocol: Protocol,
    means: Means,
    *,
    model: str = "auto",
    candidates: Sequence[str] = CANDIDATES,
    levels: Sequence[float] = (),
    every_percent: bool = False,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    refit: bool = True,
) -> Fitted:
    """Fit a model for forecasts of the horizon's steps after the end of every series.

    The panel is split in three: models are fitted on the first part, chosen on the second, and the intervals are
    calibrated on the third, which neither fitting nor choosing saw. Then closed-form models are refitted, with what
    was chosen, on everything; the intervals stay those of the calibrated fit.

    Args:
        panel: the data.
        protocol: horizon, split and margin; without a lookback every model has its own, as far as the data allow.
        means: engine, and the store where fits are kept.
        model: name of a forecaster, or `auto`: the simplest candidate not beaten beyond the margin on validation.
        candidates: what `auto` chooses from.
        levels: coverage of the intervals, in percent.
        every_percent: calibrate also all whole percents that there are enough windows for.
        options: by model, options that differ from the defaults.
        refit: refit closed-form models on all rows.

    Raises:
        DataError: if a series is too short, or there are too few windows for a level.
        UsageError: if a name, option or level is wrong.
    """
    panel, note = servable(panel)
    for level in levels:
        check_level(level)
    period, margin, store = protocol.season(panel), protocol.margin, means.store
    asked = candidates if model == "auto" else [model]
    own = own_lookbacks(panel, protocol.horizon, asked, protocol.lookback, protocol.split)
    if protocol.lookback is None:  # every series has to fill one
        own = {name: min(length, int(panel.lengths.min())) for name, length in own.items()}
    names = usable(candidates, period, own.get("seasonal", 0)) if model == "auto" else [model]
    experiment = protocol.cut(panel, max((own[name] for name in names), default=1))
    check_lengths(panel, experiment.test.lookback)
    for level in levels:  # too few windows are told before any work is done
        conformal_rank(len(experiment.test), level / 100)
    left_out = set(own) - set(names)
    planned = plan(
        experiment, names, {key: value for key, value in (options or {}).items() if key not in left_out}, 1, period, own
    )
    store.put_panel(panel)
    means(trial for group in planned.values() for trial in group)
    results = {name: store.need(group[0]) for name, group in planned.items()}
    losses = {name: result.summary["validation_mse"] for name, result in results.items()}
    chosen = simplest_unbeaten(losses, margin)
    result = results[chosen]
    if own[chosen] != experiment.test.lookback:
        experiment = protocol.cut(panel, own[chosen])
    first = registry.load(result.folder / "model")
    report = result.summary["fit"]
    final = _refitted(first, experiment, report["details"]) if refit and can_refit(first) else first
    info = {
        "model": chosen,
        "rule": f"simplest within {100 * margin:g} % of the best validation loss" if model == "auto" else "named",
        "lookback": own[chosen],
        "validation_mse": losses,
        "test_mse": result.summary["mse"],
        "test_mae_real": result.summary["mae_real"],
        "calibration_windows": len(experiment.test),
        "refitted": final is not first,
        "split": experiment.split,
        "read": panel.described,
        "notes": [note] * bool(note),
    }
    widths = _widths(first, experiment, [*levels, *(_PERCENTS if every_percent else ())], set(levels))
    origin = {"data": _described(panel), "fit": report, "versions": result.summary["versions"]}
    scaler = _completed(panel, experiment.scaler)
    return Fitted(final, scaler, panel.series, panel.channels, panel.frequency, widths, info, origin)


def servable(panel: Panel) -> tuple[Panel, str]:
    """The series of a panel that have enough rows to be scaled by, and a sentence on those set aside, if any."""
    ends = panel.lengths
    enough = scalable(panel, Borders(ends, ends, ends))
    if enough.all() or not enough.any():
        return panel, ""
    left = [panel.series[index] for index in np.flatnonzero(~enough)]
    return panel.only(
        enough
    ), f"{len(left):,} of {len(panel.series):,} series have too few rows and no forecast: {listed(left)}"


def _widths(
    fitted: Forecaster, experiment: Experiment, levels: Sequence[float], needed: set[float]
) -> dict[str, Float[np.ndarray, "horizon channel"]]:
    """Conformal half-widths by level, standardised units; series share them, channels do not.

    Levels with too few windows are left out, if they are not needed.
    """
    if not levels:
        return {}
    test = experiment.test
    stride = max(1, len(test) * test.horizon * test.channels // _RESIDUALS)
    windows = test.strided(stride)
    residuals = np.concatenate(
        [(fitted.predict(x) - y).abs().numpy() for _, x, y in windows.batches(batch_size(windows))]
    )
    residuals.sort(axis=0)  # once, for all levels; NaN, of targets that were never observed, comes last
    counts = (~np.isnan(residuals)).sum(axis=0)  # (horizon, channel)
    widths = {}
    for level in levels:
        with contextlib.nullcontext() if level in needed else contextlib.suppress(DataError):
            ranks = {count: conformal_rank(int(count), level / 100) for count in np.unique(counts)}
            place = np.vectorize(ranks.__getitem__, otypes=[np.int64])(counts)
            widths[f"{level:g}"] = np.take_along_axis(residuals, place[None] - 1, axis=0)[0]
    return widths


def _completed(panel: Panel, scaler: Scaler) -> Scaler:
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
