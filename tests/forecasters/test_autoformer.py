"""Autoformer: its parts in place, its numbers."""

import numpy as np
import pytest
import torch

from forecheck.attention.adapters.native import native_sites
from forecheck.data.windows import Windows
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.autoformer import Autoformer, AutoformerConfig
from forecheck.forecasters.base import Task, predict_all
from forecheck.nn.decomposition import moving_average
from forecheck.nn.seeding import initialise

TASK = Task(24, 4, 3)
TINY = {"width": 8, "hidden": 16, "layers": 2, "label": 10, "moving_average": 7}


def module(**options):
    made = Autoformer(TASK, AutoformerConfig(**(TINY | options))).module
    initialise(made, 0)
    return made.eval()


def windows(batch=5):
    return torch.from_numpy(np.random.default_rng(0).standard_normal((batch, 24, 3))).float()


def test_forward_is_its_parts_in_order():
    made, x = module(decoder_layers=2), windows()
    memory = made.embed_window(x)
    for layer in made.encoder[:2]:
        memory = layer(memory)
    memory = made.encoder[2](memory)
    trend = moving_average(x, 7)
    tokens = made.embed_label(torch.cat([(x - trend)[:, 14:], torch.zeros(5, 4, 3)], dim=1))
    trend = torch.cat([trend[:, 14:], x.mean(dim=1, keepdim=True).expand(-1, 4, -1)], dim=1)
    for layer in made.decoder:
        tokens, more = layer(tokens, memory)
        trend = trend + more
    torch.testing.assert_close(made(x), (made.head(made.norm(tokens)) + trend)[:, 10:])


def test_every_auto_correlation_is_a_site():
    found = native_sites(module(), windows())
    assert [site.path for site in found if "cross" not in site.path] == [
        path for path, _ in module().named_modules() if path.endswith("mixer")
    ]
    assert len(found) == 4


def test_parameters_counted_by_hand():
    correlation, forward, norm = 4 * (8 * 8 + 8), 8 * 16 + 16 + 16 * 8 + 8, 2 * 8
    encoder, decoder = correlation + forward, 2 * correlation + forward + 3 * 8 * 3
    expected = 2 * (3 * 3 * 8) + 2 * encoder + norm + decoder + norm + 8 * 3 + 3
    assert sum(p.numel() for p in module().parameters()) == expected


def test_defaults_are_the_official_ones():
    c = AutoformerConfig()
    assert (c.label, c.width, c.hidden, c.layers, c.decoder_layers) == (48, 512, 2048, 2, 1)
    assert (c.dropout, c.factor, c.moving_average) == (0.05, 1, 25)
    assert (c.lr, c.batch, c.epochs, c.patience) == (1e-4, 32, 10, 3)


def test_it_learns_a_season():
    rng = np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(700)[:, None] / 12 + np.arange(3)) + 0.1 * rng.standard_normal((700, 3))
    train, validation = (Windows(values, 24, 4, np.arange(a, b)) for a, b in ((24, 500), (500, 690)))
    options = {"width": 16, "hidden": 32, "epochs": 6, "lr": 3e-3, "dropout": 0.0}
    forecaster = Autoformer(TASK, AutoformerConfig(**(TINY | options)))
    forecaster.fit(train, validation)
    truth = validation.gather(slice(0, len(validation)))[1]
    assert (predict_all(forecaster, validation) - truth).square().mean() < 0.15


@pytest.mark.parametrize("option", ["factor", "moving_average", "layers"])
def test_impossible_settings_are_named(option):
    with pytest.raises(UsageError, match=f"{option} must be positive, got 0"):
        registry.create("autoformer", TASK, {option: 0})
