"""anchored-net: it is the closed forms plus a share of a branch, and the share is there where the branch helps."""

import numpy as np
import pytest
import torch

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.windows import Windows, prepare
from forecheck.forecasters.anchored_net import AnchoredNet, AnchoredNetConfig, halves
from forecheck.forecasters.base import Task, predict_all
from panels import HOUR

OPTIONS = {"lookbacks": (8, 16), "patch": 4, "width": 16, "hidden": 32, "heads": 2, "layers": 1, "dropout": 0.0}
TRAINING = {"epochs": 12, "batch": 64, "lr": 3e-3, "schedule": "constant"}


def panel(values):
    time = np.datetime64("2024-01-01", "us") + HOUR * np.arange(len(values)).astype("timedelta64[us]")
    return Panel(values, np.array([0, len(values)]), time, ("0",), ("a",), Frequency("us", HOUR), "made")


def tent(rows=2500):
    """A tent map with a little noise: no linear forecast of the next value is any good, a simple bend is."""
    rng, x = np.random.default_rng(0), [0.3]
    for _ in range(rows - 1):
        x.append(min(max(1.96 * min(x[-1], 1 - x[-1]) + 0.01 * rng.standard_normal(), 0), 1))
    return panel(np.array(x)[:, None])


def walk(rows=1500):
    return panel(np.cumsum(np.random.default_rng(0).standard_normal((rows, 1)), axis=0))


def fitted(data, horizon=2, **options):
    experiment = prepare(data, 16, horizon)
    forecaster = AnchoredNet(Task(16, horizon, 1, 1), AnchoredNetConfig(**{**OPTIONS, **TRAINING, **options}))
    return forecaster, forecaster.fit(experiment.train, experiment.validation), experiment


def mse(forecaster, windows):
    _, y = windows.gather(slice(None))
    return float((predict_all(forecaster, windows) - y).double().square().mean())


@pytest.mark.parametrize("branch", ["attention", "mlp"])
def test_a_branch_that_helps_is_kept(branch):
    forecaster, report, experiment = fitted(tent(), branch=branch)
    assert report.details["share"] == 1.0
    assert mse(forecaster, experiment.test) < 0.5 * mse(forecaster.base, experiment.test)


def test_a_branch_that_does_not_help_is_left_out():
    forecaster, report, experiment = fitted(walk(), horizon=12, epochs=3)
    assert report.details["share"] == 0.0
    x, _ = experiment.test.gather(slice(0, 20))
    torch.testing.assert_close(forecaster.predict(x), forecaster.base.predict(x))


def test_the_map_is_all_that_the_closed_forms_do():
    forecaster, _, experiment = fitted(walk(), epochs=1)
    x, _ = experiment.test.gather(slice(0, 20))
    whole = forecaster.base.affine_map()
    found = torch.einsum("blc,clh->bhc", x.double(), whole[:, :-1]) + whole[:, -1].T
    torch.testing.assert_close(found.float(), forecaster.base.predict(x))


def test_what_is_loaded_forecasts_the_same(tmp_path):
    forecaster, _, experiment = fitted(tent(600), epochs=2)
    forecaster.module.share.fill_(0.5)
    forecaster.save(tmp_path)
    x, _ = experiment.test.gather(slice(0, 20))
    loaded = AnchoredNet.load(tmp_path)
    assert torch.equal(loaded.predict(x), forecaster.predict(x))
    network = forecaster.module
    with torch.no_grad():
        torch.testing.assert_close(loaded.predict(x), network.anchor(x) + 0.5 * network.residual(x))


@pytest.mark.parametrize("step", [1, 3])
def test_halves_share_no_target(step):
    origins = np.concatenate([np.arange(10, 50, step), np.arange(80, 140, step), np.array([200])])
    windows = Windows(np.zeros((300, 1)), 8, 5, origins, step)
    first, second = halves(windows)
    rows = [{row + h for row in part.origins for h in range(5)} for part in (first, second)]
    assert rows[0]
    assert rows[1]
    assert not rows[0] & rows[1]


def test_impossible_options():
    with pytest.raises(ValueError, match="lookbacks must be positive"):
        AnchoredNetConfig(lookbacks=(0,))
    with pytest.raises(ValueError, match="level must lie between"):
        AnchoredNetConfig(level=1.0)
    with pytest.raises(ValueError, match="width must be positive"):
        AnchoredNetConfig(width=0)
