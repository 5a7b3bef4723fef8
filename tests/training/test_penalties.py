"""Penalties on patterns: their formulas, their gradients, and what training does with them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from forecheck.attention.replace import Replace
from forecheck.data.windows import Windows
from forecheck.nn.attention import Attention
from forecheck.training.loop import mean_squared_error, train
from forecheck.training.penalties import entropy_penalty, local_penalty, penalised
from forecheck.training.recipe import Recipe

LOCAL = Recipe(epochs=1, batch=8, lr=1e-2, correction="local", correction_strength=0.5)
ENTROPY = replace(LOCAL, correction="entropy", entropy_floor=1.0)


class Attending(nn.Module):
    """Steps are tokens; optionally causal, optionally with a second look at a memory of another size."""

    def __init__(self, *, causal=False, memory=False, kernel="softmax", dropout=0.0):
        super().__init__()
        self.embed = nn.Linear(1, 6)
        self.attention = Attention(6, 2, kernel=kernel, dropout=dropout)
        self.cross = Attention(6, 2) if memory else None
        self.head = nn.Linear(6, 1)
        self.causal = causal

    def forward(self, x):
        tokens = self.embed(x)
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril() if self.causal else None
        tokens = tokens + self.attention(tokens, mask)[0]
        if self.cross is not None:
            tokens = tokens + self.cross(tokens, memory=tokens[:, :3])[0]
        return self.head(tokens[:, -2:])


class Flat(nn.Linear):
    """Has no attention."""

    def __init__(self):
        super().__init__(6, 2)

    def forward(self, x):
        return super().forward(x.mT).mT


def windows_of(count=20):
    values = np.random.default_rng(0).normal(size=(count + 7, 1)) * 3
    return Windows(values, 6, 2, np.arange(6, 6 + count))


def patterns(seed=0, tokens=4, keys=None, causal=False):
    scores = torch.randn(2, 3, tokens, keys or tokens, dtype=torch.float64, generator=torch.manual_seed(seed))
    if causal:
        scores = scores.masked_fill(~torch.ones(tokens, tokens, dtype=torch.bool).tril(), -torch.inf)
    return scores.requires_grad_()


def test_the_local_penalty_is_the_mean_of_minus_log_of_the_diagonal():
    weights = torch.softmax(patterns().detach(), dim=-1)
    expected = -np.mean([math.log(weights[b, h, i, i]) for b in range(2) for h in range(3) for i in range(4)])
    assert local_penalty(weights).item() == pytest.approx(expected)
    assert local_penalty(torch.eye(4).expand(2, 3, 4, 4)).item() == 0


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("floor", [0.0, 0.6, 1.0])
def test_the_entropy_penalty_is_the_mean_shortfall_of_rows(causal, floor):
    weights = torch.softmax(2 * patterns(causal=causal).detach(), dim=-1)
    mask = torch.ones(4, 4, dtype=torch.bool).tril() if causal else None
    short = []
    for row in weights.reshape(-1, 4).numpy():
        seen = row[row > 0]
        short.append(max(0.0, floor * math.log(len(seen)) + (seen * np.log(seen)).sum()))
    assert entropy_penalty(weights, mask, floor).item() == pytest.approx(np.mean(short), abs=1e-12)
    assert (np.mean(short) > 0) == (floor > 0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("penalty", [local_penalty, entropy_penalty])
def test_gradients_are_those_of_finite_differences(penalty, causal):
    mask = torch.ones(4, 4, dtype=torch.bool).tril() if causal else None

    def of_scores(scores):
        weights = torch.softmax(4 * scores, dim=-1)
        return penalty(weights) if penalty is local_penalty else entropy_penalty(weights, mask, 0.8)

    scores = patterns(causal=causal)
    (gradient,) = torch.autograd.grad(of_scores(scores), scores)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 1e-3
    for index in [(0, 0, 1, 0), (1, 2, 3, 3), (0, 1, 2, 1), (1, 0, 3, 0)]:
        step = torch.zeros_like(scores)
        step[index] = 1e-6
        with torch.no_grad():
            numeric = (of_scores(scores + step) - of_scores(scores - step)) / 2e-6
        assert gradient[index].item() == pytest.approx(numeric.item(), abs=1e-7)


def test_patterns_that_vanish_or_are_negative_make_no_nan():
    weights = torch.tensor([[[[0.0, 1.0], [1.2, -0.2]]]], requires_grad=True)
    (local_penalty(weights) + entropy_penalty(weights, None, 1.0)).backward()
    assert weights.grad.isfinite().all()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("recipe", [LOCAL, ENTROPY])
def test_the_training_loss_holds_the_penalty_and_validation_does_not(recipe, dropout):
    still = replace(recipe, lr=1e-12, micro_batch=3)
    windows = windows_of()
    model = Attending(causal=True, dropout=dropout)
    history = train(model, windows, windows, still)
    plain = train(Attending(causal=True, dropout=dropout), windows, windows, replace(still, correction="none"))
    seen = []
    model.attention.observe = seen.append
    assert history.validation[0] == pytest.approx(mean_squared_error(model, windows))
    weights = torch.cat(seen)
    mask = torch.ones(6, 6, dtype=torch.bool).tril()
    penalty = local_penalty(weights) if recipe is LOCAL else entropy_penalty(weights, mask, 1.0)
    assert penalty > 0.01
    assert history.train[0] - plain.train[0] == pytest.approx(0.5 * penalty.item(), rel=1e-4)
    assert model.attention.regularise is None


def pattern_after(recipe, **options):
    windows, model = windows_of(), Attending(**options)
    train(model, windows, windows, replace(recipe, epochs=10))
    seen = []
    model.attention.observe = seen.append
    mean_squared_error(model, windows)
    return torch.cat(seen)


def test_training_does_what_the_penalty_asks_for():
    plain = pattern_after(replace(LOCAL, correction="none"))
    local, even = pattern_after(LOCAL), pattern_after(replace(ENTROPY, correction_strength=5.0))
    assert local_penalty(local) < local_penalty(plain) - 0.05  # tokens of one number can do little more
    assert entropy_penalty(even, None, 1.0) < 0.5 * entropy_penalty(plain, None, 1.0)


def test_looks_at_a_memory_have_no_diagonal_but_an_entropy():
    x = torch.randn(3, 6, 1, generator=torch.manual_seed(0))
    model = Attending(memory=True)
    seen = []
    model.attention.observe = model.cross.observe = seen.append
    for recipe, expected in ((LOCAL, lambda: local_penalty(seen[0])), (ENTROPY, None)):
        seen.clear()
        with penalised(model, recipe) as penalty:
            model(x)
            got = penalty()
        wanted = expected() if expected else sum(entropy_penalty(each, None, 1.0) for each in seen) / 2
        assert got.item() == pytest.approx(0.5 * wanted.item())
        assert len(seen) == 2


def test_a_pattern_that_was_replaced_before_training_is_not_penalised():
    model = Attending()
    x = torch.randn(3, 6, 1)
    Replace("identity").install(model, x)
    with penalised(model, LOCAL) as penalty:
        model(x)
        assert penalty() == 0.0


def test_a_kernel_without_patterns_and_a_model_without_attention_are_refused():
    model = Attending()
    with penalised(model, LOCAL):
        meet = model.attention.regularise
    with pytest.raises(ValueError, match="correction 'local' needs attention patterns, which this kernel never forms"):
        meet(None, None, to_itself=True)
    with pytest.raises(ValueError, match="this model has none"):
        train(Flat(), windows_of(), windows_of(), ENTROPY)


@pytest.mark.parametrize("correction", ["drift", "local", "entropy"])
def test_ten_steps_of_a_corrected_gradient_reduce_the_loss(correction):
    windows, model = windows_of(8), Attending()
    before = train(model, windows, windows, Recipe(epochs=1, lr=1e-12)).validation[0]
    recipe = Recipe(
        epochs=10, lr=3e-2, correction=correction, correction_strength=1.0 if correction == "drift" else 0.01
    )
    after = train(model, windows, windows, recipe).validation[-1]
    assert after < 0.8 * before
