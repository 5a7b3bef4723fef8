import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.errors import DataError
from forecheck.statistics.conformal import conformal_width
from forecheck.statistics.metrics import loss_by_time


@given(st.integers(10, 60), st.sampled_from([0.5, 0.8, 0.9]), st.integers(0, 100))
def test_width_is_the_order_statistic(count, level, seed):
    e = np.random.default_rng(seed).standard_normal((count, 2, 1))
    rank = int(np.ceil(round((count + 1) * level, 9)))
    if rank > count:
        with pytest.raises(DataError, match="at least"):
            conformal_width(e, level)
    else:
        assert np.array_equal(conformal_width(e, level), np.sort(np.abs(e), axis=0)[rank - 1])


def test_coverage_holds_on_new_data():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(2000):
        e = rng.standard_normal((20, 1, 1))
        covered.append(np.abs(e[-1]) <= conformal_width(e[:-1], 0.8))
    assert np.mean(covered) == pytest.approx(0.8, abs=0.03)


def test_exactly_enough_windows():
    assert conformal_width(np.arange(19.0).reshape(19, 1, 1), 0.95) == 18
    with pytest.raises(DataError, match="at least 19 calibration windows, but there are 18"):
        conformal_width(np.ones((18, 1, 1)), 0.95)


@pytest.mark.parametrize("level", [0, 1, -0.1, 95])
def test_levels_out_of_range(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        conformal_width(np.ones((50, 1, 1)), level)


def test_series_at_one_time_count_once():
    losses = np.array([[1.0, 3.0], [5.0, 7.0], [2.0, 2.0]])
    times = np.array(["2020-01-02", "2020-01-01", "2020-01-02"], dtype="datetime64[us]")
    assert loss_by_time(losses, times).tolist() == [6.0, 2.0]
