import pytest
import torch
from measure_cases import case
from torch import nn

from forecheck.attention.sites import Subject, attach
from forecheck.nn.attention import Attention, PatternEdit
from forecheck.nn.seeding import initialise
from forecheck.probes.case import Case, spread
from forecheck.probes.gradient import Probe, gradient, pattern_gradients


class Nudge(PatternEdit):
    """The raw pattern with one number added to one entry."""

    def __init__(self, at, by):
        super().__init__()
        self.at, self.by = at, by

    def forward(self, weights, allowed, like):
        weights = weights.clone()
        weights[self.at] += self.by
        return weights


@pytest.mark.parametrize("residual_scores", [True, False])
@pytest.mark.parametrize("layer", [0, 1])
def test_gradients_are_finite_differences(layer, residual_scores):
    made = case(options={"residual_scores": residual_scores})
    module = made.subject.module.double()
    x, y = (z.double() for z in made.experiment.train.gather(slice(0, 3)))
    with attach(made.subject, x) as attached:
        found = pattern_gradients(attached, attached.sites, x, y)
        pattern, slope = found[layer]
        assert pattern.shape == slope.shape == (6, 2, 7, 7)

        @torch.no_grad()
        def loss(at, by):
            attached.sites[layer].edit(Nudge(at, by))
            value = float((attached(x) - y).square().mean())
            attached.sites[layer].edit(None)
            return value

        for at in [(0, 0, 0, 0), (5, 1, 6, 6), (2, 0, 3, 1), (4, 1, 0, 5)]:
            expected = (loss(at, 1e-5) - loss(at, -1e-5)) / 2e-5
            assert float(slope[at]) == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert all(p.grad is None for p in module.parameters())


def test_gradients_are_products_of_upstream_gradient_and_values():
    """dL/dA_ij = <G_i, v_j>, G taken by hand from a model that is attention alone."""
    attention = Attention(6, 2).double()
    initialise(attention, 1)

    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention

        def forward(self, x):
            return self.attention(x)[0]

    x, y = torch.randn(3, 4, 6).double(), torch.randn(3, 4, 6).double()
    model = Alone()
    with attach(model, x) as attached:
        [(pattern, slope)] = pattern_gradients(attached, attached.sites, x, y)
    error = 2 * (model(x) - y) / y.numel()
    upstream = (error @ attention.out.weight).unflatten(2, (2, 3)).transpose(1, 2)  # (batch, head, token, width)
    values = (x @ attention.project.weight[12:].T + attention.project.bias[12:]).unflatten(2, (2, 3)).transpose(1, 2)
    torch.testing.assert_close(slope, upstream @ values.mT)

    # And the exact criterion is the sign of the gradient of the score: softmax's derivative.
    scores = pattern.log().requires_grad_()
    mixed = (torch.softmax(scores, -1) @ values).transpose(1, 2).flatten(2)
    loss = (mixed @ attention.out.weight.T + attention.out.bias - y).square().mean()
    (down,) = torch.autograd.grad(loss, scores)
    own = slope.diagonal(dim1=2, dim2=3)
    exact = own > (pattern * slope).sum(-1)
    assert torch.equal(exact, down.diagonal(dim1=2, dim2=3) > 0)


def test_shares_are_those_of_all_windows():
    made = case()
    summary, arrays = gradient(made)
    train = made.experiment.train
    x, y = train.gather(spread(train))
    with attach(made.subject, x[:2]) as attached:
        found = pattern_gradients(attached, attached.sites, x, y)
    for i, (pattern, slope) in enumerate(found):
        own = slope.diagonal(dim1=2, dim2=3)
        layer = summary["layers"][i]
        assert layer["case1"] == pytest.approx(float((own > 0).double().mean()), abs=1e-3)
        assert layer["exact"] == pytest.approx(float((own > (pattern * slope).sum(-1)).double().mean()), abs=1e-3)
        assert layer["self_weight"] == pytest.approx(float(pattern.diagonal(dim1=2, dim2=3).mean()), rel=1e-4)
        assert layer["last_query"]["case1"] == pytest.approx(float((own[..., -1] > 0).double().mean()), abs=1e-3)
        assert arrays[f"case1_{i}"].shape == (2, 7)
        assert sum(layer["heads"]["exact"]) / 2 == pytest.approx(layer["exact"])


def test_models_that_learn_nothing_have_gradients_too():
    """Frozen weights: the pattern's own gradient is still there."""
    made = case()
    for parameter in made.subject.module.parameters():
        parameter.requires_grad_(False)
    frozen, _ = gradient(made)
    assert frozen == gradient(case())[0]


def test_the_probe_changes_nothing():
    weights = torch.rand(2, 3, 4, 4)
    assert torch.equal(Probe()(weights, torch.ones(4, 4, dtype=torch.bool), weights), weights)


def test_a_model_without_gradient_says_so():
    made = case()
    module = made.subject.module

    def forward(x):
        with torch.no_grad():
            return module(x)

    summary, _ = gradient(Case(Subject(forward, module), made.forecaster, made.experiment))
    assert "no gradient" in summary["why_not"]
    assert all(each.attention.edit is None for each in module.blocks)


def test_without_attention_the_reason_stands():
    assert "no attention was found" in gradient(case("last"))[0]["why_not"]


@pytest.mark.parametrize("kernel", ["linear", "differential"])
def test_patterns_that_are_no_softmax_say_so(kernel):
    assert "do not sum to one" in gradient(case(options={"kernel": kernel}))[0]["why_not"]
