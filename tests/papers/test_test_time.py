"""Steps of thought: the layer written out, moments by Monte Carlo, bounds, divergence, and the quadratic programme."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from forecheck.papers.in_context.theory.linear_self_attention import attend
from forecheck.papers.test_time_scaling import theory


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def examples(covariance, count, length, seed=0):
    """Inputs of that covariance, weights, and labels without noise."""
    width = len(covariance)
    x = torch.linalg.cholesky(covariance) @ draw(count, width, length, seed=seed)
    w = draw(count, width, seed=seed + 1)
    return x, w, torch.einsum("td,tdm->tm", w, x)


def spectrum(*eigenvalues):
    return torch.diag(torch.tensor(eigenvalues, dtype=torch.float64))


def test_training_leaves_the_ratio_of_the_moments():
    covariance, length = spectrum(0.3, 0.6, 1.0), 7
    x, *_ = examples(covariance, 60_000, length)
    s = x @ x.mT / length
    best = s.mean(0) @ torch.linalg.inv((s @ s).mean(0))
    torch.testing.assert_close(best, torch.linalg.inv(theory.trained_matrix(covariance, length)), atol=0.02, rtol=0)
    # The square of S itself, with its standard error.
    error = (s @ s).std(0) / len(s) ** 0.5
    expected = covariance @ theory.trained_matrix(covariance, length)
    assert (((s @ s).mean(0) - expected).abs() < 4 * error).all()


def test_training_on_a_mixture_leaves_the_ratio_of_its_moments():
    kinds, shares, length = torch.stack([spectrum(1.0, 0.2), spectrum(0.3, 2.0) + 0.1]), [0.25, 0.75], 6
    many = [
        examples(kind, int(80_000 * share), length, seed=i)[0]
        for i, (kind, share) in enumerate(zip(kinds, shares, strict=True))
    ]
    s = torch.cat([x @ x.mT / length for x in many])
    best = s.mean(0) @ torch.linalg.inv((s @ s).mean(0))
    mixture = theory.trained_mixture(kinds, torch.tensor(shares).double(), length)
    torch.testing.assert_close(torch.linalg.inv(mixture), best, atol=0.02, rtol=0)
    alone = theory.trained_mixture(kinds[:1], torch.ones(1).double(), length)
    torch.testing.assert_close(alone, theory.trained_matrix(kinds[0], length))


def test_a_step_is_the_layer_whose_thoughts_are_appended():
    x, _, y = examples(spectrum(0.5, 1.0, 2.0), 1, 5)
    matrix, steps = theory.trained_matrix(spectrum(0.5, 1.0, 2.0), 9), 4
    value, key_query = theory.layer_weights(matrix)
    prompt = theory.embed(x[0], y[0])
    shared = prompt
    for made in theory.chain(x, y, matrix, steps)[0]:
        # No mask: the layer of the paper, on a prompt that grows, divided by the number of examples.
        column = (prompt + value @ prompt @ (prompt.mT @ key_query @ prompt) / 5)[:, -1]
        torch.testing.assert_close(column[4:-1], made)
        assert column[:4].abs().max() == 0
        assert column[-1] == 1
        prompt = torch.cat([prompt, column[:, None]], dim=1)
        # The shared layer masks the query, which has no x to be read; older thoughts may as well be forgotten.
        shared = attend(shared, value[None], key_query[None])
        torch.testing.assert_close(shared[4:-1, -1], made)
        shared = torch.cat([theory.embed(x[0], y[0])[:, :-1], shared[:, -1:]], dim=1)


def test_thoughts_are_powers():
    x, w, y = examples(spectrum(0.5, 1.0), 20, 6)
    matrix = theory.trained_matrix(spectrum(0.5, 1.0), 4)
    made = theory.chain(x, y, matrix, 5)
    left = torch.eye(2, dtype=torch.float64) - torch.linalg.inv(matrix) @ (x @ x.mT / 6)
    for k in (1, 5):
        expected = w - torch.einsum("tij,tj->ti", torch.linalg.matrix_power(left, k), w)
        torch.testing.assert_close(made[:, k - 1], expected)


def test_thoughts_about_noisy_labels_end_at_least_squares():
    x, _, y = examples(spectrum(1.0, 1.0), 3, 30)
    y = y + 0.5 * draw(3, 30, seed=9)
    made = theory.chain(x, y, spectrum(2.0, 2.0), 400)[:, -1]
    expected = torch.linalg.solve(x @ x.mT, torch.einsum("tdm,tm->td", x, y))
    torch.testing.assert_close(made, expected)


def test_the_expected_error_is_that_of_weights():
    covariance = spectrum(0.4, 1.0, 1.5)
    x, _, _ = examples(covariance, 1, 12)
    w = draw(30_000, 3, seed=5)
    matrix = theory.trained_matrix(covariance, 8)
    many = x.expand(30_000, -1, -1)
    made = theory.chain(many, w @ x[0], matrix, 3)
    errors = (made - w[:, None]).square().sum(dim=2)
    expected = theory.chain_error(matrix, x[0] @ x[0].mT / 12, 3)
    assert ((errors.mean(0) - expected).abs() < 4 * errors.std(0) / 30_000**0.5).all()


@given(
    eigenvalues=st.lists(st.floats(0.05, 5), min_size=1, max_size=6),
    length=st.integers(1, 60),
    steps=st.integers(1, 8),
)
def test_the_scaling_law_bounds_the_error_of_long_prompts(eigenvalues, length, steps):
    covariance = spectrum(*eigenvalues)
    errors = theory.chain_error(theory.trained_matrix(covariance, length), covariance, steps)
    trace = sum(eigenvalues)
    exact = sum((1 + length / (1 + trace / e)) ** (-2 * steps) for e in eigenvalues)
    assert errors[-1].item() == pytest.approx(exact, rel=1e-6)
    assert errors[-1].item() <= theory.scaling_law(covariance, length, steps) * (1 + 1e-9)
    same = spectrum(*[eigenvalues[0]] * len(eigenvalues))
    attained = theory.chain_error(theory.trained_matrix(same, length), same, steps)[-1].item()
    assert attained == pytest.approx(theory.scaling_law(same, length, steps), rel=1e-6)


def test_hardness_is_the_trace_over_the_least_eigenvalue():
    assert theory.hardness(spectrum(1.0, 0.5, 0.1)) == pytest.approx(16.0)
    rotation = torch.linalg.qr(draw(3, 3))[0]
    assert theory.hardness(rotation @ spectrum(1.0, 0.5, 0.1) @ rotation.mT) == pytest.approx(16.0)


@pytest.mark.parametrize(("length", "prompt"), [(50, 50), (20, 1000)])
def test_the_direct_bound_holds_with_room(length, prompt):
    covariance = torch.diag(torch.linspace(0.3, 1.0, 10, dtype=torch.float64))
    x, *_ = examples(covariance, 400, prompt)
    error = theory.chain_error(theory.trained_matrix(covariance, length), x @ x.mT / prompt, 1).mean().item()
    assert error < 0.5 * theory.direct_bound(covariance, length, prompt)


def test_thoughts_diverge_exactly_where_the_top_eigenvalue_is_above_two():
    x, w, y = examples(torch.eye(6, dtype=torch.float64), 300, 14)
    matrix = theory.trained_matrix(torch.eye(6, dtype=torch.float64), 20)
    top = theory.top_eigenvalue(matrix, x @ x.mT / 14)
    by_hand = torch.linalg.eigvals(torch.linalg.solve(matrix, x @ x.mT / 14)).real.max(dim=1).values
    torch.testing.assert_close(top, by_hand)
    clear = (top - 2).abs() > 0.02
    errors = (theory.chain(x, y, matrix, 600) - w[:, None]).square().sum(dim=2)
    grows = errors[:, -1] > errors[:, 99]
    assert (grows == (top > 2))[clear].all()
    assert 0 < grows.sum() < 300


def test_more_training_on_a_skewed_task_overthinks_sooner():
    skew = 1 / torch.arange(1, 11, dtype=torch.float64)
    skew = torch.diag(skew * 10 / skew.sum())
    target = torch.eye(10, dtype=torch.float64)
    x, *_ = examples(target, 100, 200)
    for prompts, sooner in ((target[None], False), (x @ x.mT / 200, True)):
        errors = {n: theory.chain_error(theory.trained_matrix(skew, n), prompts, 20).mean(0) for n in (20, 60, 80)}
        assert errors[20].argmin() == 19
        assert errors[80].argmin() < 5
        # Between the two sample eigenvalues decide: what would converge without limit diverges in prompts of 200.
        top = theory.top_eigenvalue(theory.trained_matrix(skew, 60), prompts).median()
        assert (top > 2) == sooner
        assert (errors[60].argmin() < 10) == sooner


def test_selected_shares_are_those_of_a_general_solver():
    for seed in range(5):
        factor = draw(4, 3, 3, seed=seed)
        kinds = factor @ factor.mT
        target = torch.eye(3, dtype=torch.float64) + 0.3 * kinds[0]
        shares = theory.select_tasks(kinds, target).numpy()
        ratios = torch.linalg.solve(target, kinds).numpy()

        def distance(p, ratios=ratios):
            return np.square(np.eye(3) - np.einsum("k,kij->ij", p, ratios)).sum()

        general = minimize(
            distance,
            np.full(4, 0.25),
            bounds=[(0, 1)] * 4,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-13},
        )
        assert shares.sum() == pytest.approx(1)
        assert (shares >= 0).all()
        assert distance(shares) <= general.fun * (1 + 1e-9)
        np.testing.assert_allclose(shares, general.x, atol=1e-4)


def test_a_kind_that_is_the_target_takes_all():
    kinds = torch.stack([spectrum(1.0, 0.1), spectrum(2.0, 1.0), spectrum(0.2, 3.0)])
    np.testing.assert_allclose(theory.select_tasks(kinds, kinds[1]), [0, 1, 0], atol=1e-9)
