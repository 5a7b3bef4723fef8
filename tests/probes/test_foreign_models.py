"""White-box measures on models of other makes, reached through the adapters."""

import math

import pytest
import torch
from measure_cases import case
from torch import nn
from torch.nn import functional

from forecheck.attention.sites import attach
from forecheck.forecasters.base import Task
from forecheck.forecasters.external import external
from forecheck.nn.attention import PatternEdit
from forecheck.probes.case import Case
from forecheck.probes.gradient import gradient, pattern_gradients
from forecheck.probes.representation import representation

WIDTH, HEADS, PATCH, L, H = 8, 2, 8, 48, 12


class Sdpa(nn.Module):
    def __init__(self):
        super().__init__()
        self.project, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def mix(self, q, k, v):
        return functional.scaled_dot_product_attention(q, k, v)

    def forward(self, z):
        q, k, v = (x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in self.project(z).chunk(3, dim=2))
        return z + self.out(self.mix(q, k, v).transpose(1, 2).flatten(2))


class Einsum(Sdpa):
    def mix(self, q, k, v):
        scores = torch.einsum("bhld,bhsd->bhls", q, k) / math.sqrt(q.shape[-1])
        return torch.einsum("bhls,bhsd->bhld", torch.softmax(scores, dim=-1), v)


def encoder(tokens_first):
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=not tokens_first)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


class Forecaster(nn.Module):
    """Patches of every channel as tokens."""

    def __init__(self, blocks, tokens_first=False):
        super().__init__()
        self.embed, self.head = nn.Linear(PATCH, WIDTH), nn.Linear(L // PATCH * WIDTH, H)
        self.blocks, self.tokens_first = blocks, tokens_first

    def forward(self, x):
        z = self.embed(x.mT.reshape(-1, L // PATCH, PATCH))
        z = self.blocks(z.transpose(0, 1)).transpose(0, 1) if self.tokens_first else self.blocks(z)
        return self.head(z.flatten(1)).reshape(len(x), -1, H).mT


MODELS = {
    "sdpa": lambda: Forecaster(nn.Sequential(Sdpa(), Sdpa())),
    "einsum": lambda: Forecaster(nn.Sequential(Einsum(), Einsum())),
    "encoder": lambda: Forecaster(encoder(tokens_first=False)),
    "encoder, tokens first": lambda: Forecaster(encoder(tokens_first=True), tokens_first=True),
}


def transformers_patchtst():
    transformers = pytest.importorskip("transformers")
    config = transformers.PatchTSTConfig(
        context_length=L,
        patch_length=PATCH,
        patch_stride=PATCH,
        num_input_channels=2,
        prediction_length=H,
        d_model=WIDTH,
        num_attention_heads=HEADS,
        num_hidden_layers=2,
        ffn_dim=16,
        init_std=0.5,
    )
    return transformers.PatchTSTForPrediction(config)


@pytest.fixture(params=[*MODELS, "transformers"])
def made(request):
    known = case("last")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers_patchtst() if request.param == "transformers" else MODELS[request.param]()
    x, _ = known.experiment.train.gather(slice(0, 2))
    forecaster = external(model.eval(), Task(L, H, 2), x)
    return Case(forecaster.subject, forecaster, known.experiment)


class Nudge(PatternEdit):
    def __init__(self, at, by):
        super().__init__()
        self.at, self.by = at, by

    def forward(self, weights, allowed, like):
        weights = weights.clone()
        weights[self.at] += self.by
        return weights


@pytest.mark.parametrize("layer", [0, 1])
def test_gradients_are_finite_differences(made, layer):
    x, y = made.experiment.train.gather(slice(0, 2))
    with attach(made.subject, x) as attached:
        assert len(attached.sites) == 2
        pattern, slope = pattern_gradients(attached, attached.sites, x, y)[layer]

        @torch.no_grad()
        def loss(at, by):
            attached.sites[layer].edit(Nudge(at, by))
            value = float((attached(x) - y).double().square().mean())
            attached.sites[layer].edit(None)
            return value

        # The entries with the steepest slopes: float32 has digits for these.
        for flat in slope.abs().flatten().argsort(descending=True)[:3]:
            at = tuple(int(i) for i in torch.unravel_index(flat, slope.shape))
            expected = (loss(at, 1e-2) - loss(at, -1e-2)) / 2e-2
            assert float(slope[at]) == pytest.approx(expected, rel=0.02)
    assert pattern.shape == slope.shape
    assert all(p.grad is None for p in made.subject.module.parameters())


def test_every_layer_is_described(made):
    summary, arrays = representation(made)
    assert len(summary["layers"]) == 2
    for layer in summary["layers"]:
        assert 0 < layer["patterns"]["entropy"] <= 1
        assert layer["tokens"]["width"] == WIDTH
        assert layer["tokens"]["rows"] % 6 == 0
    assert 0 < arrays["cka"][0, 1] < 1
    cases, _ = gradient(made)
    assert all(0 <= layer["exact"] <= 1 for layer in cases["layers"])
