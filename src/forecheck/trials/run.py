"""Running one trial: cut the data, fit, score, and write the result."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

import forecheck
from forecheck.attention.edits import edit_from_dict
from forecheck.attention.identity import identity_test
from forecheck.attention.means import mean_patterns
from forecheck.attention.sites import Attached, Subject, attach
from forecheck.data.splits import PARTS
from forecheck.data.windows import Experiment, Windows, prepare
from forecheck.errors import ForecheckError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster, Task
from forecheck.forecasters.given import Given
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.statistics.metrics import observed_mean
from forecheck.training.loop import Progress, within
from forecheck.trials.rolling import score_rolled
from forecheck.trials.score import Predicts, Scores, batch_size, score
from forecheck.trials.store import Array, Store
from forecheck.trials.trial import GIVEN, Trial

_EXAMPLES = 6
_CALIBRATION_WINDOWS = 512


def run_trial(
    trial: Trial, store: Store, progress: Progress | None = None, models: Mapping[str, Given] | None = None
) -> None:
    """Run a trial and put its result into the store; a fit goes on from its last checkpoint.

    Args:
        trial: what to run.
        store: holds its panel and, for an edit or a measure of a trained model, its parent.
        progress: told of progress.
        models: by fingerprint, models that were trained elsewhere.

    Raises:
        ForecheckError: if the trial cannot be run as described.
        FloatingPointError: if training or forecasting leaves the finite numbers.
    """
    panel = store.get_panel(trial.data)
    experiment = prepare(panel, trial.lookback, trial.horizon, trial.split, trial.step)
    if trial.measure is not None:
        _run_measure(trial, experiment, store, models or {})
    elif trial.posthoc:
        _run_posthoc(trial, experiment, store, progress, models or {})
    elif trial.forecaster == GIVEN:
        _run_given(trial, experiment, store, progress, models or {})
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


def _run_fit(trial: Trial, experiment: Experiment, store: Store, progress: Progress | None) -> None:
    task = Task(trial.lookback, trial.horizon, experiment.train.channels, trial.period)
    forecaster = registry.create(trial.forecaster, task, trial.config)
    fit_options: dict[str, Any] = {}
    if isinstance(forecaster, NeuralForecaster):
        if trial.edit is not None:
            forecaster = type(forecaster)(task, forecaster.config, edit_from_dict(trial.edit))
        fit_options["checkpoint"] = store.checkpoint(trial)
    elif trial.edit is not None:
        raise ForecheckError(f"{trial.forecaster} has no attention to edit")
    train, held_out = blind(experiment)
    report = forecaster.fit(train, held_out, trial.seed, progress, **fit_options)
    summary, arrays = _scored(forecaster, experiment, progress)
    if trial.refit:
        rolled, refits = score_rolled(forecaster, report.details, experiment, trial.refit, progress)
        summary |= _summary(experiment, rolled) | {"refits": refits}
        arrays |= _arrays(rolled)
    summary["fit"] = {"seconds": report.seconds, "parameters": report.parameters, "details": report.details}
    summary["harness"]["test_rows_hidden_from_fit"] = bool(np.isnan(train.values).any())
    if isinstance(forecaster, NeuralForecaster) and trial.edit is None:
        attention, patterns = _attention(Subject.of(forecaster.module), experiment)
        summary["attention"] = attention
        arrays |= patterns
    store.put(trial, summary, arrays, forecaster)


def _run_given(
    trial: Trial, experiment: Experiment, store: Store, progress: Progress | None, models: Mapping[str, Given]
) -> None:
    """Score a model that was trained elsewhere."""
    model = _given(trial, models)
    report = model.fit(experiment.train, experiment.validation)
    summary, arrays = _scored(model, experiment, progress)
    summary["fit"] = {"seconds": None, "parameters": report.parameters, "details": {}}
    attention, patterns = _attention(model.subject, experiment)
    summary["attention"] = attention
    store.put(trial, summary, arrays | patterns)


def _given(trial: Trial, models: Mapping[str, Given]) -> Given:
    fingerprint = trial.config["fingerprint"]
    if fingerprint not in models:
        raise ForecheckError(f"{trial.name} lives in the memory of the process that was given it, not here")
    return models[fingerprint]


def _trained(trial: Trial, store: Store, models: Mapping[str, Given]) -> tuple[Forecaster, Subject]:
    """The trained forecaster that a post-hoc trial or a measure is about, and what can be edited of it."""
    parent = trial.parent
    assert parent is not None
    if trial.forecaster == GIVEN:
        model = _given(trial, models)
        return model, model.subject
    forecaster = registry.load(store.model(parent))
    if isinstance(forecaster, NeuralForecaster):
        return forecaster, Subject.of(forecaster.module)
    return forecaster, Subject(forecaster.predict)


def _scored(
    forecaster: Forecaster, experiment: Experiment, progress: Progress | None
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Losses on test and validation windows, and what the harness checks of a forecaster."""
    started = time.perf_counter()
    scores = score(forecaster, experiment.test, progress)
    scoring = time.perf_counter() - started
    validation = score(forecaster, experiment.validation)
    summary = _summary(experiment, scores) | {
        "scoring_seconds": scoring,
        "validation_mse": float(observed_mean(validation.mse)),
        "harness": {"batch_difference": batch_difference(forecaster, experiment.test)},
    }
    return summary, _arrays(scores) | example_forecasts(forecaster, experiment.test)


class _Through:
    """What an edited model forecasts, for scoring."""

    def __init__(self, attached: Attached) -> None:
        self._attached = attached

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast with the edits in place."""
        return self._attached(x)


def _run_posthoc(
    trial: Trial, experiment: Experiment, store: Store, progress: Progress | None, models: Mapping[str, Given]
) -> None:
    """Score an edited model, on average over the edit's draws; an edit that fits nowhere says why instead."""
    assert trial.edit is not None
    _, subject = _trained(trial, store, models)
    edit = edit_from_dict(trial.edit)
    example, _ = experiment.train.gather(slice(0, 2))
    drawn: list[Scores] = []
    examples: dict[str, Array] = {}
    try:
        for draw in range(edit.draws):
            with edit.drawn(draw).on(subject, example, calibration(experiment.train)) as attached:
                through = _Through(attached)
                part = within(progress, draw / edit.draws, (draw + 1) / edit.draws)
                drawn.append(score(through, experiment.test, part))
                if draw == 0:
                    examples = example_forecasts(through, experiment.test)
    except UsageError as error:
        store.put(trial, {"why_not": str(error), **_versions()}, {})
        return
    scores = Scores(*(np.mean([getattr(one, name) for one in drawn], axis=0) for name in ("mse", "mae", "horizon_mse")))
    store.put(trial, _summary(experiment, scores) | {"draws": edit.draws}, _arrays(scores) | examples)


def _run_measure(trial: Trial, experiment: Experiment, store: Store, models: Mapping[str, Given]) -> None:
    """Measure something on a trained model."""
    from forecheck.probes import MEASURES, Case

    assert trial.measure is not None
    forecaster, subject = _trained(trial, store, models)
    summary, arrays = MEASURES[trial.measure](Case(subject, forecaster, experiment, trial.seed))
    store.put(trial, summary | _versions(), arrays)


def calibration(train: Windows) -> list[torch.Tensor]:
    """Inputs of training windows spread evenly over the training part, in batches."""
    index = torch.linspace(0, len(train) - 1, min(len(train), _CALIBRATION_WINDOWS)).round().long()
    index = torch.unique(index)
    return [train.gather(part)[0] for part in torch.split(index, min(64, batch_size(train)))]


def _attention(subject: Subject, experiment: Experiment) -> tuple[dict[str, Any], dict[str, Array]]:
    """Identity test of the adapter, and the mean raw pattern of every layer over training windows."""
    example, _ = experiment.test.gather(slice(0, 4))
    with attach(subject, example) as attached:
        if not attached.sites:
            return {"adapter": "", "why_not": attached.why_not, "layers": 0}, {}
        test = identity_test(subject, attached, example)
        described = {
            "adapter": attached.describe(),
            "layers": len(attached.sites),
            "sites": [
                {key: getattr(site, key) for key in ("layer", "path", "heads", "queries", "keys")}
                for site in attached.sites
            ],
            "identity_error": test.worst,
            "identity": asdict(test),
        }
        try:
            means = mean_patterns(attached, calibration(experiment.train))
        except UsageError:  # patterns that change their size have no mean
            means = {}
    return described, {f"attention_{layer}": pattern.numpy() for layer, pattern in means.items()}


def _arrays(scores: Scores) -> dict[str, Array]:
    return {"mse": scores.mse, "mae": scores.mae, "horizon_mse": scores.horizon_mse}


def _summary(experiment: Experiment, scores: Scores) -> dict[str, Any]:
    """Losses in both units, window counts and versions."""
    std = experiment.scaler.std[experiment.panel.series_of(experiment.test.origins)]  # (window, channel)
    return {
        "mse": float(observed_mean(scores.mse)),
        "mae": float(observed_mean(scores.mae)),
        "mse_real": float(observed_mean(scores.mse * std**2)),
        "mae_real": float(observed_mean(scores.mae * std)),
        "windows": {part: len(experiment.part(part)) for part in PARTS},
        **_versions(),
    }


def _versions() -> dict[str, Any]:
    return {
        "versions": {
            "forecheck": forecheck.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "threads": torch.get_num_threads(),
    }


def batch_difference(forecaster: Forecaster, windows: Windows, count: int = 5) -> float:
    """Largest relative change of a forecast when its batch is cut into single windows."""
    x, _ = windows.gather(slice(0, count))
    whole = forecaster.predict(x)
    parts = torch.cat([forecaster.predict(one) for one in torch.split(x, 1)])
    return float((whole - parts).abs().max() / whole.abs().max().clamp(min=1e-12))


def example_windows(windows: Windows) -> torch.Tensor:
    """Indices of a few test windows, evenly spread: chosen by position, never by how good the forecast looks."""
    return torch.linspace(0, len(windows) - 1, min(len(windows), _EXAMPLES)).round().long()


def example_forecasts(forecaster: Predicts, windows: Windows) -> dict[str, Array]:
    """Forecasts of the example windows (example, horizon, channel)."""
    x, _ = windows.gather(example_windows(windows))
    return {"examples": forecaster.predict(x).float().numpy()}
