"""Trials of models that are there already: edited after training, measured, or trained elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.attention.edits import edit_from_dict
from forecheck.attention.identity import identity_test
from forecheck.attention.means import mean_patterns
from forecheck.attention.sites import Attached, Subject, attach
from forecheck.data.windows import Experiment, Windows
from forecheck.errors import ForecheckError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster
from forecheck.forecasters.external import External
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.placed import place
from forecheck.progress import Progress, within
from forecheck.trials.score import Scores, batch_size, score
from forecheck.trials.scored import arrays_of, example_forecasts, scored, summary_of, versions
from forecheck.trials.store import Array, Store
from forecheck.trials.trial import EXTERNAL, Trial

_CALIBRATION_WINDOWS = 512


def run_external(
    trial: Trial, experiment: Experiment, store: Store, progress: Progress | None, models: Mapping[str, Forecaster]
) -> None:
    """Score a model that was trained elsewhere.

    Args:
        trial: names the model by its fingerprint.
        experiment: its panel, cut into windows.
        store: where the losses and, if attention was reached, mean patterns are saved.
        progress: called with the share that is done.
        models: trained elsewhere, by fingerprint.
    """
    model = _external(trial, models)
    report = model.fit(experiment.train, experiment.validation)
    summary, arrays = scored(model, experiment, progress)
    summary["fit"] = {"seconds": None, "parameters": report.parameters, "details": {}}
    try:
        attention, patterns = reached(model.subject, experiment)
    except Exception as error:  # noqa: BLE001  whatever the model raises ends no audit
        attention, patterns = {"adapter": "", "why_not": _failed(error), "layers": 0}, {}
    summary["attention"] = attention
    store.put(trial, summary, arrays | patterns)


def _external(trial: Trial, models: Mapping[str, Forecaster]) -> External:
    fingerprint = trial.config["fingerprint"]
    if fingerprint not in models:
        raise ForecheckError(f"{trial.name} lives in the memory of the process that was given it, not here")
    model = models[fingerprint]
    assert isinstance(model, External)
    return model


def _trained(trial: Trial, store: Store, models: Mapping[str, Forecaster]) -> tuple[Forecaster, Subject]:
    """The trained forecaster that a post-hoc trial or a measure is about, and what can be edited of it."""
    parent = trial.parent
    assert parent is not None
    if trial.forecaster == EXTERNAL:
        model = _external(trial, models)
        return model, model.subject
    forecaster = registry.load(store.model(parent))
    if isinstance(forecaster, NeuralForecaster):
        place(forecaster.module, trial.device)
        return forecaster, Subject.of(forecaster.module)
    return forecaster, Subject(forecaster.predict)


class _Through:
    """What an edited model forecasts, for scoring."""

    def __init__(self, attached: Attached) -> None:
        self._attached = attached

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast with the edits in place."""
        return self._attached(x)


def run_posthoc(
    trial: Trial, experiment: Experiment, store: Store, progress: Progress | None, models: Mapping[str, Forecaster]
) -> None:
    """Score an edited model, on average over the edit's draws; an edit that fits nowhere says why instead.

    Args:
        trial: with an edit, and the fit that is edited.
        experiment: its panel, cut into windows.
        store: holds the fit; the losses are saved there, or why the edit cannot be made.
        progress: called with the share that is done.
        models: trained elsewhere, by fingerprint.
    """
    assert trial.edit is not None
    _, subject = _trained(trial, store, models)
    edit = edit_from_dict(trial.edit)
    example, _ = experiment.train.gather(slice(0, 2))
    test = experiment.test.on(trial.device)
    drawn: list[Scores] = []
    examples: dict[str, Array] = {}
    try:
        for draw in range(edit.draws):
            with edit.drawn(draw).on(subject, example, calibration(experiment.train)) as attached:
                through = _Through(attached)
                part = within(progress, draw / edit.draws, (draw + 1) / edit.draws)
                drawn.append(score(through, test, part))
                if draw == 0:
                    examples = example_forecasts(through, test)
    except UsageError as error:
        store.put(trial, {"why_not": str(error), **versions()}, {})
        return
    except Exception as error:
        if trial.forecaster != EXTERNAL or isinstance(error, MemoryError):
            raise
        store.put(trial, {"why_not": _failed(error), **versions()}, {})
        return
    scores = Scores(*(np.mean([getattr(one, name) for one in drawn], axis=0) for name in ("mse", "mae", "horizon_mse")))
    store.put(trial, summary_of(experiment, scores) | {"draws": edit.draws}, arrays_of(scores) | examples)


def run_measure(trial: Trial, experiment: Experiment, store: Store, models: Mapping[str, Forecaster]) -> None:
    """Measure something on a trained model.

    Args:
        trial: with the name of a measure, and the fit that is measured.
        experiment: its panel, cut into windows.
        store: holds the fit; what is found is saved there, or why it cannot be measured.
        models: trained elsewhere, by fingerprint.
    """
    from forecheck.probes import MEASURES, Case

    assert trial.measure is not None
    forecaster, subject = _trained(trial, store, models)
    try:
        summary, arrays = MEASURES[trial.measure](Case(subject, forecaster, experiment, trial.seed))
    except Exception as error:
        if trial.forecaster != EXTERNAL or isinstance(error, MemoryError):
            raise
        summary, arrays = {"why_not": _failed(error)}, {}
    store.put(trial, summary | versions(), arrays)


def _failed(error: Exception) -> str:
    """What a model of somebody else's did, in one line; the rest of an audit goes on without it."""
    said = str(error).split("\n", 1)[0]
    return said if isinstance(error, ForecheckError) else f"the model failed there: {type(error).__name__}: {said}"


def calibration(train: Windows) -> list[torch.Tensor]:
    """Inputs of training windows spread evenly over the training part, in batches."""
    index = torch.linspace(0, len(train) - 1, min(len(train), _CALIBRATION_WINDOWS)).round().long()
    index = torch.unique(index)
    return [train.gather(part)[0] for part in torch.split(index, min(64, batch_size(train)))]


def reached(subject: Subject, experiment: Experiment) -> tuple[dict[str, Any], dict[str, Array]]:
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
        except ForecheckError:  # patterns that change their size have no mean
            means = {}
    return described, {f"attention_{layer}": pattern.numpy() for layer, pattern in means.items()}


def reached_in(forecaster: Forecaster, experiment: Experiment) -> tuple[dict[str, Any], dict[str, Array]]:
    """As `reached`, under the name `attention`, of a network; nothing of what is none."""
    if not isinstance(forecaster, NeuralForecaster):
        return {}, {}
    described, patterns = reached(Subject.of(forecaster.module), experiment)
    return {"attention": described}, patterns
