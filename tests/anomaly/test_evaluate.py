"""What is evaluated and what is refused."""

import numpy as np
import pytest

import forecheck as fc
from forecheck.errors import DataError, UsageError

Y = np.array([0, 0, 1, 1, 1, 0, 0, 0, 1, 0], dtype=bool)


def test_alarms_and_scores_are_told_apart():
    alarms = fc.anomaly.evaluate(Y, Y.astype(int))
    assert alarms["composite"].value == 1.0
    assert alarms["net_event"].value == 1.0
    assert alarms["composite"].alarms == 2
    scores = fc.anomaly.evaluate(Y, Y.astype(float))
    assert scores["auc_roc"].value == scores["auc_pr"].value == 1.0
    assert scores["auc_roc"].alarms is None


def test_results_are_shown_and_handed_on():
    found = fc.anomaly.evaluate(Y, Y, {"pointwise": {"beta": 2}, "composite": {}})
    assert "beta=2" in str(found)
    assert "pointwise 1" in repr(found)
    assert "<td>composite</td>" in found._repr_html_()
    assert found.to_dict()["pointwise"]["parameters"] == {"beta": 2}
    assert list(found.to_frame()["metric"]) == ["pointwise", "composite"]
    assert float(found["pointwise"]) == found["pointwise"].f == 1.0


@pytest.mark.parametrize(
    ("labels", "found", "said"),
    [
        (Y, Y[:-1], "10 labels and 9 scores"),
        (Y, np.full(10, np.nan), "missing or infinite, the first at position 0"),
        (Y, [None, *[0.5] * 9], "missing or infinite, the first at position 0"),
        ([0.0, np.inf], [0.0, 1.0], "labels have 1 values"),
        (np.arange(10), Y, "at position 2 there is 2"),
        (Y, ["a"] * 10, "of type"),
        ([], [], "labels are empty"),
        (Y[:, None], Y, "shape"),
        (np.ma.array(Y, mask=~Y), Y, "labels have 6 values that are missing"),
        (np.zeros(10), np.ones(10, dtype=bool), "not defined for labels without an anomaly"),
        (np.ones(10), np.linspace(0, 1, 10), "not defined where every point is anomalous"),
    ],
)
def test_data_that_cannot_be_measured_are_refused(labels, found, said):
    with pytest.raises(DataError, match=said):
        fc.anomaly.evaluate(labels, found, ["composite"] if np.asarray(found).dtype == bool else ["auc_roc"])


@pytest.mark.parametrize(
    ("found", "metrics", "options", "said"),
    [
        (Y.astype(float), "composite", {}, "needs alarms, and these are scores"),
        (Y, "auc_roc", {}, "needs scores, and these are alarms"),
        (np.arange(10), "auc_roc", {}, "whole numbers other than 0 and 1"),
        (Y, "composit", {}, "Did you mean composite"),
        (Y, "larm", {}, "formula was not to be had"),
        (Y, "composite", {"window": 3}, "no metric here has a parameter 'window'"),
        (Y, {"composite": {"gamma": 3}}, {}, "composite has no parameter 'gamma'"),
        (Y, "composite", {"beta": -1}, "beta is -1"),
        (Y, [], {}, "no metric is named"),
        (Y, "pa_k", {"k": "a"}, "pa_k.k is 'a'"),
        (Y, "dtpa", {"delay": 2.5}, "It is a whole number"),
        (Y, "dtpa", {"delay": True}, "It is a whole number"),
        (Y, "range", {"bias": 3}, "It is text"),
        (Y.astype(float), "vus_pr", {"window": "3"}, "It is a whole number"),
    ],
)
def test_what_does_not_fit_is_refused_with_advice(found, metrics, options, said):
    with pytest.raises(UsageError, match=said):
        fc.anomaly.evaluate(Y, found, metrics, **options)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0, 1, 2, 3, 3, 5, 6, 7, 8, 9], "stands at positions 3 and 4"),
        ([0, 2, 1, 3, 4, 5, 6, 7, 8, 9], "not sorted"),
        (range(9), "10 labels and times"),
        (np.array(["NaT"] * 10, dtype="datetime64[s]"), "position 0 is missing"),
    ],
)
def test_times_must_rise(times, said):
    with pytest.raises(DataError, match=said):
        fc.anomaly.evaluate(Y, Y, times=np.asarray(times))
    fc.anomaly.evaluate(Y, Y, times=np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]"))


def test_one_point_and_constant_scores():
    assert fc.anomaly.evaluate([1], [1], "composite")["composite"].value == 1.0
    constant = fc.anomaly.evaluate(Y, np.zeros(10))
    assert constant["auc_roc"].value == 0.5
    assert constant["auc_pr"].value == 0.4
