"""iTransformer: its equation, its symmetry, its numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from forecheck.attention.adapters.native import native_sites
from forecheck.attention.replace import Replace
from forecheck.data.synthetic.lag import BLOCK, HORIZON, LOOKBACK, lag
from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.itransformer import ITransformer, ITransformerConfig
from forecheck.nn.seeding import initialise
from forecheck.trials.score import score

TASK = Task(24, 4, 3)
TINY = {"width": 8, "heads": 2, "hidden": 16, "layers": 2}


def module(**options):
    made = ITransformer(TASK, ITransformerConfig(**(TINY | options))).module
    initialise(made, 0)
    return made.eval()


def windows(batch=5, channels=3):
    return torch.from_numpy(3 + 2 * np.random.default_rng(0).standard_normal((batch, 24, channels))).float()


def by_hand(made, x):
    """The forward pass of torch's own encoder layers with the same weights, in evaluation mode."""
    mean, scale = x.mean(dim=1, keepdim=True), (x.var(dim=1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    z = nn.functional.linear(((x - mean) / scale).transpose(1, 2), made.embed.weight, made.embed.bias)
    for block in made.blocks:
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, "gelu", batch_first=True)
        attention, forward = block.attention, block.feed_forward
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": attention.project.weight,
                "self_attn.in_proj_bias": attention.project.bias,
                "self_attn.out_proj.weight": attention.out.weight,
                "self_attn.out_proj.bias": attention.out.bias,
                "linear1.weight": forward.inner.weight,
                "linear1.bias": forward.inner.bias,
                "linear2.weight": forward.outer.weight,
                "linear2.bias": forward.outer.bias,
                "norm1.weight": block.attention_norm.weight,
                "norm1.bias": block.attention_norm.bias,
                "norm2.weight": block.feed_forward_norm.weight,
                "norm2.bias": block.feed_forward_norm.bias,
            }
        )
        z = layer.eval()(z)
    return made.head(made.norm(z)).transpose(1, 2) * scale + mean


def test_forward_is_torchs_encoder_over_channels():
    made = module()
    with torch.no_grad():
        for parameter in made.parameters():  # biases and norms away from where they start
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        torch.testing.assert_close(made(windows()), by_hand(made, windows()), rtol=1e-4, atol=1e-5)


def test_channels_are_a_set():
    made, x = module(), windows()
    order = [2, 0, 1]
    torch.testing.assert_close(made(x[:, :, order]), made(x)[:, :, order], rtol=1e-4, atol=1e-5)
    assert made(windows(channels=7)).shape == (5, 4, 7)  # and of any size


def test_a_channel_sees_the_others_through_attention_only():
    x = windows()
    other = x.clone()
    other[:, :, 1] = other[:, :, 1].flip(1)
    made = module()
    assert not torch.allclose(made(x)[:, :, 0], made(other)[:, :, 0])
    Replace("identity").install(made, x)
    torch.testing.assert_close(made(x)[:, :, 0], made(other)[:, :, 0])


def test_the_sites_are_found():
    sites = native_sites(module(), windows())
    assert [(site.layer, site.heads, site.queries, site.keys) for site in sites] == [(0, 2, 3, 3), (1, 2, 3, 3)]


def test_defaults_are_the_official_ones():
    c = ITransformerConfig()
    assert (c.width, c.heads, c.hidden, c.layers, c.dropout) == (512, 8, 2048, 2, 0.1)
    assert (c.lr, c.batch, c.epochs, c.patience) == (1e-4, 32, 10, 3)
    block = ITransformer(Task(96, 96, 7)).module.blocks[0]
    assert block.attention_out_dropout.p == block.feed_forward.outer_dropout.p == pytest.approx(0.1, abs=1 / 256)


def test_parameters_counted_by_hand():
    block = 4 * (8 * 8 + 8) + (8 * 16 + 16 + 16 * 8 + 8) + 2 * 2 * 8
    expected = (24 * 8 + 8) + 2 * block + 2 * 8 + (8 * 4 + 4)
    assert sum(p.numel() for p in module().parameters()) == expected


def test_it_learns_who_leads_and_nothing_without_attention():
    experiment = prepare(lag(3000, channels=4), LOOKBACK, HORIZON, step=BLOCK)
    options = {"width": 64, "hidden": 64, "layers": 1, "dropout": 0.0, "attention_dropout": 0.0, "heads": 2}
    recipe = {"epochs": 8, "lr": 5e-3, "schedule": "onecycle"}
    losses = []
    for edit in (None, Replace("identity")):
        task = Task(LOOKBACK, HORIZON, 4)
        forecaster = ITransformer(task, ITransformerConfig(**options, **recipe), edit)
        forecaster.fit(experiment.train, experiment.validation)
        losses.append(score(forecaster, experiment.test).mse.mean())
    assert losses[0] < 0.2
    assert losses[1] > 0.9


@pytest.mark.parametrize(
    ("options", "message"), [({"layers": 0}, "layers must be positive"), ({"heads": 3}, "8 is not")]
)
def test_impossible_settings_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        registry.create("itransformer", TASK, TINY | options)
