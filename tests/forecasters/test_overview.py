"""What is reported of every forecaster: found out on the untrained one."""

import json
from dataclasses import asdict, fields

import pytest

from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.overview import REFERENCE, overview
from forecheck.forecasters.remedies import REMEDIES, accepted, remedied
from forecheck.verbs.models import models

TASK = Task(lookback=48, horizon=12, channels=2, period=4)
NO_ATTENTION = {"nlinear-sgd", "dlinear-sgd", "tsmixer"}


@pytest.fixture(scope="module")
def reported():
    return {forecaster.name: overview(forecaster, TASK) for forecaster in registry.all_forecasters()}


def test_every_forecaster_says_what_it_mixes(reported):
    assert list(reported) == [forecaster.name for forecaster in registry.all_forecasters()]
    assert all(one["mixes"] and one["source"] and one["summary"] for one in reported.values())


def test_what_an_audit_reaches(reported):
    trained = {name for name, one in reported.items() if one["trained"]}
    reached = {name for name, one in reported.items() if one["attention"]}
    assert trained - reached == NO_ATTENTION
    assert "3 attention sites through the native adapter (4 heads" in reported["patchtst"]["attention"]
    assert "without a pattern" in reported["fedformer"]["attention"]
    assert reported["linear"]["why_not"] == "it is a closed form"
    assert all(bool(one["attention"]) != bool(one["why_not"]) for one in reported.values())


def test_parameters_are_those_of_the_task():
    assert overview(registry.find("linear"), TASK)["parameters"] == (48 + 1) * 12
    per_channel = registry.create("dlinear", TASK, {"per_channel": True, "bias": False})
    assert per_channel.parameters == 2 * 48 * 12
    patchtst = registry.create("patchtst", TASK)
    assert isinstance(patchtst, NeuralForecaster)
    assert patchtst.parameters == sum(p.numel() for p in patchtst.module.parameters())
    net, base = registry.create("anchored-net", TASK), registry.create("anchored", TASK)
    assert net.parameters == sum(p.numel() for p in net.module.parameters()) + base.parameters
    # Three maps of the whole window, one of them with an intercept, and weights of six members: no lookback of the
    # defaults fits in the window.
    assert base.parameters == (3 * 48 + 1) * 12 + 2 * 6


@pytest.mark.parametrize("forecaster", registry.all_forecasters(), ids=lambda forecaster: forecaster.name)
def test_the_remedies_that_are_refused_are_those_that_can_be_taken(forecaster):
    known = {field.name for field in fields(forecaster.Config)}
    small = {"width": 8, "heads": 2, "hidden": 8, "layers": 1, "label": 8, "modes": 4, "span": 24, "patch": 12}
    made = registry.create(forecaster.name, TASK, {key: value for key, value in small.items() if key in known})
    assert accepted(made) == [name for name in REMEDIES if _takes(made, name)]


def _takes(forecaster, remedy):
    try:
        remedied(remedy, forecaster.name, TASK, asdict(forecaster.config))
    except UsageError:
        return False
    return True


def test_what_is_kept_is_what_is_found_out():
    """Made by `python -m forecheck.forecasters.overview`."""
    found = [overview(forecaster) for forecaster in registry.all_forecasters()]
    assert models()[: len(found)] == json.loads(json.dumps(found))
    assert (REFERENCE.lookback, REFERENCE.horizon, REFERENCE.channels) == (336, 96, 7)  # as the command says
