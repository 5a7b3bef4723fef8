"""Stacking: the constrained optimum, its shrinkage, and a share that only certain gains get."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from forecheck.forecasters.stacking import balanced, certain_share, simplex_weights, stack, stack_without


def random_moment(seed, members):
    errors = np.random.default_rng(seed).normal(size=(members, 50)) * np.linspace(0.5, 2, members)[:, None]
    errors += np.random.default_rng(seed + 1).normal(size=50)  # shared, as errors of forecasters are
    return errors @ errors.T / 50


def moments_of(errors):
    """(window, channel, member, member) from errors (window, channel, member)."""
    return errors[..., :, None] * errors[..., None, :]


@given(st.integers(0, 10**6), st.integers(1, 8), st.sampled_from([0.01, 0.3, 1.0, 30.0]))
def test_weights_are_the_minimum_on_the_simplex(seed, members, shrinkage):
    moment = random_moment(seed, members)
    weights = simplex_weights(moment, shrinkage)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    penalised = moment + shrinkage * moment.diagonal().min() * np.eye(members)
    gradient = penalised @ weights
    # The conditions of the optimum: no member with weight could hand it to another and gain.
    assert gradient[weights > 1e-12].max() <= gradient.min() + 1e-8 * penalised.max()


def test_weights_agree_with_a_general_solver():
    moment = random_moment(3, 5)
    found = minimize(
        lambda w: w @ moment @ w + 0.5 * moment.diagonal().min() * ((w - 0.2) ** 2).sum(),
        np.full(5, 0.2),
        bounds=[(0, 1)] * 5,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        tol=1e-12,
    )
    np.testing.assert_allclose(simplex_weights(moment, 0.5), found.x, atol=1e-5)


@given(st.integers(0, 10**6), st.integers(2, 8), st.sampled_from([0.01, 1.0, 30.0]))
def test_weights_with_a_prior_are_the_minimum_on_the_simplex(seed, members, shrinkage):
    moment = random_moment(seed, members)
    prior = np.random.default_rng(seed).dirichlet(np.ones(members))
    prior[0] = 0.0
    prior /= prior.sum()
    weights = simplex_weights(moment, shrinkage, prior)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    gradient = moment @ weights + shrinkage * moment.diagonal().min() * (weights - prior)
    assert gradient[weights > 1e-9].max() <= gradient.min() + 1e-6 * moment.max()


def test_much_shrinkage_gives_the_prior():
    prior = np.array([0.0, 0.5, 0.25, 0.25])
    np.testing.assert_allclose(simplex_weights(random_moment(0, 4), 1e6, prior), prior, atol=1e-4)
    np.testing.assert_array_equal(simplex_weights(np.zeros((4, 4)), 1.0, prior), prior)
    np.testing.assert_array_equal(stack(np.zeros((0, 2, 4, 4)), 1.0, per_channel=True, prior=prior), [prior, prior])


def test_a_wild_fold_counts_no_more_than_a_calm_one():
    rng = np.random.default_rng(0)
    errors, fold = rng.normal(size=(60, 2, 3)), np.repeat([0, 1, 2], 20)
    wild = errors * np.where(fold == 1, 1e3, 1.0)[:, None, None] * np.array([1.0, 7.0])[:, None]
    np.testing.assert_allclose(balanced(moments_of(wild), fold), balanced(moments_of(errors), fold), rtol=1e-9)
    best = balanced(moments_of(errors), fold)[fold == 1].mean(axis=0).diagonal(axis1=1, axis2=2).min(axis=1)
    np.testing.assert_allclose(best, 1.0)


def test_units_do_not_matter():
    moment = random_moment(0, 4)
    np.testing.assert_allclose(simplex_weights(1e-6 * moment, 1.0), simplex_weights(moment, 1.0), atol=1e-9)


def test_much_shrinkage_gives_equal_weights():
    np.testing.assert_allclose(simplex_weights(random_moment(0, 4), 1e6), 0.25, atol=1e-4)


def test_a_far_worse_member_gets_nothing_and_a_perfect_one_all():
    moment = np.diag([1.0, 1.0, 1e4])
    np.testing.assert_allclose(simplex_weights(moment, 1.0), [0.5, 0.5, 0.0], atol=1e-3)
    np.testing.assert_allclose(simplex_weights(np.diag([0.0, 1.0]), 1.0), [1, 0], atol=1e-6)
    np.testing.assert_allclose(simplex_weights(np.zeros((2, 2)), 1.0), [0.5, 0.5])


def test_channels_are_stacked_alone_or_together():
    rng = np.random.default_rng(0)
    errors = rng.normal(size=(40, 2, 2)) * np.array([[1.0, 5.0], [5.0, 1.0]])
    alone = stack(moments_of(errors), 0.1, per_channel=True)
    assert alone[0, 0] > 0.8
    assert alone[1, 1] > 0.8
    together = stack(moments_of(errors), 0.1, per_channel=False)
    np.testing.assert_array_equal(together[0], together[1])
    np.testing.assert_array_equal(stack(moments_of(errors[:0]), 0.1, per_channel=True), 0.5)


def test_a_window_has_no_say_in_its_own_weights():
    rng = np.random.default_rng(1)
    errors, fold = rng.normal(size=(30, 1, 3)), np.repeat([0, 1, 2], 10)
    before = stack_without(moments_of(errors), fold, 0.5, per_channel=True)
    errors[fold == 1] *= rng.uniform(0.1, 9, size=(10, 1, 3))
    after = stack_without(moments_of(errors), fold, 0.5, per_channel=True)
    np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
    assert not np.array_equal(before[fold == 0], after[fold == 0])


def share_of(errors, horizon=1, level=0.95):
    """Share of the second member beside the first."""
    weights = np.broadcast_to([0.0, 1.0], (*errors.shape[:2], 2)).copy()
    return certain_share(moments_of(errors), weights, np.arange(len(errors)), horizon, level)


def test_a_clearly_better_mean_gets_everything_and_a_worse_one_nothing():
    errors = np.random.default_rng(0).normal(size=(100, 2, 2))
    assert share_of(errors * [3.0, 1.0]) == 1
    # Two opposite errors cancel half-way, so a worse member can still have a share; equal ones cannot.
    worse = errors[..., :1] * [1.0, 3.0]
    assert share_of(worse) == 0


def test_few_independent_windows_are_not_enough():
    second = np.repeat([0.5, 0.5, 0.5, 1.3, 1.3, 1.3], 20)  # 120 windows, better by 3 % in all, of two kinds
    errors = np.stack([np.ones(120), second], axis=-1)[:, None]
    assert share_of(errors, horizon=20) == 0
    mixed = np.random.default_rng(0).permutation(errors)
    assert share_of(mixed) > 0
    assert share_of(errors[:3]) == 0


def test_a_share_between_where_only_that_is_certain():
    rng = np.random.default_rng(2)
    common, own = rng.normal(size=(400, 1)), rng.normal(size=(400, 1))
    errors = np.stack([common, 0.3 * common + 1.1 * own], axis=-1)  # alone as bad, in a mean better
    assert 0 < share_of(errors) < 1


def test_the_wildest_channel_does_not_decide():
    rng = np.random.default_rng(3)
    errors = rng.normal(size=(60, 3, 2)) * [3.0, 1.0]
    errors[:, 0] = 1e3 * rng.standard_t(3, size=(60, 2))
    units = errors / np.array([1e3, 1.0, 1.0])[:, None]
    assert share_of(errors) == share_of(units) > 0


def test_simultaneous_windows_count_once():
    errors = np.random.default_rng(0).normal(size=(8, 1, 2)) * [1.3, 1.0]
    many = np.repeat(errors, 50, axis=0)
    weights = np.broadcast_to([0.0, 1.0], (400, 1, 2)).copy()
    share = certain_share(moments_of(many), weights, np.repeat(np.arange(8), 50), 1, 0.95)
    assert share == share_of(errors)
