"""Reference errors of the event set, against the published constants and the law of its states."""

import numpy as np
import pytest

from forecheck.data.synthetic import events as e
from forecheck.data.synthetic.event_errors import KNOWLEDGE, event_errors

COUNT = 10_000


@pytest.fixture(scope="module")
def errors():
    return event_errors(np.arange(COUNT), np.arange(COUNT, 2 * COUNT), seed=5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chain", e.OPTIMUM),
        ("last event", e.LAST_EVENT),
        ("average event", e.AVERAGE_EVENT),
        ("no event", e.NO_EVENT),
    ],
)
def test_errors_are_those_that_were_simulated_before(errors, name, expected):
    found = errors[name]
    # Both are means over 10000 windows and more.
    assert found.mean() == pytest.approx(expected, abs=3 * 2**0.5 * found.std() / COUNT**0.5 + 5e-6)


def test_a_sum_over_events_is_the_optimum_exactly(errors):
    """The law knows five pairs of heights one after the other; a term for each event can give five values apart."""
    pairs = {(i, j) for i in range(5) for j in range(5) if e.TRANSITIONS[i, j] > 0}
    seen = {(0, 1, 2, 3, 0)[i] * 4 + (0, 1, 2, 3, 0)[j] for i, j in pairs}
    assert len(seen) == 5
    terms = np.concatenate([np.eye(4)[[s // 4 for s in seen]], np.eye(4)[[s % 4 for s in seen]]], axis=1)
    assert np.linalg.matrix_rank(terms) == 5
    np.testing.assert_allclose(errors["sum over events"], errors["chain"], atol=1e-12)


def test_the_optimum_is_the_error_of_the_law(errors):
    """Only a 1 leaves its successor open: 1 again with probability 0.1, else -1."""
    index = np.arange(COUNT, 2 * COUNT)
    states, starts, _ = e.event_states(index, seed=5)
    steps = starts[..., None] + np.arange(10)
    energy = 0.25 * (((steps >= e.LOOKBACK) & (steps < e.BLOCK)) @ np.square(e.TRIANGLE)) / e.HORIZON
    rows = np.arange(COUNT)
    last = (starts + 10 <= e.LOOKBACK).sum(axis=1) - 1
    total, law = np.full(COUNT, e.NOISE**2), np.eye(5)
    for ahead in range(1, 3):
        law = law @ e.TRANSITIONS
        index = np.minimum(last + ahead, e.EVENTS - 1)
        there = energy[rows, index] * (last + ahead < e.EVENTS)
        total += there * (e.STATES[states[rows, index]] - (law @ e.STATES)[states[rows, last]]) ** 2
    assert errors["chain"].mean() == pytest.approx(total.mean(), rel=2e-3)


def test_knowing_more_costs_less(errors):
    means = [errors[name].mean() for name in KNOWLEDGE]
    assert means == sorted(means)
