"""The event set: its law, and the four published reference errors by simulation."""

import numpy as np
import pytest

from forecheck.data.synthetic import events as e
from forecheck.data.windows import prepare

COUNT = 20_000


@pytest.fixture(scope="module")
def drawn():
    states, starts, _ = e.event_states(np.arange(COUNT), seed=5)
    steps = starts[..., None] + np.arange(10)
    inside = (steps >= e.LOOKBACK) & (steps < e.BLOCK)
    return states, starts, 0.25 * (inside @ np.square(e.TRIANGLE))


def reference(drawn, seen):
    """Error of every window by the mean of the next states given what is `seen` of the last whole event."""
    states, starts, energy = drawn
    row = np.arange(COUNT)
    last = (starts + 10 <= e.LOOKBACK).sum(axis=1) - 1
    known = np.array(seen)[states[row, last]]
    error = np.zeros(COUNT)
    for ahead in range(1, 4):
        index = np.minimum(last + ahead, e.EVENTS - 1)
        weight = energy[row, index] * (last + ahead < e.EVENTS)
        height = e.STATES[states[row, index]]
        means = np.bincount(known, weight * height, 5) / np.maximum(np.bincount(known, weight, 5), 1e-12)
        error += weight * (height - means[known]) ** 2
    return error / e.HORIZON + e.NOISE**2


def constant(drawn, height):
    states, _, energy = drawn
    return (energy * (e.STATES[states] - height) ** 2).sum(axis=1) / e.HORIZON + e.NOISE**2


@pytest.mark.parametrize(
    ("name", "published"),
    [("optimum", e.OPTIMUM), ("last", e.LAST_EVENT), ("average", e.AVERAGE_EVENT), ("none", e.NO_EVENT)],
)
def test_reference_errors_are_the_published_ones(drawn, name, published):
    states, _, energy = drawn
    mean = (energy * e.STATES[states]).sum() / energy.sum()
    assert mean == pytest.approx(0.84, abs=0.02)
    errors = {
        "optimum": lambda: reference(drawn, [0, 1, 2, 3, 4]),
        "last": lambda: reference(drawn, [0, 1, 2, 3, 0]),
        "average": lambda: constant(drawn, mean),
        "none": lambda: constant(drawn, 0),
    }[name]()
    # Both are means over 20000 windows, so their difference has the standard error of one times the root of 2.
    assert errors.mean() == pytest.approx(published, abs=3 * 2**0.5 * errors.std() / COUNT**0.5 + 5e-6)


def test_transitions_are_the_law(drawn):
    states = drawn[0]
    counts = np.zeros((5, 5))
    np.add.at(counts, (states[:, :-1], states[:, 1:]), 1)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), e.TRANSITIONS, atol=0.01)
    np.testing.assert_allclose(np.bincount(states[:, 0], minlength=5)[4] / COUNT, 0.225, atol=0.015)  # from 2 alone


def test_the_phase_is_random_and_events_are_whole(drawn):
    _, starts, _ = drawn
    assert (np.diff(starts, axis=1) == 80).all()
    assert set(np.unique(starts[:, 0])) == set(range(-80, 0))
    whole = ((starts >= 0) & (starts + 10 <= e.LOOKBACK)).sum(axis=1)
    assert np.mean(whole == 4) == pytest.approx(0.91, abs=0.01)
    assert (starts[:, -1] >= e.BLOCK - 80).all()  # no event of the window is left out


def test_a_window_is_carrier_events_and_noise():
    index = np.arange(300)
    states, starts, noise = e.event_states(index, seed=2)
    values = e.event_windows(index, seed=2) - e.NOISE * noise
    for i in (0, 7, 299):
        expected = [np.sin(0.02 * np.pi * (i + 80 + t)) for t in range(e.BLOCK)]
        for state, start in zip(states[i], starts[i], strict=True):
            for step, height in enumerate([0, 0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0]):
                if 0 <= start + step < e.BLOCK:
                    expected[start + step] += 0.5 * [1, -1, 0.02, 2, 1.02][state] * height
        np.testing.assert_allclose(values[i], expected, atol=1e-12)
    assert noise.std() == pytest.approx(1, abs=0.01)


def test_a_window_depends_on_its_index_and_the_seed_only():
    whole = e.event_windows(np.arange(10), seed=3)
    np.testing.assert_array_equal(e.event_windows(np.array([7]), seed=3)[0], whole[7])
    assert (e.event_windows(np.array([7]), seed=4) != whole[7]).any()


def test_windows_of_the_panel_are_the_samples():
    experiment = prepare(e.events(10, seed=1), e.LOOKBACK, e.HORIZON, step=e.BLOCK)
    x, y = experiment.test.gather(slice(None))
    both = np.concatenate([x, y], axis=1)[:, :, 0] * experiment.scaler.std[0, 0] + experiment.scaler.mean[0, 0]
    np.testing.assert_allclose(both, e.event_windows(np.array([9, 10]), seed=1), atol=1e-5)
    assert len(experiment.train) == 7
    assert experiment.test.overlap == 1
