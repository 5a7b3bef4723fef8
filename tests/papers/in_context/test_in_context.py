"""The gap of linear self-attention: exact form by Monte Carlo, closed form by gradients, limits, roll-outs."""

import math

import numpy as np
import pytest
import torch

from forecheck.papers.in_context.theory import optimum as theory
from forecheck.papers.in_context.theory.autoregressive import EXCESS_KURTOSIS, Autoregression, rejected_coefficients
from forecheck.papers.in_context.theory.heads import Moments, fit_heads, relaxed_optimum
from forecheck.papers.in_context.theory.linear_self_attention import as_layer, attend, gram, hankel, read

AR = [(0.8,), (0.6, -0.3), (0.5, 0.2, -0.4)]


def windows(phi, columns, count, law="normal", variance=1.0, seed=0):
    """Prompts of a process, the best forecast of each, and the variance that it explains."""
    process = Autoregression.scalar(np.array([phi]), variance)
    burn = 0 if law == "normal" else 100
    series = process.simulate(np.arange(count), len(phi) + columns, seed=seed, law=law, burn_in=burn)[..., 0]
    prompt = hankel(torch.from_numpy(series), len(phi))
    best = prompt[:, :-1, -1] @ torch.tensor(phi, dtype=torch.float64).flip(0)
    return prompt, best, process.autocovariances(1)[0, 0, 0, 0] - variance


def excess(prompt, best, weights):
    return (best - read(gram(prompt), *weights, prompt[:, :-1, -1])).square()


def within(sample, expected, errors=4, slack=0.0):
    error = sample.std().item() / len(sample) ** 0.5
    assert abs(sample.mean().item() - expected) < errors * error + slack


@pytest.mark.parametrize("phi", AR)
@pytest.mark.parametrize("columns", [2, 10, 50])
def test_the_gap_of_the_closed_form_is_exact_for_normal_innovations(phi, columns):
    prompt, best, explained = windows(phi, columns, 20_000, variance=0.3)
    weights = theory.closed_form(torch.tensor(phi, dtype=torch.float64), 0.3, columns)
    within(excess(prompt, best, weights), theory.gap(explained, columns))


def test_the_gap_with_laplace_innovations():
    prompt, best, explained = windows((0.8,), 100, 20_000, law="laplace")
    kurtosis = EXCESS_KURTOSIS["laplace"]
    weights = theory.closed_form(torch.tensor([0.8]).double(), 1.0, 100, kurtosis)
    within(excess(prompt, best, weights), theory.gap(explained, 100, kurtosis), slack=0.1 * theory.gap(explained, 100))
    assert excess(prompt, best, weights).mean() > 1.8 * theory.gap(explained, 100)


@pytest.mark.parametrize("phi", AR)
def test_no_number_of_heads_does_much_better(phi):
    prompt, best, explained = windows(phi, 50, 20_000)
    query, known = prompt[:, :-1, -1], gram(prompt)
    moments = Moments.of(known, query, best)
    closed = theory.closed_form(torch.tensor(phi).double(), 1.0, 50)
    relaxed = relaxed_optimum(moments)[1]
    fitted = fit_heads(moments, 1, sweeps=20, start=closed[0])
    in_sample = excess(prompt, best, closed).mean().item()
    assert relaxed < fitted.loss <= in_sample
    # B_p / n to first order, and corrections of the second.
    assert 0.85 * theory.gap(explained, 50) < relaxed < theory.gap(explained, 50)


def test_the_closed_form_is_a_layer():
    prompt, _, _ = windows(AR[1], 12, 5, variance=0.2)
    v, a = theory.closed_form(torch.tensor(AR[1]).double(), 0.2, 12)
    whole = attend(prompt, *as_layer(v, a))[:, -1, -1]
    phi = torch.tensor(AR[1]).double().flip(0)
    residuals = prompt[:, -1, :-1] - torch.einsum("brc,r->bc", prompt[:, :-1, :-1], phi)
    by_words = 12 / 14 * residuals.square().mean(dim=1) / 0.2 * (prompt[:, :-1, -1] @ phi)
    torch.testing.assert_close(whole, by_words)


def test_gradients_from_the_closed_form_gain_only_the_second_order():
    prompt, best, _ = windows((0.6, -0.3), 50, 2000, seed=3)
    weights = [w.requires_grad_() for w in theory.closed_form(torch.tensor(AR[1]).double(), 1.0, 50)]
    optimiser = torch.optim.LBFGS(weights, max_iter=25, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = excess(prompt, best, weights).mean()
        value.backward()
        return value

    before = loss().item()
    optimiser.step(loss)
    assert 0.8 * before < loss().item() < before


def test_regression_in_context_is_regression_and_costs_a_noise_variance_a_lag():
    prompt, best, _ = windows(AR[2], 200, 8000)
    forecasts = theory.least_squares_in_context(prompt)
    one = prompt[0].numpy()
    weights = np.linalg.lstsq(one[:-1, :-1].T, one[-1, :-1], rcond=None)[0]
    assert forecasts[0].item() == pytest.approx(one[:-1, -1] @ weights)
    within((best - forecasts).square(), 3 / 200, slack=0.05 * 3 / 200)


def processes(order, count):
    drawn = rejected_coefficients(np.arange(count), order, radius=0.95)[..., 0, 0]
    gammas = Autoregression.scalar(drawn).autocovariances(order + 1)[..., 0, 0]
    return torch.from_numpy(drawn), torch.from_numpy(gammas)


def test_the_map_of_many_processes_of_one_lag_is_the_integral():
    phi = torch.linspace(-0.9, 0.9, 20_001, dtype=torch.float64)
    variance = 1 / (1 - phi.square())
    matrix, share = theory.preconditioner(phi[:, None], torch.stack([variance, phi * variance], dim=1))
    # By symmetry only gamma_1 matters: one coefficient, one regression.
    moments = [(variance**k * phi.square()).mean().item() for k in (1, 2, 3)]
    assert matrix[0].numpy() == pytest.approx([0, moments[1] / moments[2]])
    assert share == pytest.approx(1 - moments[1] ** 2 / moments[0] / moments[2])
    assert share == pytest.approx(0.1467, abs=1e-4)
    scaled = theory.preconditioner(phi[:, None], torch.stack([torch.ones_like(phi), phi], dim=1))
    assert scaled[1] == pytest.approx(0, abs=1e-12)


def test_the_map_of_many_processes_is_weighted_least_squares():
    phi, gammas = processes(2, 300)
    matrix, share = theory.preconditioner(phi, gammas)
    rows, targets, explained = [], [], 0.0
    for f, g in zip(phi.numpy(), gammas.numpy(), strict=True):
        toeplitz = np.array([[g[0], g[1]], [g[1], g[0]]])
        root = np.linalg.cholesky(toeplitz).T
        rows.append(np.kron(root, g))
        targets.append(root @ f)
        explained += f @ toeplitz @ f
    found, residual, *_ = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)
    np.testing.assert_allclose(matrix.flatten(), found, rtol=1e-5, atol=1e-8)
    assert share == pytest.approx(residual.item() / explained)


def test_one_process_is_recovered_without_limit():
    phi, gammas = processes(3, 1)
    assert theory.preconditioner(phi, gammas)[1] == pytest.approx(0, abs=1e-9)


def roll(phi, begun, count=4000, steps=60):
    prompt_order = len(phi)
    process = Autoregression.scalar(np.array([phi]))
    history = torch.from_numpy(process.simulate(np.arange(count), begun, seed=2)[..., 0])
    scale = process.autocovariances(1)[0, 0, 0, 0] ** 0.5
    v, a = theory.closed_form(torch.tensor(phi).double(), 1.0, begun - prompt_order)

    def predict(h):
        return read(gram(hankel(h, prompt_order)), v, a, h[:, -prompt_order:])

    own = torch.from_numpy(process.forecast(history[..., None].numpy(), steps)[..., 0])
    return theory.roll_out(predict, history, steps), own, scale


def test_roll_outs_of_attention_fade_faster_and_some_diverge():
    rolled, own, scale = roll((0.9,), 100)
    fade, own_fade = theory.median_decay(rolled, scale), theory.median_decay(own, scale)
    assert own_fade[9].item() == pytest.approx(0.9**10 * 0.6745, rel=0.06)  # the median of a normal size
    assert fade[9] < 0.6 * own_fade[9]
    assert 0.02 < theory.divergence_share(rolled, scale) < 0.05
    assert theory.divergence_share(own, scale) == 0
    steps, own_steps = (theory.collapse_step(r, scale).median() for r in (rolled, own))
    assert steps < 0.7 * own_steps


def test_a_roll_out_is_a_loop_over_growing_histories():
    rolled = theory.roll_out(lambda h: h.mean(dim=1) + h.shape[1], torch.tensor([[1.0, 3.0]]), 3)
    assert rolled.tolist() == [[4.0, pytest.approx(8 / 3 + 3), pytest.approx((8 + 8 / 3 + 3) / 4 + 4)]]


def test_an_overflow_counts_as_divergence():
    def cube(history):
        return -(history[:, -1] ** 3) * history[:, -2]

    rolled = theory.roll_out(cube, torch.tensor([[1e20, 1e20], [0.1, 0.1]]), 6)
    assert theory.divergence_share(rolled, 1.0) == 0.5
    assert not rolled.isnan().any()


def test_collapse_is_the_first_step_of_a_run():
    rolled = torch.tensor([[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], [1.0] * 7])
    assert theory.collapse_step(rolled, 1.0, run=3).tolist() == [4.0, math.inf]
    assert theory.collapse_step(rolled, 1.0, run=2).tolist() == [1.0, math.inf]


def test_the_second_order_of_laplace_innovations():
    """Weighted by one of its squares, e^2 of moments 6 (fourth) and 90 (sixth), the residual variance has these."""
    n = 50
    shrink = n / (n + 5)
    second = (90 + 3 * 6 * (n - 1) + (n - 1) * (n - 2)) / n**2
    exact = 1 - 2 * shrink * (6 + n - 1) / n + shrink**2 * second
    assert exact == pytest.approx(1.09 * theory.gap(1.0, n, 3.0), rel=0.003)
    rng = np.random.default_rng(0)
    squares = np.square(rng.laplace(0, 0.5**0.5, (100_000, n)))
    within(torch.from_numpy((squares * (1 - shrink * squares.mean(axis=1, keepdims=True)) ** 2).mean(axis=1)), exact)
