"""Running one trial: cut the data, fit, score, and write the result."""

from __future__ import annotations

import platform
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

import forecheck
from forecheck.data.splits import PARTS
from forecheck.data.windows import Experiment, Windows, prepare
from forecheck.errors import ForecheckError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster, Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.interventions.edits import edit_from_dict
from forecheck.interventions.identity import identity_test
from forecheck.interventions.means import mean_patterns
from forecheck.interventions.sites import Subject, attach_sites
from forecheck.training.loop import Progress
from forecheck.trials.ledger import Array, Ledger
from forecheck.trials.score import Scores, batch_size, score
from forecheck.trials.trial import Trial

_EXAMPLES = 6
_CALIBRATION_WINDOWS = 512


def run_trial(trial: Trial, ledger: Ledger, progress: Progress | None = None) -> None:
    """Run a trial and put its result into the ledger; a fit goes on from its last checkpoint.

    Raises:
        ForecheckError: if the trial cannot be run as described.
        FloatingPointError: if training or forecasting leaves the finite numbers.
    """
    panel = ledger.get_panel(trial.data)
    experiment = prepare(panel, trial.lookback, trial.horizon, trial.split, trial.step)
    if trial.posthoc:
        _run_posthoc(trial, experiment, ledger, progress)
    else:
        _run_fit(trial, experiment, ledger, progress)


def blind(experiment: Experiment) -> tuple[Windows, Windows]:
    """Training and validation windows over values whose test rows are NaN: a fit that reads them cannot hide it."""
    values = experiment.train.values.copy()
    first, _ = experiment.borders.rows("test")
    for offset, next_offset, lo in zip(experiment.panel.offsets[:-1], experiment.panel.offsets[1:], first, strict=True):
        values[offset + lo : next_offset] = np.nan
    return replace(experiment.train, values=values), replace(experiment.validation, values=values)


def _run_fit(trial: Trial, experiment: Experiment, ledger: Ledger, progress: Progress | None) -> None:
    task = Task(trial.lookback, trial.horizon, experiment.train.channels, trial.period)
    forecaster = registry.create(trial.forecaster, task, trial.config)
    fit_options: dict[str, Any] = {}
    if isinstance(forecaster, NeuralForecaster):
        if trial.edit is not None:
            forecaster = type(forecaster)(task, forecaster.config, edit_from_dict(trial.edit))
        fit_options["checkpoint"] = ledger.checkpoint(trial)
    elif trial.edit is not None:
        raise ForecheckError(f"{trial.forecaster} has no attention to edit")
    train, held_out = blind(experiment)
    report = forecaster.fit(train, held_out, trial.seed, progress, **fit_options)
    started = time.perf_counter()
    scores = score(forecaster, experiment.test, progress)
    scoring = time.perf_counter() - started
    validation = score(forecaster, experiment.validation)
    summary = _summary(experiment, scores) | {
        "fit": {"seconds": report.seconds, "parameters": report.parameters, "details": report.details},
        "scoring_seconds": scoring,
        "validation_mse": float(validation.mse.mean()),
        "harness": {
            "batch_difference": batch_difference(forecaster, experiment.test),
            "test_rows_hidden_from_fit": bool(np.isnan(train.values).any()),
        },
    }
    arrays = _arrays(scores) | example_forecasts(forecaster, experiment.test)
    if isinstance(forecaster, NeuralForecaster) and trial.edit is None:
        attention, patterns = _attention(forecaster, experiment)
        summary["attention"] = attention
        arrays |= patterns
    ledger.put(trial, summary, arrays, forecaster)


def _run_posthoc(trial: Trial, experiment: Experiment, ledger: Ledger, progress: Progress | None) -> None:
    parent = trial.parent
    assert parent is not None
    assert trial.edit is not None
    forecaster = registry.load(ledger.folder(parent) / "model")
    assert isinstance(forecaster, NeuralForecaster)
    example, _ = experiment.train.gather(slice(0, 2))
    with edit_from_dict(trial.edit).on(forecaster.module, example, calibration(experiment.train)):
        scores = score(forecaster, experiment.test, progress)
        arrays = _arrays(scores) | example_forecasts(forecaster, experiment.test)
    ledger.put(trial, _summary(experiment, scores), arrays)


def calibration(train: Windows) -> list[torch.Tensor]:
    """Inputs of training windows spread evenly over the training part, in batches."""
    index = torch.linspace(0, len(train) - 1, min(len(train), _CALIBRATION_WINDOWS)).round().long()
    index = torch.unique(index)
    return [train.gather(part)[0] for part in torch.split(index, min(64, batch_size(train)))]


def _attention(forecaster: NeuralForecaster, experiment: Experiment) -> tuple[dict[str, Any], dict[str, Array]]:
    """Identity test of the adapter, and the mean raw pattern of every layer over training windows."""
    example, _ = experiment.test.gather(slice(0, 4))
    subject = Subject.of(forecaster.module)
    with attach_sites(subject, example) as attached:
        error = identity_test(subject, attached, example).worst
        means = mean_patterns(attached, calibration(experiment.train))
        described = {"adapter": attached.describe(), "layers": len(attached.sites), "identity_error": error}
    return described, {f"attention_{layer}": pattern.numpy() for layer, pattern in means.items()}


def _arrays(scores: Scores) -> dict[str, Array]:
    return {"mse": scores.mse, "mae": scores.mae, "horizon_mse": scores.horizon_mse}


def _summary(experiment: Experiment, scores: Scores) -> dict[str, Any]:
    """Losses in both units, window counts and versions."""
    std = experiment.scaler.std[experiment.panel.series_of(experiment.test.origins)]  # (window, channel)
    return {
        "mse": float(scores.mse.mean()),
        "mae": float(scores.mae.mean()),
        "mse_real": float((scores.mse * std**2).mean()),
        "mae_real": float((scores.mae * std).mean()),
        "windows": {part: len(experiment.part(part)) for part in PARTS},
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


def example_forecasts(forecaster: Forecaster, windows: Windows) -> dict[str, Array]:
    """Forecasts of the example windows (example, horizon, channel)."""
    x, _ = windows.gather(example_windows(windows))
    return {"examples": forecaster.predict(x).float().numpy()}
