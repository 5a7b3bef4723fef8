"""The residual state space model against its recursion, rejection sampling and least squares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.errors import UsageError
from forecheck.papers.curse_of_attention.theory.residual_ssm import BLOCK, ResidualSSM, residual_ssm, white

FORMS = ("unit", "flat", "prop3")


def generic(steps=5, seed=0, noise=0.3):
    features = np.random.default_rng(seed).standard_normal((steps + 1, steps))
    return ResidualSSM(features / np.linalg.norm(features, axis=1, keepdims=True), noise)


@pytest.mark.parametrize(
    "model", [residual_ssm("unit"), residual_ssm("flat"), generic()], ids=["unit", "flat", "generic"]
)
def test_the_recursion_gives_the_features(model):
    rng = np.random.default_rng(1)
    C, B = model.features[0], rng.standard_normal(model.steps)
    A = model.transition - np.outer(B, C)  # any B is a gauge
    h = first = rng.standard_normal(model.steps)
    steps = []
    for _ in range(model.steps + 1):
        steps.append(C @ h)
        h = A @ h + B * steps[-1]
    np.testing.assert_allclose(steps, model.features @ first, rtol=1e-8, atol=1e-8)


@given(form=st.sampled_from(FORMS), steps=st.integers(3, 20), gamma=st.floats(-0.3, 0.99))
def test_each_form_has_its_properties(form, steps, gamma):
    model = residual_ssm(form, steps, gamma)
    assert model.coefficients.sum() == pytest.approx(1)
    assert model.gamma == pytest.approx((steps - 1) / steps if form == "prop3" else gamma)
    np.testing.assert_allclose(np.linalg.norm(model.features[:-1], axis=1), 1)
    np.testing.assert_allclose(model.features[-2] @ model.features[:-2].T, 0, atol=1e-15)
    if form == "unit":
        assert model.scale == pytest.approx(1)
    else:
        assert model.scale**2 == pytest.approx(model.gamma**2 + (1 - model.gamma) ** 2 / (steps - 1))
    if form == "prop3":
        np.testing.assert_allclose(model.features[-1], [1 / steps / (steps - 1)] * (steps - 1) + [1 - 1 / steps])


@pytest.mark.parametrize("gamma", [0, 0.5, 0.95])
def test_coefficients_that_are_not_negative_are_on_the_edge_of_stability(gamma):
    assert np.abs(np.linalg.eigvals(residual_ssm("flat", 8, gamma).transition)).max() == pytest.approx(1)


@pytest.mark.parametrize("signs", ["all", "consistent", "inconsistent"])
def test_a_sample_is_the_same_whatever_is_drawn_with_it(signs):
    model = residual_ssm()
    whole = model.sample(2 * BLOCK + 50, seed=3, signs=signs)
    part = model.sample(BLOCK, seed=3, signs=signs, start=BLOCK - 7)
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[BLOCK - 7 : 2 * BLOCK - 7], b)
    assert (model.sample(5, seed=4, signs=signs).x != whole.x[:5]).all()
    assert model.sample(0, signs=signs).x.shape == (0, 8)


@pytest.mark.parametrize(
    "model", [residual_ssm("unit"), residual_ssm("unit", gamma=-0.5), generic()], ids=["+", "-", "generic"]
)
@pytest.mark.parametrize("signs", ["consistent", "inconsistent"])
def test_samples_by_signs_have_the_law_of_rejection(model, signs):
    clean = model.sample(20_000, seed=1, signs=signs).clean
    product = clean[:, -2] * clean[:, -1]
    assert ((product < 0) == (signs == "inconsistent")).all()
    every = model.sample(80_000, seed=2).clean
    kept = every[((every[:, -2] * every[:, -1]) < 0) == (signs == "inconsistent")]
    for moment in (lambda u: u[:, :, None] * u[:, None, :], np.abs, lambda u: u**4):
        a, b = moment(clean), moment(kept)
        error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 5 * error).all()


@pytest.mark.parametrize(
    "model", [residual_ssm("unit"), residual_ssm("prop3", noise=0.4), generic()], ids=["unit", "prop3", "generic"]
)
def test_bayes_error_is_that_of_least_squares_on_many_samples(model):
    x, y, clean = model.sample(100_000, seed=5)
    np.testing.assert_allclose(clean[:, :-1] @ model.coefficients, clean[:, -1], atol=1e-9)
    best = np.square(y - x @ np.linalg.lstsq(x, y, rcond=None)[0])
    assert best.mean() == pytest.approx(model.bayes_error, abs=5 * best.std() / len(y) ** 0.5)
    for signs in ("all", "consistent", "inconsistent"):
        x, y, _ = model.sample(100_000, seed=6, signs=signs)
        oracle = np.square(y - x @ model.coefficients)
        assert oracle.mean() == pytest.approx(model.linear_error, abs=5 * oracle.std() / len(y) ** 0.5)
    assert model.bayes_error < model.linear_error


def test_noise_is_independent_of_signs_and_has_its_scale():
    model = residual_ssm(noise=0.2)
    x, y, clean = model.sample(50_000, signs="inconsistent")
    noise = np.column_stack([x, y]) - clean
    np.testing.assert_allclose(np.cov(noise.T), 0.04 * np.eye(9), atol=5 * 0.04 * np.sqrt(2 / 50_000))
    np.testing.assert_allclose(noise.T @ clean / len(clean), 0, atol=5 * 0.2 * np.sqrt(2 / 50_000))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: residual_ssm("unit", 8, -0.9), "no unit form has gamma = -0.9 at 8 steps"),
        (lambda: white(np.array([0.0, 0.0, 0.7])).sample(3, signs="inconsistent"), "the next step is 0.7 times"),
        (lambda: ResidualSSM(np.ones((4, 3))), "do not span the states"),
        (lambda: ResidualSSM(np.eye(3)), "do not span the states"),
        (lambda: residual_ssm(noise=-1.0), "noise -1.0 is negative"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
