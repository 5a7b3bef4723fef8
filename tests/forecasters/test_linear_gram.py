"""The Gram matrix from lagged products against the one of materialised windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.windows import Windows
from forecheck.forecasters.gram import gram, lagged_products


def windows_of(lengths, channels, lookback, horizon, stride=1, seed=0, scale=1.0):
    """Windows over series of several lengths, end to end, that never straddle two of them."""
    rng = np.random.default_rng(seed)
    values = scale * (rng.normal(size=(sum(lengths), channels)) + rng.normal(size=channels))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    origins = [np.arange(o + lookback, o + n - horizon + 1) for o, n in zip(starts, lengths, strict=True)]
    return Windows(values, lookback, horizon, np.concatenate(origins)).strided(stride)


def materialised(windows):
    """Inputs and targets of all windows and channels in float64, one a row."""
    L, H = windows.lookback, windows.horizon
    both = np.stack([windows.values[o - L : o + H].T for o in windows.origins]).reshape(-1, L + H)
    return both[:, :L], both[:, L:]


def assert_gram_of(result, x, y):
    assert result.count == len(x)
    size = (x * x).sum() + (y * y).sum()
    for got, expected in (
        (result.inputs, x.T @ x),
        (result.cross, x.T @ y),
        (result.input_sum, x.sum(axis=0)),
        (result.target_sum, y.sum(axis=0)),
        (result.target_square, (y * y).sum(axis=0)),
    ):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 * max(size, 1))


@given(
    lengths=st.lists(st.integers(1, 120), min_size=1, max_size=5).filter(lambda lengths: max(lengths) >= 12),
    channels=st.integers(1, 3),
    lookback=st.integers(1, 8),
    horizon=st.integers(1, 4),
    stride=st.integers(1, 5),
    seed=st.integers(0, 10),
)
def test_gram_is_that_of_the_windows(lengths, channels, lookback, horizon, stride, seed):
    windows = windows_of(lengths, channels, lookback, horizon, stride, seed)
    assert_gram_of(gram(windows), *materialised(windows))


def test_gram_of_any_origins():
    values = np.random.default_rng(0).normal(size=(300, 2))
    origins = np.array([50, 51, 52, 9, *range(100, 140), 7, *range(200, 208), 8, 8])  # unsorted, short, long, twice
    windows = Windows(values, 7, 3, origins)
    assert_gram_of(gram(windows), *materialised(windows))


def test_gram_in_many_chunks(monkeypatch):
    monkeypatch.setattr("forecheck.forecasters.gram._CHUNK", 1)
    windows = windows_of([60, 9, 33, 14, 40], 2, 5, 3)
    assert_gram_of(gram(windows), *materialised(windows))
    windows = windows.strided(2)
    assert_gram_of(gram(windows), *materialised(windows))


def test_gram_of_one_origin():
    windows = windows_of([12], 1, 8, 4)
    assert len(windows) == 1
    assert_gram_of(gram(windows), *materialised(windows))


@pytest.mark.parametrize("length", [1, 2, 5, 16])
def test_lagged_products_are_sums_of_products(length):
    x = np.random.default_rng(0).normal(size=(400, 2))
    runs = [(0, 300), (310, 330), (340, 341)]
    expected = [
        sum((x[start:stop] * x[start + lag : stop + lag]).sum() for start, stop in runs) for lag in range(length)
    ]
    np.testing.assert_allclose(lagged_products(x, runs, length), expected, rtol=0, atol=1e-11)


@given(seed=st.integers(0, 20), stride=st.sampled_from([1, 3]))
def test_normalising_and_centring_the_gram_is_doing_it_to_the_windows(seed, stride):
    windows = windows_of([40, 25], 2, 6, 3, stride, seed)
    x, y = materialised(windows)
    rng = np.random.default_rng(seed)
    functional, mean_x, mean_y = rng.normal(size=6), rng.normal(size=6), rng.normal(size=3)
    features = rng.normal(size=(6, 6))
    level = (x @ functional)[:, None]
    assert_gram_of(gram(windows).normalised(functional), x - level, y - level)
    assert_gram_of(gram(windows).centred(mean_x, mean_y), x - mean_x, y - mean_y)
    assert_gram_of(gram(windows).mapped(features), x @ features, y)
