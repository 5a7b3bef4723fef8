"""Maps of single series: ridge regression drawn to the pooled map, by plain least squares on windows."""

import numpy as np
import pytest
from combination_series import batch, monthly

from forecheck.combination.combine import combine
from forecheck.combination.maps import wild
from forecheck.combination.origins import rolling_origins
from forecheck.combination.own import RIDGE, own_forecasts
from forecheck.combination.pooled import Pooled
from forecheck.combination.ragged import Ragged, naive_error


def windows_of(values, truth, lookback, horizon):
    """Changes from the last past value of every whole window, a constant before them; none with a hidden future."""
    rows = []
    for start in range(len(values) - lookback - horizon + 1):
        part, seen = values[start : start + lookback + horizon], truth[start + lookback : start + lookback + horizon]
        if np.isfinite(part).all() and seen.all():
            rows.append(np.r_[1.0, part - part[lookback - 1]])
    return np.array(rows).reshape(-1, 1 + lookback + horizon)


@pytest.mark.parametrize("pull", [1.0, 10.0])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_map_is_the_minimum_of_its_own_squares_and_the_pull(pull, hidden):
    data = batch(monthly())
    if hidden:
        truth = data.truth.copy()
        truth[:, -7] = False
        data = Ragged(data.values, truth)
    H, lookback = 4, 13
    origins = rolling_origins(data.lengths, H, 12)
    pooled = Pooled(data, (12,), H, origins)
    found = own_forecasts(pooled, lookback, [pull], np.arange(len(data.values)))[0]
    unit = naive_error(data, 12)
    shared = pooled.mean_moments(-1, lookback)
    for row, values in enumerate(data.values / unit[:, None]):
        z = windows_of(values, data.truth[row], lookback, H)
        z *= np.sqrt(wild(z[:, 1:]))[:, None]
        both = z.T @ z + pull * lookback * shared
        x, y = both[: 1 + lookback, : 1 + lookback], both[: 1 + lookback, 1 + lookback :]
        weights = np.linalg.solve(x + RIDGE * np.trace(x) / (1 + lookback) * np.eye(1 + lookback), y)
        last = values[-lookback:]
        expected = (last[-1] + np.r_[1.0, last - last[-1]] @ weights) * unit[row]
        np.testing.assert_allclose(found[-1, row], expected, rtol=1e-6)


def test_what_comes_after_an_origin_changes_nothing_before_it(monkeypatch):
    data = batch(monthly())
    H = 4
    origins = rolling_origins(data.lengths, H, 12)
    cut = origins[-1].end
    changed = data.values.copy()
    changed[:, -cut:] = 1e3
    unit = naive_error(data, 12)
    monkeypatch.setattr("forecheck.combination.pooled.naive_error", lambda *_: unit)  # units are of whole series
    made = []
    for values in (data.values, changed):
        pooled = Pooled(Ragged(values, data.truth), (12,), H, origins)
        made.append(own_forecasts(pooled, 13, [3.0], np.arange(3))[0, len(origins) - 1])
    np.testing.assert_allclose(*made, rtol=1e-9)


def test_chunks_of_series_change_nothing(monkeypatch):
    data = batch(monthly())
    pooled = Pooled(data, (12,), 4, rolling_origins(data.lengths, 4, 12))
    whole = own_forecasts(pooled, 13, [1.0, 3.0], np.arange(8))
    monkeypatch.setattr("forecheck.combination.own._HELD", 1000)
    np.testing.assert_allclose(own_forecasts(pooled, 13, [1.0, 3.0], np.arange(8)), whole)


def alike(count, rng):
    """Series that repeat a cycle of three steps with a coefficient of their own: one map for all is wrong for each."""
    series = []
    for k in range(count):
        y = [*rng.standard_normal(3)]
        for _ in range(150):
            y.append((-0.9 if k % 2 else 0.9) * y[-3] + 0.3 * rng.standard_normal())
        series.append(y)
    return series


def test_series_of_two_kinds_get_maps_of_their_own():
    made = combine(batch(alike(12, np.random.default_rng(0))), 3, ())
    assert made.losses["own map"] < 0.9 * min(loss for name, loss in made.losses.items() if name != "own map")
    mean = dict(zip(made.members, made.weights.mean(axis=0), strict=True))
    assert mean["own map"] == max(mean.values())
    assert made.maps[-1].pull is not None


def test_few_series_have_none():
    assert "own map" not in combine(batch(alike(7, np.random.default_rng(0))), 3, ()).losses
