"""The guess in the label slot: one step of gradient descent by autograd, errors by Monte Carlo, training, heads."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.papers.in_context.theory.autoregressive import Autoregression
from forecheck.papers.in_context.theory.heads import Moments, fit_heads, relaxed_optimum
from forecheck.papers.in_context.theory.linear_self_attention import LinearSelfAttention, gram, hankel
from forecheck.papers.in_context.theory.optimum import closed_form, gap
from forecheck.papers.initialisation import theory


def constant(value, width):
    return torch.full((width,), value, dtype=torch.float64)


def within(sample, expected, errors=4):
    assert abs(sample.mean().item() - expected) < errors * sample.std().item() / len(sample) ** 0.5


def test_tasks_have_the_law_that_they_say():
    tasks = theory.draw_tasks(20_000, 3, constant(2.0, 2), spread=0.5, noise=0.3)
    within(tasks.weights[:, 0], 2.0)
    within((tasks.weights[:, 1] - 2).square(), 0.25)
    residual = tasks.prompt[:, 2] - torch.einsum("td,tdc->tc", tasks.weights, tasks.prompt[:, :2])
    within(residual[:, 1].square(), 0.09)
    assert (tasks.prompt[:, 2, -1] == 0).all()
    torch.testing.assert_close(tasks.target, (tasks.weights * tasks.prompt[:, :2, -1]).sum(dim=1))


@given(width=st.integers(1, 5), context=st.integers(1, 7), step=st.floats(-2, 2), seed=st.integers(0, 20))
def test_attention_with_a_guess_is_one_step_of_gradient_descent(width, context, step, seed):
    tasks = theory.draw_tasks(3, context, constant(1.0, width), noise=0.2, seed=seed)
    start = torch.randn(width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    made = theory.predict(tasks.prompt, *theory.gradient_step_weights(start, step))
    for prompt, forecast in zip(tasks.prompt, made, strict=True):
        w = start.clone().requires_grad_()
        (0.5 * (prompt[-1, :-1] - w @ prompt[:-1, :-1]).square().mean()).backward()
        torch.testing.assert_close(forecast, (w - step * w.grad).detach() @ prompt[:-1, -1])


@pytest.mark.parametrize(("start", "noise"), [(1.5, 0.0), (0.0, 0.0), (1.5, 2.0), (1.0, 1.0)])
def test_the_error_of_a_step_is_that_of_tasks(start, noise):
    width, context, mean = 4, 6, 1.5
    tasks = theory.draw_tasks(40_000, context, constant(mean, width), noise=noise, seed=1)
    distance = width + width * (mean - start) ** 2
    for step in (0.3, None):
        eta = theory.best_step(distance, width, context, noise) if step is None else step
        weights = theory.gradient_step_weights(constant(start, width), eta)
        error = (theory.predict(tasks.prompt, *weights) - tasks.target).square()
        within(error, theory.step_error(distance, width, context, noise, step))


def test_the_best_step_is_where_the_slope_is_zero():
    for noise in (0.0, 1.3):
        best = theory.best_step(7.0, 5, 8, noise)
        near = [theory.step_error(7.0, 5, 8, noise, best + h) for h in (-1e-4, 0.0, 1e-4)]
        assert (near[2] - near[0]) / 2e-4 == pytest.approx(0, abs=1e-8)
        assert near[0] > near[1] < near[2]
        assert theory.step_error(7.0, 5, 8, noise) == pytest.approx(7.0 * (1 - best))


@given(width=st.integers(1, 30), context=st.integers(1, 30))
def test_without_noise_and_from_the_mean_the_error_is_the_published_fraction(width, context):
    expected = width * (width + 1) / (context + width + 1)
    assert theory.step_error(float(width), width, context) == pytest.approx(expected)
    # From zero the squared mean is one more thing to learn.
    assert theory.step_error(width + 9.0, width, context) == pytest.approx(expected * (width + 9) / width)


def test_ten_by_ten():
    assert theory.step_error(10.0, 10, 10) == pytest.approx(5.238, abs=1e-3)
    assert theory.best_step(10.0, 10, 10) == pytest.approx(0.476, abs=1e-3)


def head_losses(mean, heads, width=4, context=4):
    tasks = theory.draw_tasks(20_000, context, constant(mean, width), seed=2)
    moments = Moments.of_weights(gram(tasks.prompt), tasks.weights)
    step = (tasks.weights - constant(mean, width)).square().sum(dim=1).mean().item()
    fitted = [fit_heads(moments, h, sweeps=30, starts=2).loss for h in heads]
    return fitted, relaxed_optimum(moments)[1], theory.step_error(step, width, context)


def test_heads_come_near_gradient_descent_and_do_not_reach_it():
    fitted, optimum, step = head_losses(mean=2.0, heads=(1, 2, 3, 5))
    assert fitted[0] > fitted[1] > fitted[2] > fitted[3] > optimum * (1 - 1e-9)
    assert fitted[3] == pytest.approx(optimum, rel=0.01)
    assert optimum > 1.1 * step
    one, optimum, step = head_losses(mean=0.0, heads=(1,))
    assert one[0] == pytest.approx(step, rel=0.01)
    assert optimum == pytest.approx(step, rel=0.01)


def test_training_with_a_guess_finds_the_step_from_the_prior_mean():
    width, context, mean = 3, 4, 1.5
    tasks = theory.draw_tasks(6000, context, constant(mean, width), seed=3)
    losses = []
    for guess in (True, False):
        model = LinearSelfAttention(width + 1, guess=guess, scale=0.1, seed=1).double()
        optimiser = torch.optim.LBFGS(model.parameters(), max_iter=50, line_search_fn="strong_wolfe")

        def loss(model=model, optimiser=optimiser):
            optimiser.zero_grad()
            value = (model(tasks.prompt) - tasks.target).square().mean()
            value.backward()
            return value

        optimiser.step(loss)
        losses.append(loss().item())
        if guess:
            values, key_query = model.values[0, 0, -1].detach(), model.key_queries[0, 0].detach()
            theta = model.guess.detach()
            np.testing.assert_allclose(theta, mean, atol=0.05)
            np.testing.assert_allclose(values[:-1] / values[-1], -mean, atol=0.1)
            # The guess is part of the query, and labels are about w'x: both add to what x does to x.
            learnt = values[-1] * (key_query[:, :-1] + torch.outer(key_query[:, -1], theta))
            step = learnt[:-1] + mean * learnt[-1]
            np.testing.assert_allclose(step, theory.best_step(width, width, context) * np.eye(width), atol=0.05)
    closed = theory.gradient_step_weights(constant(mean, width), theory.best_step(width, width, context))
    step = (theory.predict(tasks.prompt, *closed) - tasks.target).square().mean().item()
    # Better on the tasks that it was fitted to by what its 22 parameters fit of them.
    assert step * 0.98 < losses[0] < step
    assert losses[1] > 1.3 * step


def test_the_label_slot_of_a_series_is_a_linear_forecast():
    phi = torch.tensor([0.6, -0.3], dtype=torch.float64)
    process = Autoregression.scalar(phi[None].numpy())
    prompt = hankel(torch.from_numpy(process.simulate(np.arange(20_000), 12)[..., 0]), 2)
    best = prompt[:, :-1, -1] @ phi.flip(0)
    values, key_queries = closed_form(phi, 1.0, 10)
    none = torch.zeros_like(values)
    torch.testing.assert_close(theory.predict(prompt, phi.flip(0), none, key_queries), best)
    zero_slot = theory.predict(prompt, torch.zeros_like(phi), values, key_queries)
    within((zero_slot - best).square(), gap(process.autocovariances(1).item() - 1, 10))
