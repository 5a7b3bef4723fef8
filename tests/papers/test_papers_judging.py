import numpy as np
import pytest
from scipy import stats

from forecheck.papers.claim import Estimate, Verdict
from forecheck.papers.judging import holds, mean_estimate, share_estimate, slope_estimate, verdict_of


def test_the_mean_interval_covers():
    """95 of 100 intervals hold the true mean."""
    draws = np.random.default_rng(0).normal(2.0, 3.0, (4000, 5))
    inside = [found.low <= 2.0 <= found.high for found in map(mean_estimate, draws.tolist())]
    assert 0.94 < np.mean(inside) < 0.96


def test_one_value_has_no_interval():
    assert mean_estimate([3.0]) == Estimate(3.0)


def test_shares_have_wilsons_interval():
    found = share_estimate(0, 10)
    assert found.value == 0
    assert found.low == pytest.approx(0, abs=1e-12)
    assert found.high == pytest.approx(3.8415 / (10 + 3.8415), rel=1e-3)  # z^2 / (n + z^2)


def test_slopes_have_the_t_interval():
    random = np.random.default_rng(1)
    x = np.linspace(0, 1, 20)
    y = 3 * x + 0.1 * random.normal(size=20)
    found = slope_estimate(x.tolist(), y.tolist())
    bread = np.linalg.inv(np.array([[20, x.sum()], [x.sum(), (x**2).sum()]]))
    intercept, slope = bread @ [y.sum(), (x * y).sum()]
    half = stats.t.ppf(0.975, 18) * np.sqrt(((y - intercept - slope * x) ** 2).sum() / 18 * bread[1, 1])
    assert (found.value, found.low, found.high) == pytest.approx((slope, slope - half, slope + half))


@pytest.mark.parametrize(
    ("estimate", "bounds", "answer"),
    [
        (Estimate(2, 1.5, 2.5), {"above": 1}, True),
        (Estimate(2, 1.5, 2.5), {"above": 2}, None),
        (Estimate(2, 1.5, 2.5), {"above": 3}, False),
        (Estimate(2, 1.5, 2.5), {"below": 3}, True),
        (Estimate(2, 1.5, 2.5), {"above": 1, "below": 2}, None),
        (Estimate(2, 1.5, 2.5), {"above": 2, "below": 1}, False),
        (Estimate(2), {"above": 1, "below": 3}, True),
        (Estimate(2), {"above": 2}, False),
    ],
)
def test_holds(estimate, bounds, answer):
    assert holds(estimate, **bounds) is answer


@pytest.mark.parametrize(
    ("held", "verdict"),
    [
        ([True, True], Verdict.CONFIRMED),
        ([False, False], Verdict.REFUTED),
        ([True, False], Verdict.UNEVEN),
        ([True, None], Verdict.UNEVEN),
        ([None, None], Verdict.UNTESTABLE),
        ([], Verdict.UNTESTABLE),
    ],
)
def test_verdicts(held, verdict):
    assert verdict_of(held) is verdict
