"""Running one trial: cut the data, fit, score, and write the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from forecheck.data.windows import Experiment, Windows, prepare
from forecheck.errors import ForecheckError
from forecheck.forecasters import registry
from forecheck.forecasters.base import FitReport, Forecaster, Task
from forecheck.peers.find import is_peer
from forecheck.progress import Progress
from forecheck.trials.scored import arrays_of, scored, summary_of
from forecheck.trials.store import Store
from forecheck.trials.trial import EXTERNAL, Trial


def run_trial(
    trial: Trial, store: Store, progress: Progress | None = None, models: Mapping[str, Forecaster] | None = None
) -> None:
    """Run a trial and put its result into the store; a fit goes on from its last checkpoint.

    Args:
        trial: what to run.
        store: holds its panel and, for an edit or a measure of a trained model, its parent.
        progress: called with the share that is done.
        models: by fingerprint, models that were trained elsewhere.

    Raises:
        ForecheckError: if the trial cannot be run as described.
        FloatingPointError: if training or forecasting leaves the finite numbers.
    """
    panel = store.get_panel(trial.data)
    experiment = prepare(panel, trial.lookback, trial.horizon, trial.split, trial.step)
    if getattr((models or {}).get(trial.config.get("fingerprint", "")), "timed", False):
        experiment = experiment.stamped()
    if trial.measure is not None:
        from forecheck.trials.posthoc import run_measure

        run_measure(trial, experiment, store, models or {})
    elif trial.posthoc:
        from forecheck.trials.posthoc import run_posthoc

        run_posthoc(trial, experiment, store, progress, models or {})
    elif is_peer(trial.forecaster):
        from forecheck.trials.by_origin import run_by_origin

        run_by_origin(trial, experiment, store, progress)
    elif trial.forecaster == EXTERNAL:
        from forecheck.trials.posthoc import run_external

        run_external(trial, experiment, store, progress, models or {})
    else:
        _run_fit(trial, experiment, store, progress)


def blind(experiment: Experiment) -> tuple[Windows, Windows]:
    """Training and validation windows over values whose test rows are NaN: a fit that reads them cannot hide it.

    Where NaN says that a target was never observed, hidden targets are infinite.
    """
    values = experiment.train.values.copy()
    targets = None if experiment.train.targets is None else experiment.train.targets.copy()
    first, _ = experiment.borders.rows("test")
    for offset, next_offset, lo in zip(experiment.panel.offsets[:-1], experiment.panel.offsets[1:], first, strict=True):
        values[offset + lo : next_offset] = np.nan
        if targets is not None:
            targets[offset + lo : next_offset] = np.inf
    train, validation = experiment.train, experiment.validation
    return replace(train, values=values, targets=targets), replace(validation, values=values, targets=targets)


def fitted(
    trial: Trial, experiment: Experiment, store: Store, progress: Progress | None = None
) -> tuple[Forecaster, FitReport]:
    """The forecaster of a trial, fitted; by all processes that torchrun started, if it is a network.

    Args:
        trial, store, progress: as in `run_trial`.
        experiment: the data as cut.
    """
    task = Task(trial.lookback, trial.horizon, experiment.train.channels, trial.period)
    forecaster = registry.create(trial.forecaster, task, trial.config)
    forecaster, options = _prepared(forecaster, trial, store)
    train, held_out = blind(experiment)
    train, held_out = train.on(trial.device), held_out.on(trial.device)
    if not forecaster.moves:
        return forecaster, forecaster.fit(train, held_out, trial.seed, progress, **options)
    from forecheck.training.parallel import fitting

    with fitting():
        return forecaster, forecaster.fit(train, held_out, trial.seed, progress, **options)


def _run_fit(trial: Trial, experiment: Experiment, store: Store, progress: Progress | None) -> None:
    if registry.find(trial.forecaster).moves:
        from forecheck.training.parallel import met, tell

        if met() is not None:
            tell({"trial": trial.to_dict(), "address": trial.address, "store": store.address})
    forecaster, report = fitted(trial, experiment, store, progress)
    summary, arrays = scored(forecaster, experiment, progress, trial.device)
    if trial.refit:
        from forecheck.trials.rolling import score_rolled

        rolled, refits = score_rolled(forecaster, report.details, experiment, trial.refit, progress)
        summary |= summary_of(experiment, rolled) | {"refits": refits}
        arrays |= arrays_of(rolled)
    summary["fit"] = {"seconds": report.seconds, "parameters": report.parameters, "details": report.details}
    if forecaster.trained and trial.edit is None:
        from forecheck.trials.posthoc import reached_in

        attention, patterns = reached_in(forecaster, experiment)
        summary |= attention
        arrays |= patterns
    store.put(trial, summary, arrays, forecaster)


def _prepared(forecaster: Forecaster, trial: Trial, store: Store) -> tuple[Forecaster, dict[str, Any]]:
    """A forecaster with the trial's edit in place, and the options of its fit."""
    if forecaster.trained:  # what is not trained needs none of these imports
        from forecheck.attention.edits import edit_from_dict
        from forecheck.forecasters.neural import NeuralForecaster

        if isinstance(forecaster, NeuralForecaster):
            if trial.edit is not None:
                forecaster = type(forecaster)(forecaster.task, forecaster.config, edit_from_dict(trial.edit))
            return forecaster, {"checkpoint": store.checkpoint(trial)}
    if trial.edit is not None:
        raise ForecheckError(f"{trial.forecaster} has no attention to edit")
    return forecaster, {}
