import numpy as np
import pytest

from forecheck.papers.claim import Estimate
from forecheck.papers.judging import ratio_estimate
from forecheck.papers.rows import distinct, select, thinned

ROWS = [{"n": 2, "seed": 0}, {"n": 1, "seed": 0}, {"n": 2, "seed": 1}]


def test_rows_are_found_by_their_settings():
    assert select(ROWS, n=2, seed=1) == [ROWS[2]]
    assert select(ROWS, n=3) == []
    assert distinct(ROWS, "n") == [2, 1]


@pytest.mark.parametrize(("count", "points"), [(1, 60), (5, 60), (60, 60), (61, 60), (1000, 7)])
def test_thinned_curves_keep_their_ends(count, points):
    chosen = thinned(count, points)
    assert chosen[0] == 0
    assert chosen[-1] == count - 1
    assert len(chosen) == min(count, points)
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_the_interval_of_a_ratio_covers_what_grows_exponentially():
    draws = np.exp(np.random.default_rng(0).normal(2.0, 3.0, (2000, 5)))
    found = [ratio_estimate(row, [2.0] * 5) for row in draws.tolist()]
    inside = [each.low <= np.exp(2.0) / 2 <= each.high for each in found]
    assert 0.935 < np.mean(inside) < 0.965


def test_one_ratio_has_no_interval():
    found = ratio_estimate([6.0], [2.0])
    assert found == Estimate(found.value)
    assert found.value == pytest.approx(3.0)
