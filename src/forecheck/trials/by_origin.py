"""Trials of peers: from every origin of a part they forecast all its windows at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from forecheck.combination.seasons import known_seasons
from forecheck.data.causal import causal
from forecheck.data.past import past_of
from forecheck.data.windows import Experiment, Windows
from forecheck.errors import DataError, ForecheckError
from forecheck.peers.base import Assignment, History, Peer
from forecheck.peers.find import create_peer
from forecheck.progress import Progress, within
from forecheck.statistics.metrics import observed_mean
from forecheck.trials.score import Scores, score_made
from forecheck.trials.scored import arrays_of, example_windows, summary_of
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial

_KEPT = 10_000_000
"""Forecasts of a part that are saved."""
RELEASE = "release"
"""Option of a peer's trial that says which release of its library made the result."""


def assignment(horizon: int, period: int, seed: int, experiment: Experiment) -> Assignment:
    """What a peer is asked, seasons of the data's step included.

    Args:
        horizon, period, seed: of the trial.
        experiment: the data.
    """
    return Assignment(horizon, period, known_seasons(experiment.panel.frequency, period), seed)


def run_by_origin(trial: Trial, experiment: Experiment, store: Store, progress: Progress | None) -> None:
    """Fit a peer on the training rows, let it forecast from every validation and test origin, and keep its losses.

    A history are all rows of a series before the origin, in its own units; nothing later reaches the peer. Where it
    cannot forecast a series the last value stands in, and the series is named with the reason.

    Args:
        trial: names the peer.
        experiment: its panel, cut into windows.
        store: where the losses and, if they are few, the forecasts are saved.
        progress: called with the share that is done.

    Raises:
        ForecheckError: if the peer fails as a whole.
    """
    options = {key: value for key, value in trial.config.items() if key != RELEASE}
    peer = create_peer(trial.forecaster, assignment(trial.horizon, trial.period, trial.seed, experiment), options)
    values = causal(experiment.panel)
    started = time.perf_counter()
    if progress is not None:
        progress(0.0, "fit")
    try:
        peer.fit(_training(experiment, values))
        seconds = time.perf_counter() - started
        validation, before = _scored(peer, experiment, experiment.validation, values, within(progress, 0, 0.4))
        scores, made = _scored(peer, experiment, experiment.test, values, within(progress, 0.4, 1))
    except ForecheckError:
        raise
    except Exception as error:
        raise ForecheckError(
            f"{trial.forecaster} fails: {type(error).__name__}: {str(error)[:300]}", "Leave it out of --models."
        ) from error
    summary: dict[str, Any] = summary_of(experiment, scores)
    summary |= {
        "scoring_seconds": time.perf_counter() - started - seconds,
        "validation_mse": float(observed_mean(validation.mse)),
        "fit": {"seconds": seconds, "parameters": None, "details": {}},
        "failures": peer.failures,
    }
    summary |= {part: [sum(used), len(used)] for part, used in peer.used.items()}
    arrays = arrays_of(scores) | {"examples": made[example_windows(experiment.test).numpy()]}
    if max(made.size, before.size) <= _KEPT:
        arrays |= {"forecasts": made, "validation_forecasts": before}
    store.put(trial, summary, arrays)


def failed(name: str, failures: Mapping[str, str], channels: int) -> str:
    """One sentence on the series that a peer could not forecast; empty if there are none.

    Args:
        name: of the peer.
        failures: by series, the reason.
        channels: that the panel has, of all series together.
    """
    if not failures:
        return ""
    first, why = next(iter(failures.items()))
    others = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    return f"{name} cannot forecast {first}{others} of {channels} series ({why}): the last value stands in"


def _training(experiment: Experiment, values: Float[np.ndarray, "time channel"]) -> list[History]:
    """Training rows of every series that has a scale."""
    panel, ends = experiment.panel, experiment.borders.train_end
    found = [
        _history(experiment, values, series, channel, int(panel.offsets[series] + ends[series]), 0)
        for series in np.flatnonzero(experiment.scaler.known).tolist()
        for channel in range(len(panel.channels))
    ]
    return [history for history in found if len(history.values)]


def _history(
    experiment: Experiment,
    values: Float[np.ndarray, "time channel"],
    series: int,
    channel: int,
    end: int,
    place: int,
) -> History:
    """Rows of a channel of a series before row `end` of the panel, from the first that was observed."""
    panel = experiment.panel
    rows = values[int(panel.offsets[series]) : end, channel]
    several, many = len(panel.series) > 1, len(panel.channels) > 1
    name = "/".join(([panel.series[series]] if several or not many else []) + [panel.channels[channel]] * many)
    return History(name, rows[int(np.isnan(rows).sum()) :], place)  # NaN stands before the first only


def _scored(
    peer: Peer,
    experiment: Experiment,
    windows: Windows,
    values: Float[np.ndarray, "time channel"],
    progress: Progress | None,
) -> tuple[Scores, Float[np.ndarray, "window horizon channel"]]:
    """Losses of all windows of a part, and the forecasts, standardised."""
    panel, channels = experiment.panel, windows.channels
    series = panel.series_of(windows.origins)
    mean, std = (part[series][:, None, :] for part in (experiment.scaler.mean, experiment.scaler.std))
    made = np.empty((len(windows), windows.horizon, channels), dtype=np.float32)
    places = np.unique(windows.times, return_inverse=True)[1]
    beside = peer.uses_known and panel.covariates is not None
    order = np.lexsort((series, places)) if beside else np.argsort(places, kind="stable")
    together = 1 if beside else peer.together  # with known columns a place at a time, series in their order
    bounds = [0]
    for first in [*np.flatnonzero(np.diff(places[order])) + 1, len(order)]:  # origins stay whole
        if (first - bounds[-1]) * channels >= together or first == len(order):
            bounds.append(int(first))
    for start, stop in pairwise(bounds):
        rows = order[start:stop]
        histories = [
            _history(experiment, values, int(series[row]), channel, int(windows.origins[row]), int(places[row]))
            for row in rows
            for channel in range(channels)
        ]
        if beside:
            known = np.zeros(len(panel.series), dtype=np.int64)
            known[series[rows]] = windows.origins[rows] - panel.offsets[series[rows]]
            forecast = np.array(peer.forecast_beside(past_of(panel, known, windows.horizon), histories))
        else:
            forecast = np.array(peer.forecast(histories))
        last = np.array([history.values[-1] if len(history.values) else np.nan for history in histories])
        for place in np.flatnonzero(~np.isfinite(forecast).all(axis=1)):
            name = histories[place].name
            peer.failures.setdefault(name, "a forecast is not finite")
            if not np.isfinite(last[place]):
                raise DataError(
                    f"{name} has no observed value before one of its windows", "Give it more training rows."
                )
            forecast[place] = last[place]
        y = forecast.reshape(len(rows), channels, windows.horizon).transpose(0, 2, 1)
        made[rows] = (y - mean[rows]) / std[rows]
        if progress is not None:
            progress(stop / len(order), "forecasts by origin")
    return score_made(lambda index, _: torch.from_numpy(made[index]), windows), made
