"""Seconds before and after come with intervals that hold the median as often as they say."""

import time

import pytest
import torch
from scipy.stats import binom

from forecheck.sparsity.sizes import median, timed


@pytest.mark.parametrize("count", [6, 7, 15, 16, 61])
def test_the_interval_of_a_median_is_the_narrowest_that_holds(count):
    middle, low, high = median([float(each) for each in range(count)])
    assert middle == (count - 1) / 2
    below = int(low)  # order statistics that lie below the interval
    assert high == count - 1 - below
    assert 1 - 2 * binom.cdf(below, count, 0.5) >= 0.95
    assert 1 - 2 * binom.cdf(below + 1, count, 0.5) < 0.95


def test_the_ratio_is_of_before_over_after(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def lasts(seconds):
        def forecast(x):
            now[0] += seconds
            return x

        return forecast

    found = timed(lasts(0.3), lasts(0.1), torch.zeros(1))
    assert found.before == pytest.approx((0.3, 0.3, 0.3))
    assert found.after == pytest.approx((0.1, 0.1, 0.1))
    assert found.ratio == pytest.approx((3, 3, 3))
