"""p-values and thresholds against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.anomaly.detection.calibrated import expected_rate, p_values, rate_of, threshold
from forecheck.errors import DataError, UsageError

FEW = st.integers(0, 6).map(float)  # so that ties are many


@given(st.lists(FEW, min_size=1, max_size=40), st.lists(FEW, min_size=1, max_size=20))
def test_a_p_value_is_the_share_that_is_as_large(known, new):
    known = np.sort(known)
    expected = [(1 + sum(each >= score for each in known)) / (len(known) + 1) for score in new]
    np.testing.assert_allclose(p_values(np.array(new), known), expected)


@given(st.lists(FEW, min_size=9, max_size=60), st.lists(FEW, min_size=1, max_size=20), st.sampled_from([100, 150, 500]))
def test_a_score_is_over_the_threshold_exactly_if_its_p_value_is_small_enough(known, new, rate):
    known, new = np.sort(known), np.array(new)
    over = new > threshold(known, rate)
    np.testing.assert_array_equal(over, p_values(new, known) <= rate / 1000 + 1e-12)


def test_no_more_new_scores_than_stated_are_over_the_threshold():
    rng = np.random.default_rng(0)
    rates = [np.mean(rng.normal(size=500) > threshold(np.sort(rng.normal(size=199)), 20)) for _ in range(200)]
    assert abs(np.mean(rates) - 0.02) < 3 * np.std(rates) / np.sqrt(200)


def test_rates_lie_where_the_beta_binomial_says():
    rng = np.random.default_rng(1)
    low, high = expected_rate(199, 20, 500)
    rates = [1000 * np.mean(rng.random(500) > threshold(np.sort(rng.random(199)), 20)) for _ in range(300)]
    assert 0.92 <= np.mean([low <= rate <= high for rate in rates]) <= 0.99


def test_what_so_few_scores_cannot_tell_is_refused_with_what_they_can():
    with pytest.raises(DataError, match="999 calibration scores, but there are 100") as refused:
        rate_of(100, 1)
    least = float(str(refused.value).partition("--false-alarms ")[2].split()[0])
    assert rate_of(100, least) == least
    assert rate_of(100, None) == pytest.approx(1000 / 101)
    assert rate_of(5000, None) == 1.0


@pytest.mark.parametrize("rate", [0, -1, 1000, float("nan")])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(UsageError, match="per 1000 steps"):
        rate_of(100, rate)


def test_a_missing_score_has_no_p_value():
    assert np.isnan(p_values(np.array([np.nan]), np.array([1.0]))).all()
