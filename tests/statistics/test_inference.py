import gc
import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter
from statsmodels.stats import multitest
from statsmodels.stats.weightstats import ttost_paired

from forecheck.errors import DataError, UsageError
from forecheck.statistics.inference import Mean, compare, mean_over_seeds, mean_over_windows
from forecheck.statistics.means import cosine_terms, cosine_variance
from forecheck.statistics.multiple import false_discovery_rate, holm, threshold


def overlapping(rng, count, horizon, repeats, memory=0.0):
    """Losses of overlapping windows: means of `horizon` step losses, autoregressive with mean zero."""
    steps = rng.standard_normal((repeats, 100 + count + horizon - 1))
    steps = lfilter([1.0], [1.0, -memory], steps, axis=1)[:, 100:]
    sums = np.cumsum(np.pad(steps, ((0, 0), (1, 0))), axis=1)
    return (sums[:, horizon:] - sums[:, :-horizon]) / horizon


def test_cosine_variance_is_the_formula():
    d = np.random.default_rng(0).standard_normal(50)
    n, terms = len(d), 7
    z = [math.sqrt(2 / n) * sum(d[t - 1] * math.cos(math.pi * j * (t - 0.5) / n) for t in range(1, n + 1))
         for j in range(1, terms + 1)]  # fmt: skip
    assert cosine_variance(d, terms) == pytest.approx(np.mean(np.square(z)), rel=1e-12)


@pytest.mark.parametrize(
    ("count", "horizon", "terms"), [(2785, 96, 14), (2161, 720, 2), (500, 24, 10), (1000, 1, 20), (10, 1, 2)]
)
def test_cosine_terms(count, horizon, terms):
    assert cosine_terms(count, horizon) == terms


@pytest.mark.parametrize(("count", "horizon"), [(500, 24), (600, 48)])
def test_the_test_keeps_its_size_on_overlapping_windows(count, horizon):
    d = overlapping(np.random.default_rng(1), count, horizon, 1500)
    rejected = np.mean([low > 0 or high < 0 for low, high in (mean_over_windows(row, horizon).interval() for row in d)])
    naive = np.mean([stats.ttest_1samp(row, 0).pvalue < 0.05 for row in d])
    assert 0.03 < rejected < 0.085
    assert naive > 0.5  # what the test is there to avoid


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("memory", [0.5, 0.9])
def test_the_test_keeps_its_size_where_step_losses_remember(horizon, memory):
    # With n / 2H cosines it is .16 and .52 at horizon 1, and .26 at horizon 4 and memory .9.
    d = overlapping(np.random.default_rng(2), 1000, horizon, 1500, memory)
    rejected = np.mean([low > 0 or high < 0 for low, high in (mean_over_windows(row, horizon).interval() for row in d)])
    assert 0.03 < rejected < 0.085


def test_tost_is_that_of_statsmodels():
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 30))
    d = a - b
    mean = Mean(d.mean(), d.std(ddof=1) / math.sqrt(30), 29)
    assert mean.p_within(0.7) == pytest.approx(ttost_paired(a, b, -0.7, 0.7)[0])


@given(st.floats(-1, 1), st.floats(0.01, 1), st.integers(1, 50))
def test_the_smallest_margin_is_where_equivalence_begins(mean, se, df):
    m = Mean(mean, se, df)
    margin = m.smallest_margin(0.05)
    assert m.p_within(margin * 1.001) < 0.05 < m.p_within(margin * 0.999)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_that_of_statsmodels(p_values):
    # statsmodels has garbage collected in every call, which takes seconds once many packages are loaded.
    with patch.object(gc, "collect"):
        expected = multitest.multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(expected.tolist())


def test_seeds_enter():
    rng = np.random.default_rng(5)
    windows = overlapping(rng, 400, 10, 1)[0]
    same = mean_over_seeds(np.stack([windows, windows, windows]), 10)
    assert same.se == pytest.approx(mean_over_windows(windows, 10).se)
    spread = mean_over_seeds(np.stack([windows + 1, windows, windows - 1]), 10)
    assert spread.se == pytest.approx(math.sqrt(1 / 3 + same.se**2))
    assert spread.df == pytest.approx(2, rel=0.05)  # the seeds dominate, and there are three
    with pytest.raises(ValueError, match="two seeds"):
        mean_over_seeds(windows[None], 10)


def test_size_with_seeds():
    rng = np.random.default_rng(6)
    rejected = 0
    for _ in range(600):
        rows = overlapping(rng, 300, 12, 1) + 0.05 * rng.standard_normal((3, 1))
        low, high = mean_over_seeds(rows, 12).interval()
        rejected += not low <= 0 <= high
    assert rejected / 600 < 0.08


def noisy(level, count=960, scale=0.02, seed=0):
    return level + scale * overlapping(np.random.default_rng(seed), count, 24, 1)


@pytest.mark.parametrize(
    ("level", "outcome"), [(0.05, "greater"), (-0.05, "less"), (0.0, "equivalent"), (0.011, "undecided")]
)
def test_outcomes(level, outcome):
    (found,) = compare([noisy(level)], 1.0, 24)
    assert found.outcome == outcome
    assert found.effect == pytest.approx(level, abs=0.005)
    assert (found.reason != "") == (outcome == "undecided")


def test_effects_are_relative():
    (one,), (other,) = compare([noisy(0.05)], 1.0, 24), compare([10 * noisy(0.05)], 10.0, 24)
    assert one.effect == pytest.approx(other.effect)
    assert one.interval == pytest.approx(other.interval)


def test_too_few_stretches_are_undecided():
    (found,) = compare([noisy(0.5, count=100)], 1.0, 24)
    assert found.outcome == "undecided"
    assert "4.2 independent stretches" in found.reason


def test_one_seed_decides_nothing_about_an_architecture():
    assert compare([noisy(0.5)], 1.0, 24, over_seeds="yes")[0].outcome == "undecided"
    assert compare([noisy(0.5)], 1.0, 24, over_seeds="if several")[0].outcome == "greater"


def test_what_would_decide_is_enough():
    # The seeds spread, the windows do not: the answer is a number of seeds, and that many do decide.
    rng = np.random.default_rng(5)
    rows = 0.03 + 0.01 * rng.standard_normal((40, 1)) + 0 * noisy(0, count=960)
    (found,) = compare([rows[:2]], 1.0, 24, over_seeds="yes")
    assert found.outcome == "undecided"
    assert found.needs.binds == "seeds"
    assert 2 < found.needs.seeds <= 40
    assert f"about {found.needs.seeds} seeds (now 2)" in found.reason
    assert compare([rows], 1.0, 24, over_seeds="yes")[0].outcome == "greater"


def test_holm_makes_a_family_harder_to_decide():
    border = noisy(0.0135, scale=0.02, seed=3)
    alone = compare([border], 1.0, 24)[0]
    (among, *_) = compare([border] + [noisy(0.01, seed=s) for s in range(10, 18)], 1.0, 24)
    assert among.p_greater > alone.p_greater


def test_an_arm_is_rejected_exactly_below_its_threshold():
    family = [0.001, 0.02, 0.03, 0.4]
    for adjust in (holm, false_discovery_rate):
        for index in range(4):
            limit = threshold(family, index, 0.05, adjust)
            for factor, below in [(0.999, True), (1.001, False)]:
                changed = family.copy()
                changed[index] = factor * limit
                assert (adjust(changed)[index] < 0.05) is below
    assert threshold([0.7], 0, 0.05, holm) == 0.05


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_losses_that_are_no_numbers_are_refused(bad):
    rows = np.stack([noisy(0.0)[0], noisy(0.0)[0]])
    rows[1, 7] = bad
    with pytest.raises(DataError, match=r"arm 2 of 2: 1 of 1920 values .* seed 1 at test window 7"):
        compare([noisy(0.0), rows], 1.0, 24)
    with pytest.raises(DataError, match="not finite"):
        mean_over_windows(rows[1], 24)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="2 test window"):
        compare([np.zeros((1, 2))], 1.0, 1)
    for reference in (0.0, math.nan, -1.0):
        with pytest.raises(DataError, match="reference loss"):
            compare([noisy(0.0)], reference, 24)
    with pytest.raises(UsageError, match=r"got 0 and 0\.05"):
        compare([noisy(0.0)], 1.0, 0)
    with pytest.raises(UsageError, match="got 24 and 5"):
        compare([noisy(0.0)], 1.0, 24, alpha=5)
    assert compare([], 1.0, 24) == []


def test_the_interval_has_the_level_of_the_tests():
    (wide,), (narrow,) = compare([noisy(0.005)], 2.0, 24, alpha=0.01), compare([noisy(0.005)], 2.0, 24, alpha=0.1)
    assert wide.level == 0.99
    assert (wide.mean, wide.reference) == (narrow.mean, 2.0)
    assert wide.interval == pytest.approx([end / 2 for end in wide.mean.interval(0.99)])
    assert wide.interval[0] < narrow.interval[0]


def test_equal_losses_are_equivalent():
    (found,) = compare([np.zeros((2, 960))], 1.0, 24, over_seeds="yes")
    assert found.outcome == "equivalent"
    assert found.smallest_margin == 0


def test_more_data_narrows_the_interval():
    short, long = compare([noisy(0, 600)], 1.0, 24)[0], compare([noisy(0, 6000)], 1.0, 24)[0]
    assert long.interval[1] - long.interval[0] < short.interval[1] - short.interval[0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_false_discovery_rate_is_that_of_scipy(p_values):
    np.testing.assert_allclose(false_discovery_rate(p_values), stats.false_discovery_control(p_values), atol=1e-12)


def test_fdr_decides_no_less_than_holm():
    family = [noisy(0.0145, seed=s) for s in range(8)]
    strict, lenient = compare(family, 1.0, 24), compare(family, 1.0, 24, correction="fdr")
    assert all(one.p_greater <= other.p_greater for one, other in zip(lenient, strict, strict=True))
    assert any(one.p_greater < other.p_greater for one, other in zip(lenient, strict, strict=True))
