"""TSMixer: its equation, what it mixes, its numbers."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from forecheck.data.windows import Windows
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task, predict_all
from forecheck.forecasters.tsmixer import TSMixer, TSMixerConfig
from forecheck.nn.seeding import initialise

TASK = Task(24, 4, 3)
TINY = {"hidden": 16, "layers": 2}


def module(**options):
    made = TSMixer(TASK, TSMixerConfig(**(TINY | options))).module
    initialise(made, 0)
    return made.eval()


def windows(batch=5):
    return torch.from_numpy(3 + 2 * np.random.default_rng(0).standard_normal((batch, 24, 3))).float()


def by_hand(made, x, activation, norm):
    """The forward pass as sums over indices, in evaluation mode."""

    def normalised(part, z):
        flat = z.reshape(len(z), -1)
        if norm == "batch":
            centred, variance = flat - part.norm.running_mean, part.norm.running_var
        else:
            centred = flat - flat.mean(dim=1, keepdim=True)
            variance = flat.var(dim=1, unbiased=False, keepdim=True)
        return (centred / (variance + 1e-3).sqrt() * part.norm.weight + part.norm.bias).view(z.shape)

    for block in made.blocks:
        time, (inner, outer) = block.time[0], (block.channel[0], block.channel[3])
        over_time = torch.einsum("blc,ml->bmc", normalised(block.time_norm, x), time.weight) + time.bias[:, None]
        x = x + activation(over_time)
        hidden = activation(torch.einsum("blc,fc->blf", normalised(block.channel_norm, x), inner.weight) + inner.bias)
        x = x + torch.einsum("blf,cf->blc", hidden, outer.weight) + outer.bias
    return torch.einsum("blc,hl->bhc", x, made.head.weight) + made.head.bias[:, None]


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_forward_is_the_paper_step_by_step(norm, activation):
    made = module(norm=norm, activation=activation)
    with torch.no_grad():
        made.train()(windows())  # so that running statistics are not at their start
        made.eval()
        expected = by_hand(made, windows(), getattr(functional, activation), norm)
        torch.testing.assert_close(made(windows()), expected, rtol=1e-4, atol=1e-5)


def test_with_window_norm_forecasts_follow_level_and_scale():
    made, x = module(window_norm=True), windows()
    torch.testing.assert_close(made(50 * x + 7), 50 * made(x) + 7, rtol=1e-3, atol=1e-2)
    assert not torch.allclose(module()(x + 7), module()(x) + 7, rtol=1e-3, atol=1e-2)


def test_parameters_counted_by_hand():
    norm = 2 * 24 * 3
    block = 2 * norm + (24 * 24 + 24) + (3 * 16 + 16) + (16 * 3 + 3)
    assert sum(p.numel() for p in module().parameters()) == 2 * block + 24 * 4 + 4


def test_defaults_are_the_official_ones():
    c = TSMixerConfig()
    assert (c.layers, c.hidden, c.dropout, c.norm, c.activation, c.window_norm) == (
        2,
        2048,
        0.05,
        "batch",
        "relu",
        False,
    )
    assert (c.lr, c.batch, c.epochs, c.patience) == (1e-4, 32, 100, 5)


def test_it_learns_who_leads():
    """Of two channels without memory one follows the other H steps later: a map of single channels can do nothing."""
    rng = np.random.default_rng(0)
    leader = rng.standard_normal(1500)
    values = np.stack([leader, np.roll(leader, 4) + 0.1 * rng.standard_normal(1500)], axis=1)
    train, validation, test = (
        Windows(values, 8, 4, np.arange(a, b)) for a, b in ((20, 1000), (1000, 1200), (1200, 1490))
    )
    recipe = {"epochs": 10, "lr": 1e-2, "schedule": "cosine"}
    forecaster = TSMixer(Task(8, 4, 2), TSMixerConfig(hidden=16, layers=1, dropout=0.0, norm="layer", **recipe))
    forecaster.fit(train, validation)
    error = (predict_all(forecaster, test) - test.gather(slice(0, len(test)))[1]).square().mean(dim=(0, 1))
    assert error[1] < 0.3
    assert error[0] > 0.8


@pytest.mark.parametrize("option", ["layers", "hidden"])
def test_impossible_settings_are_named(option):
    with pytest.raises(UsageError, match=f"{option} must be positive, got 0"):
        registry.create("tsmixer", TASK, {option: 0})
