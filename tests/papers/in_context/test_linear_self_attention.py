"""The layer against loops over its definition, the reading against the layer, and the best heads against training."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.papers.in_context.theory.heads import Moments, fit_heads, relaxed_optimum, tensor_of
from forecheck.papers.in_context.theory.linear_self_attention import (
    LinearSelfAttention,
    as_layer,
    attend,
    gram,
    hankel,
    read,
    softmax_attend,
)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(order=st.integers(1, 4), columns=st.integers(1, 6))
def test_a_hankel_prompt_is_the_windows_and_an_unlabelled_query(order, columns):
    time = order + columns
    series = draw(2, time)
    prompt = hankel(series, order)
    assert prompt.shape == (2, order + 1, columns + 1)
    for i in range(columns):
        torch.testing.assert_close(prompt[:, :, i], series[:, i : i + order + 1])
    torch.testing.assert_close(prompt[:, :-1, -1], series[:, time - order :])
    assert (prompt[:, -1, -1] == 0).all()


def by_definition(prompt, values, key_queries, softmax):
    """One layer as matrices, with the mask written out."""
    n = prompt.shape[1] - 1
    mask = torch.diag(torch.cat([torch.ones(n), torch.zeros(1)]).double())
    out = prompt.clone()
    for value, key_query in zip(values, key_queries, strict=True):
        scores = prompt.mT @ key_query @ prompt
        if softmax:
            scores = scores.exp() / scores.exp().sum(dim=0, keepdim=True)
        out = out + value @ prompt @ mask @ scores / n
    return out


@pytest.mark.parametrize("softmax", [False, True])
def test_a_layer_is_its_definition(softmax):
    prompt, values, key_queries = draw(3, 4, 6), draw(2, 4, 4, seed=1), draw(2, 4, 4, seed=2)
    made = (softmax_attend if softmax else attend)(prompt, values, key_queries)
    for one, expected in zip(made, prompt, strict=True):
        torch.testing.assert_close(one, by_definition(expected, values, key_queries, softmax))


def test_reading_is_the_last_entry_of_the_layer():
    prompt, values, key_queries = draw(5, 4, 7), draw(3, 4, seed=1), draw(3, 4, 3, seed=2)
    whole = attend(prompt, *as_layer(values, key_queries))[:, -1, -1]
    part = prompt[:, -1, -1] + read(gram(prompt), values, key_queries, prompt[:, :-1, -1])
    torch.testing.assert_close(whole, part)
    tensor = torch.einsum("bjk,jkl,bl->b", gram(prompt), tensor_of(values, key_queries), prompt[:, :-1, -1])
    torch.testing.assert_close(part - prompt[:, -1, -1], tensor)


def test_the_module_is_layer_after_layer_and_begins_with_its_guess():
    module = LinearSelfAttention(rows=3, layers=3, heads=2, guess=True, scale=0.3, seed=5).double()
    prompt = draw(4, 3, 6)
    prompt[:, -1, -1] = 0
    expected = prompt.clone()
    torch.nn.init.constant_(module.guess, 0.7)
    expected[:, -1, -1] = 0.7 * prompt[:, :-1, -1].sum(dim=1)
    for values, key_queries in zip(module.values, module.key_queries, strict=True):
        expected = attend(expected, values, key_queries)
    torch.testing.assert_close(module(prompt), expected[:, -1, -1])
    plain = LinearSelfAttention(rows=3, softmax=True, seed=5).double()
    torch.testing.assert_close(plain(prompt), softmax_attend(prompt, plain.values[0], plain.key_queries[0])[:, -1, -1])


def test_only_weights_that_matter_get_a_gradient():
    module = LinearSelfAttention(rows=4, scale=0.5).double()
    prompt = draw(6, 4, 9)
    prompt[:, -1, -1] = 0
    module(prompt).square().sum().backward()
    assert (module.values.grad[0, 0, :-1] == 0).all()
    assert (module.key_queries.grad[0, 0, :, -1] == 0).all()
    assert (module.values.grad[0, 0, -1] != 0).all()
    assert (module.key_queries.grad[0, 0, :, :-1] != 0).all()


def tasks(count=4000, rows=3, columns=5):
    prompt = draw(count, rows, columns + 1, seed=3)
    weight = draw(count, rows - 1, seed=4) + 1
    prompt[:, -1] = torch.einsum("br,brc->bc", weight, prompt[:, :-1])
    target = prompt[:, -1, -1].clone()
    prompt[:, -1, -1] = 0
    return prompt, target, weight


def test_the_relaxed_optimum_is_least_squares_on_the_products():
    prompt, target, _ = tasks()
    query = prompt[:, :-1, -1]
    tensor, loss = relaxed_optimum(Moments.of(gram(prompt), query, target))
    upper = np.triu_indices(3)
    features = torch.einsum("bj,bl->bjl", gram(prompt)[:, *upper], query).flatten(1).numpy()
    residual = target.numpy() - features @ np.linalg.lstsq(features, target.numpy(), rcond=None)[0]
    assert loss == pytest.approx(np.square(residual).mean(), rel=1e-9)
    predicted = torch.einsum("bjk,jkl,bl->b", gram(prompt), tensor, query)
    assert (target - predicted).square().mean().item() == pytest.approx(loss, rel=1e-9)


def test_fitted_heads_have_the_loss_that_they_say_and_reach_the_optimum_at_as_many_heads_as_rows():
    prompt, target, _ = tasks()
    query, known = prompt[:, :-1, -1], gram(prompt)
    moments = Moments.of(known, query, target)
    losses = []
    for heads in (1, 2, 3):
        fitted = fit_heads(moments, heads)
        error = target - read(known, fitted.values, fitted.key_queries, query)
        assert error.square().mean().item() == pytest.approx(fitted.loss, rel=1e-8)
        losses.append(fitted.loss)
    optimum = relaxed_optimum(moments)[1]
    # Two heads may be enough already, up to rounding.
    assert losses[0] > losses[1] > losses[2] * (1 - 1e-9) > optimum * (1 - 1e-8)
    assert losses[2] == pytest.approx(optimum, rel=1e-3)


def test_one_fitted_head_is_what_gradients_find():
    prompt, target, _ = tasks(count=500)
    fitted = fit_heads(Moments.of(gram(prompt), prompt[:, :-1, -1], target), heads=1)
    losses = []
    for seed in range(3):
        module = LinearSelfAttention(rows=3, scale=0.3, seed=seed).double()
        optimiser = torch.optim.LBFGS(module.parameters(), max_iter=300, line_search_fn="strong_wolfe")

        def loss(module=module):
            module.zero_grad()
            value = (module(prompt) - target).square().mean()
            value.backward()
            return value

        optimiser.step(loss)
        losses.append(loss().item())
    assert min(losses) == pytest.approx(fitted.loss, rel=1e-5)


def test_a_start_is_tried_too():
    prompt, target, _ = tasks(count=500)
    moments = Moments.of(gram(prompt), prompt[:, :-1, -1], target)
    best = fit_heads(moments, heads=1)
    again = fit_heads(moments, heads=1, sweeps=1, starts=0, start=best.values)
    assert again.loss == pytest.approx(best.loss, rel=1e-6)


def test_moments_with_the_query_integrated_out_are_those_of_many_queries():
    prompt, _, weight = tasks(count=60)
    known = gram(prompt)
    # As many queries a task as it takes for their covariance to be exactly I.
    queries = torch.eye(2, dtype=torch.float64) * 2**0.5
    by_hand = Moments.of(
        known.repeat_interleave(2, 0), queries.repeat(60, 1), (weight[:, None] * queries).sum(2).flatten()
    )
    short = Moments.of_weights(known, weight)
    torch.testing.assert_close(short.second, by_hand.second)
    torch.testing.assert_close(short.cross, by_hand.cross)
    assert short.power == pytest.approx(by_hand.power)
