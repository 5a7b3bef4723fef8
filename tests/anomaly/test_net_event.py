"""The net event score has its twelve properties: every short series is tried."""

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forecheck as fc
from forecheck.anomaly.metrics.net_event import Weights, parts, squashed
from forecheck.anomaly.pair import Pair

N = 6
SERIES = [np.array(bits, dtype=bool) for bits in product((0, 1), repeat=N)]


@cache
def _score(y, p):
    found = parts(Pair(np.frombuffer(y, dtype=bool), np.frombuffer(p, dtype=bool)), Weights())
    k = max(len(found.rewards), 1)
    return squashed(float(found.rewards.sum() - found.costs.sum()) / k)


def score(y, p):
    return _score(y.tobytes(), p.tobytes())


def intervals(low, high):
    return [(a, b) for a in range(low, high) for b in range(a + 1, high + 1)]


def marked(p, low, high):
    found = p.copy()
    found[low:high] = True
    return found


def better_and_worse(y, p, anomalies):
    """What the properties say of an alarm that is added to p: which property, and two predictions, the better first."""
    for a, b in anomalies:
        if not p[a:b].any():
            yield from (("count", marked(p, *each), p) for each in intervals(a, b))
        for t in (t for t in range(a + 1, b) if p[t - 1] and not p[t]):
            if t < b - 1 or b == N or not p[b]:  # else it joins a false run: a border is crossed
                yield "extent", marked(p, t, t + 1), p
    for low, high in intervals(0, N):
        around = slice(max(low - 1, 0), high + 1)
        if not y[around].any() and not p[around].any():
            yield "fa#", p, marked(p, low, high)
            if high - low > 1:
                yield "fa-len", marked(p, low, high - 1), marked(p, low, high)


def test_every_pair_of_six_points():
    tried = dict.fromkeys(("perf", "count", "extent", "fa#", "fa-len"), 0)
    for y, p in product((y for y in SERIES if y.any()), SERIES):
        truth = Pair(y, y).truth
        assert -1 < score(y, p) <= 1
        if (y != p).any():
            tried["perf"] += 1
            assert score(y, p) < score(y, y) == 1.0
        for name, good, bad in better_and_worse(y, p, list(zip(truth.starts, truth.ends, strict=True))):
            tried[name] += 1
            assert score(y, good) > score(y, bad), (name, y, good, bad)
    assert tried == {"perf": 3969, "count": 4249, "extent": 1024, "fa#": 884, "fa-len": 180}


def test_flagging_everything_is_worse_than_half_of_each_anomaly():
    for bits in product((0, 1), repeat=9):
        y = np.array(bits, dtype=bool)
        if y.any() and not y.all():
            truth = Pair(y, y).truth
            halves = np.zeros(9, dtype=bool)
            for low, high in zip(truth.starts, truth.ends, strict=True):
                halves[low : low + (high - low + 1) // 2] = True
            if not (halves == y).all():
                assert score(y, halves) > score(y, np.ones(9, dtype=bool))


def test_a_prolonged_alarm_that_joins_a_false_one_crosses_a_border():
    y, p, q = (np.array([c == "1" for c in bits]) for bits in ("001101", "001011", "001111"))
    assert score(y, q) < score(y, p)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.data())
def test_the_score_is_the_sum_of_its_parts(y, data):
    y = np.array(y)
    p = np.array(data.draw(st.lists(st.booleans(), min_size=len(y), max_size=len(y))))
    found = parts(Pair(y, p), Weights())
    result = fc.anomaly.evaluate(y, p, "net_event")["net_event"]
    k = max(len(found.rewards), 1)
    assert result.details["gained"] - result.details["charged"] == pytest.approx(
        (found.rewards.sum() - found.costs.sum()) / k
    )
    assert len(found.nearest) == len(found.costs)
    assert set(found.nearest.tolist()) <= (set(range(len(found.rewards))) if y.any() else {-1})


def test_silence_is_worth_nothing_and_false_alarms_are_worse():
    y = np.zeros(50, dtype=bool)
    assert fc.anomaly.evaluate(y, y, "net_event")["net_event"].value == 0.0
    assert fc.anomaly.evaluate(y, np.arange(50) == 3, "net_event")["net_event"].value < 0.0


@pytest.mark.parametrize(
    "options",
    [
        {"existence": 0.6},
        {"redundancy": 0.25},
        {"alarm": 0},
        {"border": 0.1},
        {"border_length": 0.4},
        {"tolerance": 0},
        {"existence": float("nan")},
    ],
)
def test_weights_under_which_a_property_would_fail_are_refused(options):
    with pytest.raises(fc.UsageError):
        fc.anomaly.evaluate([0, 1], [0, 1], "net_event", **options)
