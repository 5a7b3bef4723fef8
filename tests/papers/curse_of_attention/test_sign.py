"""Closed forms of sign-split prediction against samples, brute force over orders, and least squares."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.errors import UsageError
from forecheck.papers.curse_of_attention.theory import sign
from forecheck.papers.curse_of_attention.theory.residual_ssm import ResidualSSM, residual_ssm, white

COUNT = 60_000


def generic(seed=0, steps=5, noise=0.3):
    return ResidualSSM(np.random.default_rng(seed).standard_normal((steps + 1, steps)), noise)


MODELS = {
    "unit": residual_ssm("unit"),
    "unit-": residual_ssm("unit", gamma=-0.5),
    "flat": residual_ssm("flat", gamma=0.9),
    "prop3": residual_ssm("prop3"),
    "generic": generic(),
}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
each_sign = pytest.mark.parametrize("signs", ["all", "consistent", "inconsistent"])


def near(values, expected):
    """The mean of draws is what it should be, within five standard errors."""
    error = values.std(axis=0) / len(values) ** 0.5
    return (np.abs(values.mean(axis=0) - expected) <= 5 * error + 1e-12).all()


@each_model
def test_share_of_signs(model):
    clean = model.sample(COUNT, seed=1).clean
    inconsistent = clean[:, -1] * clean[:, -2] < 0
    assert near(inconsistent.astype(float), sign.sign_probability(model))
    assert sign.sign_probability(model, "consistent") == 1 - sign.sign_probability(model)
    assert sign.sign_probability(model, "all") == 1


@pytest.mark.parametrize(("gamma", "share"), [(0.5, 1 / 3), (0, 1 / 2), (-0.5, 2 / 3), (0.5**0.5, 1 / 4)])
def test_shares_at_known_angles(gamma, share):
    assert sign.sign_probability(residual_ssm("unit", gamma=gamma)) == pytest.approx(share)


@each_model
@each_sign
def test_second_moments_and_risks_of_linear_rules(model, signs):
    # Signs are split by rejection here, so that this does not lean on how the model draws them.
    x, y, clean = model.sample(4 * COUNT if model.gamma > 0.8 else COUNT, seed=2)
    product = clean[:, -1] * clean[:, -2]
    kept = {"all": product == product, "consistent": product > 0, "inconsistent": product < 0}[signs]
    x, y, clean = x[kept], y[kept], clean[kept]
    assert near(clean[:, :, None] * clean[:, None, :], sign.second_moments(model, signs))
    last = np.eye(model.steps)[-1]
    for weights in (0 * last, last, model.gamma * last, model.coefficients, np.arange(model.steps) / 7):
        assert near(np.square(y - x @ weights), sign.linear_risk(model, weights, signs))


@given(gamma=st.floats(-0.7, 0.98))
def test_moments_are_as_written_and_mix_to_those_of_all(gamma):
    model = residual_ssm("unit", gamma=gamma)
    alpha, q = math.acos(gamma), math.sqrt(1 - gamma**2)
    split = {signs: sign.second_moments(model, signs) for signs in ("consistent", "inconsistent")}
    own = split["inconsistent"]
    assert own[-1, -1] == pytest.approx(1 - gamma * q / alpha)
    assert own[-2, -2] == pytest.approx(1 - gamma * q / alpha)
    assert own[-2, -1] == pytest.approx(gamma - q / alpha)
    assert own[-2, -1] < 0 < split["consistent"][-2, -1]
    mixed = sum(sign.sign_probability(model, signs) * moments for signs, moments in split.items())
    np.testing.assert_allclose(mixed, sign.second_moments(model), atol=1e-12)


@each_model
def test_residual_linear_optimum(model):
    found = sign.residual_linear_optimum(model)
    assert found.weights.sum() == pytest.approx(1)
    c = model.coefficients
    across = np.linalg.norm(np.linalg.solve(model.features[:-1], np.ones(model.steps)))
    assert found.distance == pytest.approx(abs(c.sum() - 1) / across, abs=1e-12)
    if model is MODELS["generic"]:
        assert found.distance > 0.05
    else:
        np.testing.assert_allclose(found.weights, c, atol=1e-12)
        for signs in ("all", "consistent", "inconsistent"):
            assert sign.linear_risk(model, found.weights, signs) == pytest.approx(model.linear_error)


def test_no_other_residual_network_is_nearer():
    model = generic()
    found = sign.residual_linear_optimum(model)
    quiet = ResidualSSM(model.features, 0.0)
    assert sign.linear_risk(quiet, found.weights) == pytest.approx(found.distance**2)
    rng = np.random.default_rng(0)
    for _ in range(50):
        change = rng.standard_normal(model.steps)
        assert sign.linear_risk(quiet, found.weights + change - change.mean()) > found.distance**2


def test_the_statement_as_printed_leaves_a_distance():
    for gamma in (-0.5, 0.5, 0.9):
        assert sign.printed_distance(residual_ssm("unit", gamma=gamma)) == pytest.approx(1 - gamma)


@each_model
def test_fits_tend_to_their_optima(model):
    quiet = ResidualSSM(model.features, 0.0)
    x, y, _ = quiet.sample(400)
    np.testing.assert_allclose(sign.fit_linear(x, y), model.coefficients, atol=1e-8)
    fitted = sign.fit_residual_linear(x, y)
    assert fitted.sum() == pytest.approx(1)
    assert (
        np.square(y - x @ fitted).mean()
        <= np.square(y - x @ sign.residual_linear_optimum(model).weights).mean() + 1e-15
    )
    moved = fitted + 1e-3 * (np.eye(model.steps)[0] - np.eye(model.steps)[-1])
    assert np.square(y - x @ fitted).mean() < np.square(y - x @ moved).mean()


@pytest.mark.parametrize("gamma", [-0.4, 0.5, 0.9])
def test_order_blind_bound_is_that_of_the_mean_over_all_orders(gamma):
    model = residual_ssm("unit", 5, gamma, noise=0.3)
    x, y, _ = model.sample(COUNT, seed=4)
    bayes = model.coefficients / (1 + model.noise**2)
    orders = [np.append(order, 4) for order in itertools.permutations(range(4))]
    best = np.mean([x[:, order] @ bayes for order in orders], axis=0)
    np.testing.assert_allclose(best, x @ sign.order_blind_rule(model), atol=1e-12)
    assert near(np.square(y - best), sign.order_blind_bound(model))


def test_rich_order_blind_fits_do_not_beat_the_bound():
    model = residual_ssm("unit")
    bound = sign.order_blind_bound(model)
    c = model.coefficients
    spread = np.square(c[:-1] - c[:-1].mean()).sum()
    assert bound == pytest.approx(0.01 + (0.01 * c @ c + spread) / 1.01)
    assert bound > 30 * model.bayes_error

    def features(x):
        powers = [np.power(x[:, :-1], p).sum(axis=1) for p in range(4)]
        ordered = np.sort(x[:, :-1], axis=1)
        return np.column_stack([x[:, -1] ** p * each for p in range(4) for each in (*powers, *ordered.T)])

    train, test = model.sample(COUNT, seed=5), model.sample(COUNT, seed=6)
    losses = np.square(test.y - features(test.x) @ np.linalg.lstsq(features(train.x), train.y, rcond=None)[0])
    error = losses.std() / COUNT**0.5
    assert bound - 5 * error < losses.mean() < bound + 0.02


def test_without_an_order_in_the_background_the_bound_is_the_bayes_error():
    for model in (residual_ssm("flat"), residual_ssm("prop3")):
        assert sign.order_blind_bound(model) == pytest.approx(model.bayes_error)
    with pytest.raises(UsageError, match="white windows only"):
        sign.order_blind_bound(generic())


def test_one_line_has_no_signs_to_split():
    model = white(np.array([0.0, 0.0, 0.7]))
    assert sign.sign_probability(model) == 0
    with pytest.raises(UsageError, match=r"the next step is 0.7 times the last one"):
        sign.second_moments(model, "inconsistent")
