"""Penalties on patterns against autograd on their definition, and what training with them does."""

import math

import pytest
import torch
from two_layer_forms import drawn

from forecheck.papers.curse_of_attention.theory.pattern_penalty import PatternPenalty
from forecheck.papers.curse_of_attention.theory.training import Optimizer, train
from forecheck.papers.curse_of_attention.theory.two_layer import TwoLayer

each_kind = pytest.mark.parametrize("penalty", [PatternPenalty("local", 3.0), PatternPenalty("entropy", 3.0, 0.8)])


def written_out(penalty, weight, x, keys):
    patterns = torch.softmax(weight * (x[:, -1:] * keys)[:, :, None], dim=1)
    if penalty.kind == "local":
        each = (1 / x.shape[1] - patterns[:, -1]).clamp(min=0).square()
    else:
        each = (penalty.floor * math.log(x.shape[1]) + (patterns * patterns.log()).sum(dim=1)).clamp(min=0)
    return penalty.strength * each.sum() / len(weight) ** 0.5


@each_kind
@pytest.mark.parametrize("model", [TwoLayer(), TwoLayer(rope=True)])
def test_value_and_gradient_are_those_of_autograd(penalty, model):
    parameters, x, _ = drawn(model, neurons=20, samples=30)
    weight = parameters["weight"].clone().requires_grad_()
    value = written_out(penalty, weight, x, model.keys(x))
    value.backward()
    assert float(value.detach()) > 0.1
    assert penalty.value(model, parameters, x) == pytest.approx(float(value.detach()))
    torch.testing.assert_close(penalty.gradient(model, parameters, x)["weight"], weight.grad)


@each_kind
def test_one_hot_patterns_have_a_gradient(penalty):
    parameters, x, _ = drawn(TwoLayer(), spread=30.0)
    assert penalty.gradient(TwoLayer(), parameters, x)["weight"].isfinite().all()


@each_kind
def test_training_with_it_brings_it_down(penalty):
    model = TwoLayer()
    parameters, x, y = drawn(model, neurons=20, samples=30)
    plain = train(model, parameters, x, y, Optimizer(lr=0.02), 30)
    held = train(model, parameters, x, y, Optimizer(lr=0.02), 30, penalty=lambda now: penalty.gradient(model, now, x))
    assert penalty.value(model, held.end, x) < penalty.value(model, plain.end, x)
    assert float(held.errors[1]) != float(plain.errors[1])
    assert float(held.errors[0]) == float(plain.errors[0])


def test_forms_with_more_in_their_patterns_are_refused():
    model = TwoLayer(bias=True)
    parameters, x, _ = drawn(model)
    with pytest.raises(ValueError, match="one softmax and no bias"):
        PatternPenalty("local").gradient(model, parameters, x)
