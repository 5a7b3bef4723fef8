"""What is measured of metrics for the paper on their properties, and how it is judged."""

import numpy as np
import pytest

from forecheck.papers.anomaly_metrics import PAPER, claims, experiments
from forecheck.papers.claim import Verdict
from forecheck.papers.experiment import Bench
from forecheck.trials.store import Store


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


def test_the_predictions_of_figure_1_have_the_same_overlap():
    for length in (16, 40, 120):
        y, concise, oscillating = experiments.two_predictions(length)
        assert (y & concise).sum() == (y & oscillating).sum() == concise.sum() == oscillating.sum()
        assert np.flatnonzero(concise)[0] < np.flatnonzero(oscillating)[0]


def test_many_metrics_do_not_see_the_difference(bench):
    rows = [experiments.figure(bench, length) for length in (16, 40)]
    assert rows[0]["values"]["pointwise"][0] == rows[0]["values"]["pointwise"][1]
    assert rows[0]["values"]["net_event"][0] > rows[0]["values"]["net_event"][1]
    outcome = claims.judge_figure({"figure": [row | {"length": 16} for row in rows]})
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.ours.value >= claims.MANY


def test_alarm_is_blind_behind_fifty_points(bench):
    row = experiments.blind(bench, 100)
    assert 50 <= row["offset"] <= claims.LIMIT
    assert claims.judge_blind({"blind": [row]}).verdict is Verdict.CONFIRMED
    assert claims.judge_blind({"blind": [row | {"offset": 90}]}).verdict is Verdict.REFUTED


def test_alarm_is_lowered_by_alarms_and_by_true_points(bench, monkeypatch):
    monkeypatch.setattr(experiments, "N", 5)
    row = experiments.monotone(bench)
    assert 0 < row["alarms lower"] < row["alarms"]
    assert 0 < row["points lower"] < row["points"]
    assert claims.judge_monotone({"monotone": [row]}).verdict is Verdict.CONFIRMED
    assert claims.judge_monotone({"monotone": [row | {"points lower": 0}]}).verdict is Verdict.REFUTED


def words(**metrics):
    names = [each.name for each in claims.PROPERTIES]
    return {"words": {name: dict(zip(names, word, strict=True)) for name, word in metrics.items()}}


@pytest.mark.parametrize(
    ("published", "verdict"),
    [
        (["Y" * 5 + "w" * 7, "Y" * 10 + "ww", "w" * 12], Verdict.CONFIRMED),
        (["Y" * 8 + "w" * 4, "Y" * 10 + "ww"], Verdict.UNEVEN),
        (["Y" * 12, "w" * 12, "w" * 12], Verdict.REFUTED),
    ],
)
def test_no_published_metric_may_have_all(published, verdict):
    row = words(**{f"m{k}": word for k, word in enumerate(published)}, alarm="Y" * 12, net_event="Y" * 12)
    assert claims.judge_none({"table": [row]}).verdict is verdict
    assert claims.judge_net_event({"table": [row]}).verdict is Verdict.CONFIRMED
    row["words"]["net_event"]["perf"] = "w"
    assert claims.judge_net_event({"table": [row]}).verdict is Verdict.REFUTED


def test_the_table_is_of_all_published_metrics(bench, monkeypatch):
    names = [each.name for each in experiments.published()]
    assert "net_event" not in names
    assert {"pa", "affiliation", "nab", "etapr"} <= set(names)
    monkeypatch.setattr(experiments, "published", list)
    assert list(experiments.table(bench, draws=2)["words"]) == ["alarm", "net_event"]


def test_every_claim_of_the_paper_has_words():
    assert [claim.id for claim in PAPER.claims if claim.ours] == ["alarm-float", "alarm-monotone", "net-event"]
    assert all(claim.title and claim.where for claim in PAPER.claims)
