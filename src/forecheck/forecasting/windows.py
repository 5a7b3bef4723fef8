"""Forecasts of test windows by the fits that a backtest scored: all of them, or those worth a look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from forecheck.data.frequency import stamp
from forecheck.data.windows import Experiment
from forecheck.forecasters import registry
from forecheck.trials.rolling import rolled
from forecheck.trials.score import batch_size
from forecheck.trials.store import Result

_FEW = 200
"""Steps of a horizon from which on half as many windows are shown."""


def window_forecasts(
    result: Result, experiment: Experiment, places: Int[np.ndarray, " window"]
) -> Float[np.ndarray, "window horizon channel"]:
    """What the forecaster of a result says about some test windows, standardised; refitted as it was when scored.

    Args:
        result: of a fit.
        experiment: of its lookback.
        places: of the windows among the test windows.
    """
    fitted = registry.load(result.folder / "model")
    test = experiment.test
    found = np.empty((len(places), test.horizon, test.channels))
    blocks: Iterable[Any] = [(np.arange(len(test)), fitted)]
    if result.trial.refit:
        blocks = rolled(fitted, result.summary["fit"]["details"], experiment, result.trial.refit)
    for block, forecaster in blocks:
        mine = np.flatnonzero(np.isin(places, block))
        if len(mine):
            windows = replace(test, origins=test.origins[places[mine]])
            found[mine] = np.concatenate(
                [forecaster.predict(x).numpy() for _, x, _ in windows.batches(batch_size(windows))]
            )
    return found


def shown_windows(experiments: Mapping[str, Experiment], results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """A few test windows in real units, those with the largest errors of the first model first, then typical ones.

    What was filled is left out: it was not observed.

    Args:
        experiments: by model, of its lookback; their test windows are the same.
        results: by model, of the fit that is shown.
    """
    first = next(iter(results))
    e = experiments[first]
    most = 4 if e.test.horizon <= _FEW else 2
    chosen = _chosen(results[first].arrays["mse"], e, most)
    places = np.array([window for window, _, _ in chosen], dtype=np.int64)
    forecasts = {name: window_forecasts(result, experiments[name], places) for name, result in results.items()}
    observed = e.panel.values if e.panel.filled is None else np.where(e.panel.filled, np.nan, e.panel.values)
    shown = []
    for number, (window, channel, why) in enumerate(chosen):
        origin = int(e.test.origins[window])
        series = int(e.panel.series_of(np.array([origin]))[0])
        mean, std = e.scaler.mean[series, channel], e.scaler.std[series, channel]
        begin = max(int(e.panel.offsets[series]), origin - max(2 * e.test.horizon, 24))
        values = observed[:, channel]
        shown.append(
            {
                "why": why,
                "series": e.panel.series[series] if len(e.panel.series) > 1 else "",
                "channel": e.panel.channels[channel],
                "origin": stamp(e.panel.time[origin]),
                "unit": "real",
                "input": _numbers(values[begin:origin]),
                "truth": _numbers(values[origin : origin + e.test.horizon]),
                "forecasts": {name: _numbers(y[number, :, channel] * std + mean) for name, y in forecasts.items()},
            }
        )
    return shown


def _chosen(
    losses: Float[np.ndarray, "window channel"], experiment: Experiment, most: int
) -> list[tuple[int, int, str]]:
    """Windows and channels: the worst, then those nearest to the median; none that share targets with another."""
    flat = losses.reshape(-1)
    known = np.flatnonzero(~np.isnan(flat))
    if not len(known):
        return []
    distance = np.abs(flat[known] - np.median(flat[known]))
    orders = {"largest errors": known[np.argsort(-flat[known], kind="stable")]}
    orders["typical"] = known[np.argsort(distance, kind="stable")]
    taken: list[tuple[int, int, str]] = []
    for why, order in orders.items():
        count = 0
        for place in order[:5000].tolist():
            window, channel = divmod(place, losses.shape[1])
            if count < most and not _shares(window, channel, taken, experiment):
                taken.append((window, channel, why))
                count += 1
    return taken


def _shares(window: int, channel: int, taken: Sequence[tuple[int, int, str]], experiment: Experiment) -> bool:
    origins, horizon = experiment.test.origins, experiment.test.horizon
    return any(channel == c and abs(int(origins[window]) - int(origins[w])) < horizon for w, c, _ in taken)


def _numbers(values: Float[np.ndarray, " _"]) -> list[float | None]:
    """To six digits; None for what is not known."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]
