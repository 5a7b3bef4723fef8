"""Refits: what was chosen stays, the rest is as if fitted on the new windows; and Gram matrices add up."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task, predict_all
from forecheck.forecasters.gram import gram
from forecheck.forecasters.refit import can_refit, grams, refitted
from panels import hourly, ragged

LINEAR = ("nlinear", "rlinear", "linear", "dlinear")


def fitted(name, experiment, **options):
    windows = experiment.train
    forecaster = registry.create(name, Task(windows.lookback, windows.horizon, windows.channels, 7), options)
    return forecaster, forecaster.fit(windows, experiment.validation).details


@pytest.mark.parametrize("panel", [hourly(300), ragged()], ids=["one series", "ragged"])
@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("per_channel", [False, True])
def test_linear_ones_keep_the_strength_of_every_group(panel, name, per_channel):
    experiment = prepare(panel, 16, 4)
    forecaster, details = fitted(name, experiment, per_channel=per_channel)
    again = refitted(forecaster, grams(forecaster, experiment.validation), details)
    for c, ridge in enumerate(details["ridge"] if per_channel else [details["ridge"]]):
        group = slice(c, c + 1) if per_channel else slice(None)
        windows = replace(experiment.validation, values=experiment.validation.values[:, group])
        alone = registry.create(name, Task(16, 4, windows.channels, 7), {"ridge": ridge})
        alone.fit(windows, windows)
        x, _ = experiment.test.gather(slice(0, 5))
        torch.testing.assert_close(again.predict(x)[..., group], alone.predict(x[..., group]))


@pytest.mark.parametrize("name", [*LINEAR, "anchored"])
def test_a_refit_on_the_training_windows_changes_nothing(name):
    experiment = prepare(hourly(300), 16, 4)
    forecaster, details = fitted(name, experiment)
    before = predict_all(forecaster, experiment.test)
    again = refitted(forecaster, grams(forecaster, experiment.train), details)
    torch.testing.assert_close(predict_all(again, experiment.test), before)
    other = refitted(forecaster, grams(forecaster, experiment.test), details)
    assert (predict_all(other, experiment.test) - before).abs().max() > 1e-3
    torch.testing.assert_close(predict_all(forecaster, experiment.test), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "can"), [*((name, True) for name in LINEAR), ("anchored", True), ("mean", False), ("itransformer", False)]
)
def test_closed_forms_can_be_refitted(name, can):
    forecaster = registry.create(name, Task(16, 4, 1))
    assert can_refit(forecaster) is can
    if not can:
        with pytest.raises(TypeError, match=f"{name} is not fitted in closed form"):
            refitted(forecaster, [], {})


@pytest.mark.parametrize("cuts", [(60, 61), (100,), (30, 90, 140)])
def test_gram_matrices_add_up(cuts):
    windows = prepare(ragged(), 8, 3).train
    parts = [gram(replace(windows, origins=part)) for part in np.split(windows.origins, cuts)]
    total, whole = sum(parts[1:], start=parts[0]), gram(windows)
    assert whole.gaps is None
    for field in fields(whole)[:-1]:
        np.testing.assert_allclose(getattr(total, field.name), getattr(whole, field.name), rtol=1e-11, atol=1e-11)
