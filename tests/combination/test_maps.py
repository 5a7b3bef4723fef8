"""Pooled maps against least squares on windows that are written out."""

import numpy as np
import pytest
from combination_series import batch, walks
from numpy.testing import assert_allclose

from forecheck.combination import maps
from forecheck.combination.maps import RIDGES, apply_map, fit_maps, moments, series_weights, usual_lookbacks
from forecheck.combination.pooled import Pooled
from forecheck.combination.ragged import Ragged

HORIZON, LONGEST, WIDTH = 3, 6, 38


def windows(series, weights, lookback, anchor):
    """Weighted inputs and targets of every window of the longest lookback."""
    xs, ys = [], []
    for y, weight in zip(series, weights, strict=True):
        for start in range(len(y) - LONGEST - HORIZON + 1):
            whole = y[start : start + LONGEST + HORIZON]
            rms = np.sqrt(np.square(whole - whole[LONGEST - 1]).mean())
            c = np.sqrt(weight / max(1.0, rms / 3))
            x = whole[LONGEST - lookback : LONGEST]
            level = x[-1] if anchor == "last" else x.mean()
            xs.append(c * np.r_[1, x - level])
            ys.append(c * (whole[LONGEST:] - level))
    return np.array(xs), np.array(ys)


@pytest.mark.parametrize("anchor", ["last", "mean"])
@pytest.mark.parametrize("lookback", [2, LONGEST])
def test_maps_of_every_lookback_and_anchor_follow_from_one_sum(lookback, anchor, monkeypatch):
    monkeypatch.setattr(maps, "CHUNK", 40)  # several chunks
    series = walks(4, 45)
    weights = np.array([1.0, 2.0, 0.5, 1.0])
    found = moments(batch(series), weights, LONGEST, HORIZON, 0, WIDTH)
    x, y = windows(series, weights, lookback, anchor)
    assert found.windows == len(x)
    gram = x.T @ x
    for ridge, ours in zip(RIDGES, fit_maps(found, lookback, anchor, HORIZON), strict=True):
        penalty = ridge * np.trace(gram) / len(gram)
        assert_allclose(ours, np.linalg.solve(gram + penalty * np.eye(len(gram)), x.T @ y), rtol=1e-4, atol=1e-6)
    forecast = apply_map(batch(series), ours, anchor)
    last = np.stack([each[-lookback:] for each in series])
    level = last[:, -1:] if anchor == "last" else last.mean(axis=1, keepdims=True)
    assert_allclose(forecast, level + ours[0] + (last - level) @ ours[1:])


def test_moments_of_parts_add_up_and_do_not_see_what_comes_after():
    panel = batch(walks(4, 45))
    ones = np.ones(4)
    whole = moments(panel, ones, LONGEST, HORIZON, 0, WIDTH)
    parts = moments(panel, ones, LONGEST, HORIZON, 0, 25) + moments(panel, ones, LONGEST, HORIZON, 25, WIDTH)
    assert_allclose(parts.gram, whole.gram)
    assert parts.windows == whole.windows
    changed = Ragged(panel.values.copy(), panel.truth)
    changed.values[:, 25:] = 1e6
    early = moments(changed, ones, LONGEST, HORIZON, 0, 25)
    assert_allclose(early.gram, moments(panel, ones, LONGEST, HORIZON, 0, 25).gram)


def test_filled_values_are_no_targets():
    series = walks(1, 40)
    panel = batch(series)
    truth = panel.truth.copy()
    width = truth.shape[1]
    truth[0, 20] = False
    kept = moments(Ragged(panel.values, truth), np.ones(1), LONGEST, HORIZON, 0, width)
    assert kept.windows == width - LONGEST - HORIZON + 1 - HORIZON


def test_where_windows_are_too_many_every_so_many_are_taken(monkeypatch):
    panel = batch(walks(3, 60))
    width = panel.values.shape[1]
    every = moments(panel, np.ones(3), LONGEST, HORIZON, 0, width)
    monkeypatch.setattr(maps, "WORK", every.windows * 81 / 4)
    fewer = moments(panel, np.ones(3), LONGEST, HORIZON, 0, width)
    assert fewer.windows == pytest.approx(every.windows / 4, abs=1)
    assert fewer.gram[0, 0] == pytest.approx(every.gram[0, 0], rel=0.2)


def test_series_count_alike_within_a_factor_of_four():
    lengths = (30, 60, 1000)
    weights = series_weights(batch([np.arange(float(n)) for n in lengths]), 10)
    windows = np.array(lengths) - 9
    assert_allclose(weights * windows, np.clip(windows / 51, 0.25, 4))


@pytest.mark.parametrize("seasons", [(), (12,), (24, 168), (48, 336), (144, 1008), (1440, 10080), (7, 364)])
def test_lookbacks_are_short_enough_to_be_solved(seasons):
    lookbacks = usual_lookbacks(seasons)
    assert lookbacks == tuple(sorted(set(lookbacks)))
    assert lookbacks[-1] <= 400


def test_series_too_short_for_every_map_leave_none():
    pooled = Pooled(batch([np.arange(6.0)] * 3), (), 4, [])
    assert list(pooled.forecasts(-1)) == []
