"""Deep cross-attention: blocks of one prompt by the shared layer, matrix powers, quadrature by Monte Carlo, limits."""

import numpy as np
import pytest
import torch

from forecheck.papers.cross_attention import theory
from forecheck.papers.in_context.theory.linear_self_attention import attend, gram
from forecheck.papers.in_context.theory.optimum import least_squares_in_context


def draws(count=6, width=4, context=9, factors=2, seed=0):
    return theory.draw_factors(count, width, 0.5, 4.0, factors, seed)


def test_the_best_predictor_is_regression_with_the_joint_covariance():
    tasks = draws()
    for loading, response, weight, risk in zip(
        tasks.loadings, tasks.response, tasks.weights(), tasks.bayes_error(), strict=True
    ):
        covariance = torch.eye(4, dtype=torch.float64) + loading @ loading.mT
        expected = torch.linalg.solve(covariance, loading @ response)
        torch.testing.assert_close(weight, expected)
        torch.testing.assert_close(risk, response @ response - expected @ covariance @ expected)
    strengths = torch.linalg.eigvalsh(tasks.loadings.mT @ tasks.loadings)
    assert strengths.min() >= 0.5
    assert strengths.max() <= 4.0


def test_prompts_have_the_covariance_of_their_task():
    tasks = draws(count=1)
    prompt, target = tasks.prompts(200_000)
    known = gram(prompt)[0]
    loading, response = tasks.loadings[0], tasks.response[0]
    torch.testing.assert_close(
        known[:-1, :-1], torch.eye(4, dtype=torch.float64) + loading @ loading.mT, atol=0.06, rtol=0
    )
    torch.testing.assert_close(known[:-1, -1], loading @ response, atol=0.03, rtol=0)
    assert prompt[0, -1, -1] == 0
    assert target.shape == (1,)


@pytest.mark.parametrize(("depth", "coupling"), [(1, None), (4, None), (4, -0.07)])
def test_a_prediction_is_layers_of_the_shared_attention_on_stacked_rows(depth, coupling):
    """Rows (z; x; y): a layer writes into z from x with queries from z, the readout into y with queries from z."""
    prompt, _ = draws().prompts(9)
    step, eye = 0.2, torch.eye(4, dtype=torch.float64)
    rows = torch.cat([torch.zeros_like(prompt[:, :-1]), prompt], dim=1)
    zero = torch.zeros(1, 9, 9, dtype=torch.float64)
    value, key_query, out, ask = zero.clone(), zero.clone(), zero.clone(), zero.clone()
    value[0, :4, 4:8] = (-step if coupling is None else coupling) * eye
    key_query[0, 4:8, :4] = ask[0, 4:8, :4] = eye
    out[0, 8, 8] = 1
    for _ in range(depth):
        rows = attend(rows, value, key_query)
        rows = torch.cat([rows[:, :4] + step * prompt[:, :-1], rows[:, 4:]], dim=1)
    expected = attend(rows, out, ask)[:, -1, -1]
    torch.testing.assert_close(theory.predict(prompt, depth, step, coupling), expected)


def test_depth_is_a_power_of_the_contraction():
    prompt, _ = draws().prompts(30)
    step, depth, eye = 0.15, 7, torch.eye(4, dtype=torch.float64)
    for one, made in zip(prompt, theory.predict(prompt, depth, step), strict=True):
        known = gram(one)
        inverse = torch.linalg.inv(known[:-1, :-1])
        left = eye - torch.linalg.matrix_power(eye - step * known[:-1, :-1], depth)
        torch.testing.assert_close(made, known[-1, :-1] @ inverse @ left @ one[:-1, -1])


def test_a_safe_step_leads_to_regression_in_context_and_the_first_diverging_step_away_from_it():
    prompt, _ = draws(count=6).prompts(30)
    covariance = theory.context_covariance(prompt)
    safe = theory.safe_step(covariance)
    limit = 2 / torch.linalg.eigvalsh(covariance)[:, -1]
    for one, step, edge in zip(prompt.split(1), safe.tolist(), limit.tolist(), strict=True):
        torch.testing.assert_close(theory.predict(one, 300, step), least_squares_in_context(one), rtol=1e-5, atol=1e-8)
        for factor, grows in ((0.97, False), (1.03, True)):
            tried = edge * factor
            assert theory.diverges(theory.context_covariance(one), tried).item() is grows
            later = theory.predict(one, 400, tried).abs() > 1e3 * theory.predict(one, 3, tried).abs()
            assert later.item() is grows


def test_the_best_step_has_the_least_worst_contraction():
    low, high = 0.5, 4.0
    eigenvalues = 1 + np.linspace(low, high, 1001)
    steps = np.linspace(0.01, 0.6, 100_001)
    worst = np.maximum(np.abs(1 - steps * eigenvalues[0]), np.abs(1 - steps * eigenvalues[-1]))
    assert theory.best_step(low, high) == pytest.approx(steps[worst.argmin()], abs=1e-5)
    assert worst.min() == pytest.approx((high - low) / (2 + low + high), abs=1e-5)
    assert np.abs(1 - theory.best_step(low, high) * eigenvalues).max() == pytest.approx(worst.min(), abs=1e-5)


def test_one_layer_cannot_serve_all_tasks():
    low, high = 1.0, 9.0
    m = np.linspace(low, high, 2_000_001)
    alpha = m.mean() / (m * (1 + m)).mean()
    least = (m / (1 + m)).mean() - m.mean() ** 2 / (m * (1 + m)).mean()
    assert theory.trained_step(1, low, high) == pytest.approx(alpha, rel=1e-5)
    assert theory.excess(1, alpha, low, high) == pytest.approx(least, rel=1e-5)
    assert least > 0.09
    assert theory.excess(1, theory.trained_step(1, 3.0, 3.0 + 1e-9), 3.0, 3.0 + 1e-9) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "steps"),
    [
        (1.0, 9.0, {1: 0.1415, 2: 0.1488, 5: 0.1571, 10: 0.1613, 20: 0.1638, 40: 0.1652}),
        (0.5, 4.0, {1: 0.2700, 2: 0.2813, 5: 0.2939, 10: 0.3000, 20: 0.3036, 40: 0.3056}),
    ],
)
def test_trained_steps_rise_to_the_limit(low, high, steps):
    found = [theory.trained_step(depth, low, high) for depth in steps]
    assert found == pytest.approx(list(steps.values()), abs=1e-4)  # values from another program
    assert sorted(found) == found
    assert found[-1] < theory.best_step(low, high)
    away = [theory.best_step(low, high) - step for step in found]
    assert away[-1] < 0.6 * away[-2]


def test_the_second_parameter_tends_to_minus_the_first():
    one = theory.trained_step(2, 0.5, 4.0)
    alpha, beta = theory.trained_pair(2, 0.5, 4.0)
    assert theory.excess(2, alpha, 0.5, 4.0, beta) < theory.excess(2, one, 0.5, 4.0)
    assert (alpha, beta) == pytest.approx((0.310, -0.288), abs=1e-3)
    alpha, beta = theory.trained_pair(10, 0.5, 4.0)
    assert alpha == pytest.approx(-beta, rel=1e-3)


def test_with_much_context_the_excess_is_the_integral():
    tasks = theory.draw_factors(3000, 3, 1.0, 9.0)
    step = theory.best_step(1.0, 9.0)
    eye = torch.eye(3, dtype=torch.float64)
    covariance = eye + tasks.loadings @ tasks.loadings.mT
    weights = tasks.weights()
    for depth in (1, 3):
        left = torch.linalg.matrix_power(eye - step * covariance, depth)
        missed = torch.einsum("tij,tj->ti", left, weights)
        error = torch.einsum("ti,tij,tj->t", missed, covariance, missed)
        expected = theory.excess(depth, step, 1.0, 9.0)
        assert abs(error.mean().item() - expected) < 4 * error.std().item() / 3000**0.5
        assert theory.excess(depth, step, 1.0, 9.0, -step) == expected


def test_depth_helps_with_long_context_and_hurts_with_short():
    tasks = theory.draw_factors(200, 10, 1.0, 9.0)
    step = theory.best_step(1.0, 9.0)

    def error(context, depth):
        prompt, _ = tasks.prompts(context, seed=1)
        return tasks.excess(theory.learnt_weights(prompt, depth, step)).mean().item()

    assert error(1000, 10) < 0.2 * error(1000, 2) < 0.2 * error(1000, 1)
    assert error(50, 20) > 10 * error(50, 2)


@pytest.mark.parametrize("coupling", [None, -0.05])
def test_learnt_weights_predict(coupling):
    prompt, _ = draws().prompts(9)
    weights = theory.learnt_weights(prompt, 5, 0.1, coupling)
    made = (weights * prompt[:, :-1, -1]).sum(dim=1)
    torch.testing.assert_close(made, theory.predict(prompt, 5, 0.1, coupling))


def test_the_excess_is_over_all_queries():
    tasks = draws(count=1)
    other = tasks.weights() + 0.5
    many = theory.Factors(tasks.loadings.expand(40_000, -1, -1), tasks.response.expand(40_000, -1))
    prompt, target = many.prompts(1, seed=3)
    query = prompt[:, :-1, -1]
    gained = (query @ other[0] - target).square() - (query @ tasks.weights()[0] - target).square()
    expected = tasks.excess(other).item()
    assert abs(gained.mean().item() - expected) < 4 * gained.std().item() / 40_000**0.5


def test_one_layer_in_finite_context_costs_the_spread_of_its_label_sums():
    """For normal data the covariance of (1/L) sum y x is (var(y) Sigma + M M') / L for one factor with b = 1."""
    context, step = 20, theory.best_step(1.0, 9.0)
    tasks = theory.draw_factors(20_000, 3, 1.0, 9.0)
    errors = tasks.excess(theory.learnt_weights(tasks.prompts(context)[0], 1, step))
    m = np.linspace(1.0, 9.0, 100_001)
    spread = 2 + ((1 + m) ** 2).mean() + (m * (1 + m)).mean()
    expected = theory.excess(1, step, 1.0, 9.0) + step**2 * spread / context
    assert abs(errors.mean().item() - expected) < 4 * errors.std().item() / 20_000**0.5
