"""The tangent kernel against autograd, wide networks, quadrature and descent step by step."""

import numpy as np
import pytest
import torch
from two_layer_forms import FORMS, drawn, each_form, written_out

from forecheck.papers.curse_of_attention.theory import kernel as k
from forecheck.papers.curse_of_attention.theory.two_layer import TwoLayer

SCALAR = {name: FORMS[name] for name in ("plain", "output", "rope", "recency", "bias")}


def windows(samples, steps=8, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((samples, steps)))


def by_autograd(model, parameters, x):
    names = model.trained
    leaves = [parameters[name].clone().requires_grad_() for name in names]
    out = written_out(model, parameters | dict(zip(names, leaves, strict=True)), x)
    rows = [torch.autograd.grad(each, leaves, retain_graph=True) for each in out]
    return {name: torch.stack([row[i].flatten() for row in rows]) for i, name in enumerate(names)}


@each_form
def test_kernel_is_the_product_of_autograds_jacobians(model, monkeypatch):
    parameters, x, _ = drawn(model, neurons=7, samples=8)
    monkeypatch.setattr(k, "_NEURONS", 3)  # blocks, the last one short
    expected = by_autograd(model, parameters, x)
    found = k.jacobian(model, parameters, x)
    assert set(found) == set(expected)
    for name, rows in found.items():
        torch.testing.assert_close(rows, expected[name], rtol=1e-9, atol=1e-12)
    whole = torch.cat([*expected.values()], dim=1)
    torch.testing.assert_close(k.tangent_kernel(model, parameters, x), whole @ whole.T, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        k.tangent_kernel(model, parameters, x[:3], x[2:]), whole[:3] @ whole[2:].T, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("model", [v for k, v in SCALAR.items() if k != "bias"])
def test_a_sum_over_nodes_is_that_over_neurons(model):
    parameters, x, _ = drawn(model, neurons=40, samples=60, steps=8)
    expected = k.tangent_kernel(model, parameters, x, x[:7] + 1, tabulated=False)
    found = k.tangent_kernel(model, parameters, x, x[:7] + 1, tabulated=True)
    assert float((found - expected).abs().max() / expected.abs().max()) < 2e-10
    wide = model.initial(3000, 8)
    torch.testing.assert_close(k.tangent_kernel(model, wide, x), k.tangent_kernel(model, wide, x, tabulated=False))


def test_neurons_of_more_weights_are_not_tabulated():
    model = FORMS["bias"]
    with pytest.raises(ValueError, match="cannot be tabulated"):
        k.tangent_kernel(model, model.initial(4, 8), windows(3), tabulated=True)


@pytest.mark.parametrize("model", SCALAR.values(), ids=SCALAR.keys())
def test_infinite_width_is_the_mean_of_wide_networks(model):
    x = windows(6)
    expected = k.infinite_tangent_kernel(model, x)
    drawn = torch.stack([k.tangent_kernel(model, model.initial(4000, 8, s, paired=False), x) for s in range(24)])
    error = drawn.std(dim=0) / len(drawn) ** 0.5
    assert float(((drawn.mean(dim=0) - expected).abs() / error).max()) < 5
    torch.testing.assert_close(k.infinite_tangent_kernel(model, x[:2], x[1:]), expected[:2, 1:], rtol=1e-9, atol=1e-12)


def test_infinite_width_is_what_gauss_hermite_tends_to():
    x = windows(12, seed=3)
    found = k.infinite_tangent_kernel(TwoLayer(), x)
    errors = []
    for count in (40, 80, 160):
        nodes, mass = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(count))
        slope = TwoLayer().response(nodes, None, x).slope
        errors.append(float(((slope * mass / mass.sum()) @ slope.T - found).norm() / found.norm()))
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-5


def test_error_falls_like_the_root_of_the_width():
    x = windows(8)
    limit = k.infinite_tangent_kernel(TwoLayer(), x)
    widths, mean = (100, 1600), []
    for width in widths:
        drawn = [k.tangent_kernel(TwoLayer(), TwoLayer().initial(width, 8, s, paired=False), x) for s in range(40)]
        mean.append(np.mean([float((h - limit).norm() / limit.norm()) for h in drawn]))
    assert mean[0] / mean[1] == pytest.approx(4, rel=0.25)


def test_infinite_width_of_two_weights_is_refused():
    with pytest.raises(ValueError, match="differential form is not at hand"):
        k.infinite_tangent_kernel(TwoLayer(differential=True), windows(3))


def test_nothing_is_near_the_real_line():
    # Zeros of sum_k exp(w x_d x_k), found on a grid of complex weights, lie beyond the distance.
    x = windows(5, steps=4, seed=1)
    distance = TwoLayer().pole_distance(x)
    re, im = np.meshgrid(np.linspace(-5, 5, 201), distance * np.linspace(0, 0.999, 50))
    sums = np.exp((re + 1j * im)[..., None, None] * (x[:, -1:] * x).numpy()).sum(axis=-1)
    size = np.exp(re[..., None, None] * (x[:, -1:] * x).numpy()).max(axis=-1)
    assert (np.abs(sums) / size).min() > 1e-3
    two = torch.tensor([[-1.0, 2.0]], dtype=torch.float64)  # exp(-2w) + exp(4w): zero at w = i pi / 6
    assert TwoLayer().pole_distance(two) == pytest.approx(np.pi / 6)


def test_small_eigenvalues_are_rounding_from_a_few_windows_on():
    small, large = (k.spectrum(k.infinite_tangent_kernel(TwoLayer(), windows(n))) for n in (4, 48))
    assert small.resolved
    assert not large.resolved
    assert large.rank < 32
    assert 1 < large.effective_rank < large.rank
    assert (large.eigenvalues.diff() <= 0).all()


def test_effective_rank_counts_equal_eigenvalues():
    found = k.spectrum(torch.diag(torch.tensor([2.0, 2.0, 2.0, 0.0, 0.0], dtype=torch.float64)))
    assert (found.rank, found.resolved) == (3, False)
    assert found.effective_rank == pytest.approx(3)


@pytest.mark.parametrize("steps", [1, 30])
def test_descent_by_the_kernel_is_descent_step_by_step(steps):
    x, other = windows(7), windows(4, seed=9)
    y = x.sum(dim=1)
    H, cross = k.infinite_tangent_kernel(TwoLayer(), x), k.infinite_tangent_kernel(TwoLayer(), other, x)
    lr = 1.6 / float(torch.linalg.eigvalsh(H)[-1])
    on_train, expected = torch.zeros_like(y), torch.zeros(4, dtype=torch.float64)
    for _ in range(steps):
        error = on_train - y
        on_train, expected = on_train - lr * H @ error, expected - lr * cross @ error
    torch.testing.assert_close(k.kernel_descent(H, cross, y, lr, steps), expected, rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="diverges: take less than"):
        k.kernel_descent(H, cross, y, 2 * lr, steps)
