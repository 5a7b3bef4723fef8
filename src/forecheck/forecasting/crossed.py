"""Cross-validation as a frame: what models forecast from every origin of the test part, beside what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.combination.origins import truth_of
from forecheck.combination.ragged import from_panel
from forecheck.data.memory import available_memory
from forecheck.data.panel import Panel
from forecheck.data.tabular import Columns
from forecheck.data.windows import Experiment
from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasting.backtest import plan
from forecheck.forecasting.behind import Behind
from forecheck.forecasting.beside import check_backtested
from forecheck.forecasting.candidates import CANDIDATES, COMBINATION
from forecheck.forecasting.combined import unit_names
from forecheck.forecasting.fit import calibrated_widths, conformal_widths
from forecheck.forecasting.fitted import check_level
from forecheck.forecasting.selection import own_lookbacks, usable
from forecheck.forecasting.windows import window_forecasts
from forecheck.peers.find import is_peer
from forecheck.statistics.conformal import conformal_rank
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.score import batch_size
from forecheck.trials.store import Result

Array = np.ndarray[Any, np.dtype[Any]]
Forecasts = Float[np.ndarray, "window horizon channel"]


@dataclass(frozen=True, eq=False)
class CrossValidation(Columns):
    """Forecasts from several origins, in real units.

    Attributes:
        models: what forecast.
        columns: `unique_id`, `ds`, `cutoff` (the last row that was known), `y` (missing where never observed), and
            a column a model, with `<model>-lo-<level>` and `<model>-hi-<level>` for every level.
    """

    models: tuple[str, ...]
    columns: dict[str, Any]

    def __repr__(self) -> str:
        cutoffs, rows = len(np.unique(self.columns["cutoff"])), len(self.columns["ds"])
        return f"<CrossValidation: {', '.join(self.models)}; {cutoffs:,} cutoffs, {rows:,} rows>"

    def _repr_html_(self) -> str:
        """What it is, for a notebook."""
        return f"<p>{escape(repr(self))}</p>"


def run_cross_validation(
    panel: Panel,
    models: Sequence[str] | None,
    protocol: Protocol,
    means: Means,
    *,
    levels: Sequence[float] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    refit: int | None = None,
) -> CrossValidation:
    """Forecasts of every test window of a backtest, by the fits of its first seed; trials in the store are not rerun.

    Intervals are split-conformal, calibrated on the validation windows, by which models chose their strengths: on the
    narrow side.

    Args:
        panel, models, protocol, means, options, refit: as in `forecheck.forecasting.backtest.run_backtest`.
        levels: coverage of intervals, in percent.

    Raises:
        DataError: as there; if there are too few validation windows for a level.
        UsageError: as there; if a level is none, or the frame does not fit into the free memory.
    """
    for level in levels:
        check_level(level)
    if refit is not None and refit < 1:
        raise UsageError(f"refits are a positive number of rows apart, got {refit}")
    period = protocol.season(panel)
    asked = CANDIDATES if models is None else models
    check_backtested(panel, asked)
    windowed = [name for name in asked if not is_peer(name)]
    own = own_lookbacks(panel, protocol.horizon, windowed, protocol.lookback, protocol.split)
    names = usable(CANDIDATES, period, own["seasonal"]) if models is None else list(models)
    own = {name: own[name] for name in names if name in own}
    experiment = protocol.cut(panel, max(own.values(), default=protocol.lookback or 1))
    for level in levels:
        conformal_rank(len(experiment.validation), level / 100)
    planned = plan(experiment, names, options or {}, 1, period, own, refit or 0, means.device)
    _check_room(experiment, len(names) * (1 + 2 * len(levels)))
    means.store.put_panel(panel)
    means(group[0] for group in planned.values())
    columns: dict[str, Forecasts] = {}
    for done, (name, group) in enumerate(planned.items()):
        means.watcher.part("forecasts", done, len(planned))
        lookback = own.get(name, experiment.test.lookback)
        at = experiment if lookback == experiment.test.lookback else protocol.cut(panel, lookback)
        columns |= _columns_of(name, means.store.need(group[0]), at, levels)
    means.watcher.part("forecasts", len(planned), len(planned))
    return CrossValidation(tuple(planned), _laid(experiment, columns))


def rolling_frame(behind: Behind) -> CrossValidation:
    """The combination's forecasts from the rolling origins that it was weighted by, each without itself.

    Raises:
        UsageError: if the forecast is of another model, or the series are too short for rolling origins.
    """
    made, panel = behind.made, behind.panel
    if made is None or not made.origins:
        raise UsageError(
            "there are no forecasts from rolling origins: the model is no combination, or the series are too short",
            "forecheck.cross_validation has the test windows of other models.",
        )
    batch = from_panel(panel)
    channels = len(panel.channels)
    names = np.array(unit_names(panel), dtype=object)
    rows: dict[str, list[Any]] = {key: [] for key in ("unit", "ds", "cutoff", "y", COMBINATION)}
    for k, origin in enumerate(made.origins):
        truth = truth_of(batch, origin)
        # Only what has a scaled error: a series that is too short or still before an origin has no forecast there.
        units = np.flatnonzero(np.isfinite(made.errors[k]).any(axis=1))
        first = panel.offsets[1:][units // channels] - origin.end
        rows["unit"].append(np.repeat(units, origin.horizon))
        rows["ds"].append(panel.time[first[:, None] + np.arange(origin.horizon)].reshape(-1))
        rows["cutoff"].append(np.repeat(panel.time[first - 1], origin.horizon))
        rows["y"].append(truth[units].reshape(-1))
        forecast = truth + made.errors[k] * made.units[k][:, None]
        rows[COMBINATION].append(forecast[units].reshape(-1))
    laid = {key: np.concatenate(parts) for key, parts in rows.items()}
    order = np.argsort(laid["unit"], kind="stable")
    columns = {key: values[order] for key, values in laid.items()}
    columns["y"] = np.ma.masked_invalid(columns["y"])
    unit = columns.pop("unit")
    return CrossValidation((COMBINATION,), {"unique_id": names[unit].tolist(), **columns})


def _columns_of(name: str, result: Result, experiment: Experiment, levels: Sequence[float]) -> dict[str, Forecasts]:
    """Forecasts and intervals of all test windows, in real units."""
    peer = is_peer(name)
    y = _saved(result, "forecasts") if peer else window_forecasts(result, experiment, np.arange(len(experiment.test)))
    of = experiment.panel.series_of(experiment.test.origins)
    mean, std = (part[of][:, None, :] for part in (experiment.scaler.mean, experiment.scaler.std))
    found = {name: y * std + mean}
    if levels:
        for level, width in _widths(result, experiment, levels, peer=peer).items():
            found |= {f"{name}-lo-{level}": (y - width) * std + mean, f"{name}-hi-{level}": (y + width) * std + mean}
    for key, values in found.items():
        if not np.isfinite(values).all():
            raise DataError(f"the forecast {key} for {experiment.panel.name} is not finite", "Try another model.")
    return found


def _widths(
    result: Result, experiment: Experiment, levels: Sequence[float], *, peer: bool
) -> dict[str, Float[np.ndarray, "horizon channel"]]:
    """Conformal half-widths of the validation windows."""
    if not peer:
        calibrated = replace(experiment, test=experiment.validation)
        return calibrated_widths(registry.load(result.folder / "model"), calibrated, levels, set(levels))
    validation = experiment.validation
    y = np.concatenate([y.numpy() for _, _, y in validation.batches(batch_size(validation))])
    return conformal_widths(np.abs(_saved(result, "validation_forecasts") - y), levels, set(levels))


def _saved(result: Result, part: str) -> Forecasts:
    """Forecasts of a model that forecasts series from their end.

    Raises:
        UsageError: if there were too many to be saved.
    """
    if part not in result.arrays:
        raise UsageError(
            f"the forecasts of {result.trial.forecaster} are too many to be saved",
            "Give a larger --step or a shorter --horizon, or leave it out.",
        )
    return np.asarray(result.arrays[part], dtype=np.float64)


def _laid(experiment: Experiment, columns: Mapping[str, Forecasts]) -> dict[str, Any]:
    """One row a unit, cutoff and step, in that order."""
    panel, test = experiment.panel, experiment.test
    rows = test.origins[:, None] + np.arange(test.horizon)  # (window, step)
    truth = panel.values if panel.filled is None else np.where(panel.filled, np.nan, panel.values)
    of, channels = panel.series_of(test.origins), len(panel.channels)
    windows = np.argsort(of, kind="stable")
    unit = (of[windows, None] * channels + np.arange(channels)).reshape(-1)  # (window, channel)
    order = np.argsort(unit, kind="stable")

    def laid(values: Array) -> Array:
        by_unit = values[windows].transpose(0, 2, 1).reshape(len(unit), test.horizon)
        return np.asarray(by_unit[order].reshape(-1))

    def stamps(values: Array) -> Array:
        return laid(np.repeat(values[:, :, None], channels, axis=2))

    names = np.array(unit_names(panel), dtype=object)
    return {
        "unique_id": np.repeat(names[unit[order]], test.horizon).tolist(),
        "ds": stamps(panel.time[rows]),
        "cutoff": stamps(np.repeat(panel.time[test.origins - 1][:, None], test.horizon, axis=1)),
        "y": np.ma.masked_invalid(laid(truth[rows])),
        **{key: laid(values) for key, values in columns.items()},
    }


def _check_room(experiment: Experiment, columns: int) -> None:
    """Refuse a frame that the free memory does not hold (UsageError)."""
    rows = len(experiment.test) * experiment.test.horizon * experiment.test.channels
    free, needed = available_memory(), rows * (120 + 24 * columns)  # bytes: names, stamps, numbers, and their copies
    if free is not None and needed > free:
        raise UsageError(
            f"forecasts of {rows:,} rows need about {needed / 1e9:.3g} GB of memory, {free / 1e9:.3g} GB are free",
            "Give a larger --step, a shorter --horizon, or fewer models.",
        )
