"""Linear models by gradient descent: their equations, and where they go with enough training."""

import numpy as np
import pytest
import torch

from forecheck.data.windows import Windows
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task, predict_all
from forecheck.nn.decomposition import moving_average

L, H, C = 12, 3, 2
TASK = Task(L, H, C)


def windows(count=150, seed=0):
    rng = np.random.default_rng(seed)
    steps = np.arange(count + L + H - 1)[:, None]
    values = np.sin(2 * np.pi * steps / 7 + np.arange(C)) + 0.3 * rng.standard_normal((len(steps), C))
    return Windows(values, L, H, np.arange(L, L + count))


def mse(forecaster, on):
    return float((predict_all(forecaster, on) - on.gather(slice(0, len(on)))[1]).square().mean())


@pytest.mark.parametrize("name", ["nlinear", "dlinear"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_with_enough_training_it_is_least_squares(name, per_channel):
    """On the training windows nothing linear is better; the descent ends within 1e-4 of it."""
    on = windows()
    best = registry.create(name, TASK, {"ridge": 0, "per_channel": per_channel})
    best.fit(on, on)
    recipe = {"epochs": 300, "patience": 300, "lr": 0.2, "batch": 150, "micro_batch": 150, "schedule": "cosine"}
    descended = registry.create(f"{name}-sgd", TASK, recipe | {"per_channel": per_channel})
    descended.fit(on, on)
    assert 1 - 1e-5 < mse(descended, on) / mse(best, on) < 1 + 1e-4


@pytest.mark.parametrize("per_channel", [False, True])
def test_forwards_are_their_equations(per_channel):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((5, L, C))).float()
    options = {"per_channel": per_channel}
    n, d = (registry.create(f"{name}-sgd", TASK, options).module for name in ("nlinear", "dlinear"))
    for channel in range(C):
        group = channel if per_channel else 0
        one = x[..., channel]

        def through(part, series, group=group):
            return series @ part.weight[group] + part.bias[group]

        expected = through(n.map, one - one[:, -1:]) + one[:, -1:]
        torch.testing.assert_close(n(x)[..., channel], expected)
        trend = moving_average(one[..., None], 25)[..., 0]
        expected = through(d.remainder, one - trend) + through(d.trend, trend)
        torch.testing.assert_close(d(x)[..., channel], expected)


@pytest.mark.parametrize(("name", "parts"), [("nlinear-sgd", 1), ("dlinear-sgd", 2)])
@pytest.mark.parametrize(("per_channel", "groups"), [(False, 1), (True, C)])
def test_parameters_counted_by_hand(name, parts, per_channel, groups):
    made = registry.create(name, TASK, {"per_channel": per_channel})
    assert sum(p.numel() for p in made.module.parameters()) == parts * groups * (L * H + H)


def test_an_even_average_is_refused():
    with pytest.raises(UsageError, match="kernel must be odd and positive, got 4"):
        registry.create("dlinear-sgd", TASK, {"kernel": 4})
