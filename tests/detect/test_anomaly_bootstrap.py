"""Intervals over anomalies."""

import numpy as np
import pytest

from forecheck.anomaly.detection.bootstrap import blocks_of, percentile_interval, resampled, share, share_difference


def test_the_interval_of_a_share_covers_it_and_has_a_width_when_all_are_found():
    rng = np.random.default_rng(0)
    found = [share(rng.random(20) < 0.7).interval for _ in range(500)]
    assert np.mean([low <= 0.7 <= high for low, high in found]) >= 0.92
    assert share(np.ones(20, dtype=bool)).interval[0] < 0.9
    assert share(np.zeros(20, dtype=bool)).interval[1] > 0.1


def test_the_interval_of_a_paired_difference_covers_it_and_never_has_width_zero():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(500):
        easy = rng.random(30)
        low, high = share_difference(easy < 0.7, easy + 0.1 * rng.normal(size=30) < 0.6).interval
        covered.append(low <= 0.7 - 0.595 <= high)
    assert np.mean(covered) >= 0.92
    same = np.arange(20) < 12
    low, high = share_difference(same, same).interval
    assert low < 0 < high


def test_blocks_hold_one_anomaly_each_and_all_rows():
    labels = np.array([0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1], dtype=bool)
    blocks = blocks_of(labels)
    assert [(block.start, block.stop) for block in blocks] == [(0, 6), (6, 9), (9, 11)]
    assert blocks_of(np.zeros(5, dtype=bool)) == []


def test_two_detectors_are_measured_on_the_same_draws():
    labels = np.tile([0, 0, 1, 0, 0], 12).astype(bool)
    draws = resampled(labels, lambda rows: np.array([rows.mean(), rows.mean() - 1.0]), draws=50)
    np.testing.assert_allclose(draws[:, 0] - draws[:, 1], 1.0)
    low, high = percentile_interval(draws[:, 0])
    assert low < labels.nonzero()[0].mean() < high
    assert percentile_interval(np.array([1.0, np.nan])) is None


@pytest.mark.parametrize("seed", [0, 1])
def test_draws_repeat(seed):
    labels = np.tile([0, 1, 0, 0], 9).astype(bool)
    one, two = (resampled(labels, lambda rows: np.array([float(rows.sum())]), 10, seed) for _ in range(2))
    np.testing.assert_array_equal(one, two)
