"""Every metric equals its definition, computed point by point on small random series."""

import math

import definitions as d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forecheck as fc
from forecheck.anomaly.metrics.affiliation import affiliations
from forecheck.anomaly.metrics.alarm import all_values
from forecheck.anomaly.metrics.registry import Needs, all_metrics
from forecheck.anomaly.pair import Pair, Ranked

RUNS = st.lists(st.tuples(st.booleans(), st.integers(1, 7)), min_size=1, max_size=7)


@st.composite
def pairs(draw):
    """Labels with an anomaly, and alarms."""
    y = [v for v, many in draw(RUNS) for _ in range(many)]
    y[draw(st.integers(0, len(y) - 1))] = True
    p = [v for v, many in draw(RUNS) for _ in range(many)]
    return y, (p * len(y))[: len(y)]


@st.composite
def scored(draw):
    """Labels with an anomaly and a normal point, and scores with ties."""
    y, _ = draw(pairs())
    y.append(not y[-1])
    if not any(y):
        y[0] = True
    return y, [float(v) for v in draw(st.lists(st.integers(0, 6), min_size=len(y), max_size=len(y)))]


CASES = {
    "pointwise": [({}, d.points)],
    "pa": [({}, d.pa)],
    "pa_k": [({"k": k}, lambda y, p, k=k: d.pa_k(y, p, k)) for k in (20, 50, 100)],
    "pa_k_area": [({}, d.pa_k_area)],
    "dtpa": [({"delay": k}, lambda y, p, k=k: d.dtpa(y, p, k)) for k in (0, 3)],
    "pa_k_tolerance": [({"k": 30, "tolerance": 2}, lambda y, p: d.pa_k_tolerance(y, p, 30, 2))],
    "balanced_pa": [({"width": k}, lambda y, p, k=k: d.balanced_pa(y, p, k)) for k in (0, 5)],
    "latency_sparsity": [({"width": k}, lambda y, p, k=k: d.latency_sparsity(y, p, k)) for k in (1, 3)],
    "segment": [({}, d.segment)],
    "composite": [({}, d.composite)],
    "range": [
        (
            dict(zip(("alpha", "bias", "precision_bias", "cardinality"), given, strict=True)),
            lambda y, p, g=given: d.range_f(y, p, *g),
        )
        for given in (
            (0.5, "flat", "flat", "reciprocal"),
            (0.0, "front", "back", "one"),
            (0.2, "middle", "middle", "timesead"),
        )
    ],
    "range_front": [({}, lambda y, p: d.range_f(y, p, 0.0, "front", "flat", "reciprocal"))],
    "range_weighted": [({}, d.range_weighted)],
    "tapr": [
        (dict(zip(("alpha", "theta", "delta"), given, strict=True)), lambda y, p, g=given: d.tapr(y, p, *g))
        for given in ((0.5, 0.5, 0), (0.8, 0.3, 4))
    ],
    "etapr": [
        (dict(zip(("theta_p", "theta_r", "delta"), given, strict=True)), lambda y, p, g=given: d.etapr(y, p, *g))
        for given in ((0.5, 0.1, 0.0), (0.4, 0.6, 0.7))
    ],
    "time_tolerant": [({"tolerance": 2}, lambda y, p: d.time_tolerant(y, p, 2))],
    "tdir": [({"tolerance": 2}, lambda y, p: sum(a and d.nearest(t, p) <= 2 for t, a in enumerate(y)) / sum(y))],
    "dair": [({"tolerance": 2}, lambda y, p: d.dair(y, p, 2))],
    "adc": [({}, d.adc)],
    "wdd": [({"tolerance": 3}, lambda y, p: d.wdd(y, p, 3))],
    "add": [({}, d.add)],
    "temporal_distance": [({}, d.temporal_distance)],
    "nab": [
        ({"profile": name}, lambda y, p, given=given: d.nab(y, p, *given))
        for name, given in {"standard": (1, 0.11, 1), "low_fn": (1, 0.11, 2)}.items()
    ],
    "early_detection": [({"share": 0.7}, lambda y, p: d.early_detection(y, p, 0.7))],
    "adtqc": [({}, lambda y, p: d.adtqc(y, p, math.e))],
    "alarm": [({}, d.alarm)],
    "pate_f": [({"early": 3, "delay": 4}, lambda y, p: d.pate_mean(y, p, 3, 4))],
    "net_event": [({}, d.net_event)],
}


@pytest.mark.parametrize("name", CASES)
@given(pair=pairs())
def test_a_metric_of_alarms_equals_its_definition(name, pair):
    y, p = pair
    for options, expected in CASES[name]:
        value = fc.anomaly.evaluate(y, p, {name: options})[name].value
        assert value == pytest.approx(expected(y, p), abs=1e-9), options


@settings(max_examples=12)
@given(pairs())
def test_affiliation_equals_its_integrals(pair):
    y, p = (np.array(each) for each in pair)
    found = fc.anomaly.evaluate(y, p, "affiliation")["affiliation"]
    precision, recall = d.affiliation(y.tolist(), p.tolist())
    assert found.recall == pytest.approx(recall, abs=2e-3)
    assert found.precision == pytest.approx(precision, abs=2e-3, nan_ok=True)
    assert (affiliations(Pair(y, p))[1] <= 1 + 1e-12).all()


@settings(max_examples=12)
@given(scored(), st.integers(0, 9))
def test_soft_areas_and_their_volumes_equal_their_sums(pair, window):
    y, s = pair
    areas = [d.soft_areas(y, s, each, 20) for each in range(window + 1)]
    window = min(window, len(y))
    found = fc.anomaly.evaluate(
        y, s, ["range_auc_roc", "range_auc_pr", "vus_roc", "vus_pr"], window=window, thresholds=20
    )
    areas = areas[: window + 1]
    assert found["range_auc_roc"].value == pytest.approx(areas[-1][0], abs=1e-9)
    assert found["range_auc_pr"].value == pytest.approx(areas[-1][1], abs=1e-9)
    assert found["vus_roc"].value == pytest.approx(np.mean([a for a, _ in areas]), abs=1e-9)
    assert found["vus_pr"].value == pytest.approx(np.mean([b for _, b in areas]), abs=1e-9)


@given(scored())
def test_what_is_swept_equals_what_is_measured_at_every_threshold(pair):
    y, s = (np.array(each) for each in pair)
    ranked = Ranked(y, s)
    at = [ranked.at(level) for level in ranked.thresholds]
    alarms = [d.alarm(y.tolist(), each.p.tolist()) for each in at]
    assert all_values(ranked) == pytest.approx(np.array(alarms), abs=1e-9)
    found = fc.anomaly.evaluate(
        y, s, ["oracle_f", "oracle_pa", "oracle_alarm", "auc_roc", "auc_pr", "pate", "pa_auc_pr"]
    )
    assert found["oracle_f"].value == pytest.approx(max(d.points(y, each.p) for each in at))
    assert found["oracle_pa"].value == pytest.approx(max(d.pa(y, each.p) for each in at))
    assert found["oracle_alarm"].value == pytest.approx(max(0.0, *alarms))
    higher = [(a > b) + (a == b) / 2 for a in s[y] for b in s[~y]]
    assert found["auc_roc"].value == pytest.approx(np.mean(higher))
    grid = [(e, late) for e in (0, 5) for late in (0, 5)]
    curves = {"auc_pr": [], "pa_auc_pr": []} | {buffers: [] for buffers in grid}
    for each in at:
        p = each.p
        adjusted = p | np.isin(np.arange(len(y)), [t for a in d.runs(y) if p[a].any() for t in a])
        curves["auc_pr"].append(((y & p).sum() / p.sum(), (y & p).sum() / y.sum()))
        curves["pa_auc_pr"].append(((y & adjusted).sum() / adjusted.sum(), (y & adjusted).sum() / y.sum()))
        for buffers in grid:
            curves[buffers].append(d.pate(y.tolist(), p.tolist(), *buffers))
    areas = {}
    for name, curve in curves.items():
        recall = np.array([r for _, r in curve])
        areas[name] = np.sum(np.diff(recall, prepend=0.0) * [precision for precision, _ in curve])
    areas["pate"] = np.mean([areas[buffers] for buffers in grid])
    for name in ("auc_pr", "pa_auc_pr", "pate"):
        assert found[name].value == pytest.approx(areas[name], abs=1e-9), name


def test_pa_scores_are_areas_of_the_highest_score_of_each_anomaly():
    y, s = np.array([0, 1, 1, 0, 0, 1, 0], dtype=bool), np.array([0.1, 0.2, 0.9, 0.3, 0.95, 0.6, 0.0])
    raised = np.array([0.1, 0.9, 0.9, 0.3, 0.95, 0.6, 0.0])
    found = fc.anomaly.evaluate(y, s, "pa_auc_roc")["pa_auc_roc"].value
    assert found == pytest.approx(fc.anomaly.evaluate(y, raised, "auc_roc")["auc_roc"].value)


def test_graded_labels_tell_early_from_late_alarms():
    grades = [0, 1, 2, 3, 0, 2, 2, 3, 0, 1, 2]
    early = fc.anomaly.evaluate(grades, [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1], ["edf", "ldf"])
    assert early["edf"].value == pytest.approx(1 / 3)
    assert early["ldf"].value == pytest.approx(1 / 3)
    with pytest.raises(fc.DataError, match="graded labels are 0, 1, 2 or 3"):
        fc.anomaly.evaluate([0, 4], [0, 1], "edf")


@pytest.mark.parametrize(
    ("y", "p", "value"),
    [
        ("0011110000", "0011110000", 1.96875),
        ("0011110000", "0111100000", 1.1875),
        ("0011110000", "0010100100", 0.90625),
        ("0110001110", "0111111110", 0.20833),
        ("101000", "110000", 1.5),
        ("101000", "111000", 0.75),
    ],
)
def test_alarm_has_the_values_of_public_code(y, p, value):
    found = fc.anomaly.evaluate([c == "1" for c in y], [c == "1" for c in p], "alarm")["alarm"]
    assert found.value == pytest.approx(value, abs=1e-5)


def test_alarm_does_not_see_beyond_fifty_points():
    y = np.ones(200, dtype=bool)
    hits = [np.arange(200) == offset for offset in (60, 180)]
    one, other = (fc.anomaly.evaluate(y, p, "alarm")["alarm"].value for p in hits)
    assert one == other
    most, all_of_it = (fc.anomaly.evaluate(y, np.arange(200) < k, "alarm")["alarm"].value for k in (120, 200))
    assert most == all_of_it


@pytest.mark.parametrize("metric", all_metrics(), ids=lambda metric: metric.name)
def test_edges_are_measured_or_refused(metric):
    """No alarm, alarms everywhere, one point, all anomalous, none: a number, or an error that says which."""
    graded = metric.needs is Needs.GRADED
    kind = float if metric.needs is Needs.SCORES else bool
    for y in (np.array([0, 1, 1, 0, 1]), np.ones(4, int), np.ones(1, int), np.zeros(5, int)):
        for found in (np.zeros(len(y)), np.ones(len(y)), np.arange(len(y)) % 2):
            try:
                value = fc.anomaly.evaluate(y * (2 if graded else 1), found.astype(kind), metric.name)[
                    metric.name
                ].value
            except fc.DataError as error:
                assert not y.any() or y.all(), error  # noqa: PT017
                continue
            assert y.any() or metric.without_anomalies
            undefined = metric.name in {"latency", "mttd"} and not (found.astype(bool) & (y > 0)).any()
            assert math.isfinite(value) or undefined
    assert metric.source
    assert metric.explanation
    assert ".. math::" in metric.explanation
