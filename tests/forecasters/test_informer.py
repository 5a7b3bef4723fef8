"""Informer: its tokens, its sites, its numbers."""

import numpy as np
import pytest
import torch

from forecheck.attention.adapters.native import native_sites
from forecheck.data.windows import Windows
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task, predict_all
from forecheck.forecasters.informer import Distilling, Informer, InformerConfig
from forecheck.forecasters.transformer import Transformer, TransformerConfig
from forecheck.nn.seeding import initialise

TASK = Task(24, 4, 3)
TINY = {"width": 8, "heads": 2, "hidden": 16, "layers": 2, "label": 10}


def module(task=TASK, **options):
    made = Informer(task, InformerConfig(**(TINY | options))).module
    initialise(made, 0)
    return made.eval()


def windows(batch=5):
    return torch.from_numpy(np.random.default_rng(0).standard_normal((batch, 24, 3))).float()


def test_with_all_queries_active_and_no_distilling_it_is_the_transformer():
    made = module(factor=9, distil=False)
    plain = Transformer(TASK, TransformerConfig(**TINY)).module
    plain.load_state_dict({key: value for key, value in made.state_dict().items() if "kernel" not in key})
    torch.testing.assert_close(made(windows()), plain.eval()(windows()), rtol=1e-4, atol=1e-5)
    few = module(factor=1, distil=False)
    assert not torch.allclose(few(windows()), made(windows()))


@pytest.mark.parametrize(("lookback", "tokens"), [(24, [24, 12, 6]), (25, [25, 13, 7])])
def test_the_encoder_halves_its_tokens(lookback, tokens):
    made = module(Task(lookback, 4, 3), layers=3)
    sites = native_sites(made, torch.zeros(2, lookback, 3))
    shapes = [(site.queries, site.keys) for site in sites]
    assert shapes == [(n, n) for n in tokens] + [(14, 14), (14, tokens[-1])]


def test_distilling_is_a_pooled_convolution():
    made = Distilling(4).eval()
    tokens = torch.randn(2, 7, 4)
    with torch.no_grad():
        z = torch.nn.functional.elu(made.convolution(tokens) / (1 + 1e-5) ** 0.5)
    expected = torch.stack([z[:, max(0, t - 1) : t + 2].amax(dim=1) for t in range(0, 7, 2)], dim=1)
    torch.testing.assert_close(made(tokens), expected)


def test_defaults_are_the_official_ones():
    c = InformerConfig()
    assert (c.label, c.width, c.heads, c.hidden, c.layers, c.decoder_layers) == (48, 512, 8, 2048, 2, 1)
    assert (c.dropout, c.factor, c.lr, c.batch, c.epochs, c.patience) == (0.05, 5, 1e-4, 32, 6, 3)


def test_it_learns_a_season():
    rng = np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(700)[:, None] / 12 + np.arange(3)) + 0.1 * rng.standard_normal((700, 3))
    train, validation = (Windows(values, 24, 4, np.arange(a, b)) for a, b in ((24, 500), (500, 690)))
    options = {"width": 16, "hidden": 32, "epochs": 6, "lr": 3e-3, "dropout": 0.0, "attention_dropout": 0.0}
    forecaster = Informer(TASK, InformerConfig(**(TINY | options)))
    forecaster.fit(train, validation)
    truth = validation.gather(slice(0, len(validation)))[1]
    assert (predict_all(forecaster, validation) - truth).square().mean() < 0.15


@pytest.mark.parametrize(
    ("options", "message"), [({"factor": 0}, "factor must be positive"), ({"heads": 3}, "8 is not")]
)
def test_impossible_settings_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        registry.create("informer", TASK, TINY | options)
