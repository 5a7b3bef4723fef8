"""`forecheck metrics` from the command line."""

import json


def test_metrics_are_listed(forecheck):
    done = forecheck("metrics")
    assert done.code == 0
    names = [line.split()[0] for line in done.out.splitlines() if line]
    assert {"pointwise", "vus_pr", "alarm", "net_event", "edf"} <= set(names)
    assert "larm" not in names
    assert max(map(len, done.out.splitlines())) <= 100
    listed = json.loads(forecheck("metrics", "--json").out)
    assert len(listed) > 50
    assert listed[0]["name"] == "pointwise"


def test_one_is_explained_with_its_source(forecheck):
    done = forecheck("metrics", "alarm")
    assert "NoBOOMBenchmark, commit 14ec7b7d9a61" in " ".join(done.out.split())
    assert "inferred" in done.out
    assert "warning: in float64" in done.out
    assert "random scores can reach" in " ".join(forecheck("metrics", "pa").out.split())
    assert "parameters: none" in forecheck("metrics", "adc").out


def test_properties_of_one(forecheck):
    done = forecheck("metrics", "net-event", "--properties", "--draws", "3")
    assert done.out.splitlines()[1].split() == ["net_event", *["Y"] * 12]
    assert "an alarm earlier in an anomaly" in done.out
    answers = json.loads(forecheck("metrics", "pa", "--properties", "--draws", "2", "--json").out)
    assert answers["pa"]["perf"]["draws"] == 2
    assert "do not compare detectors by it" in forecheck("metrics", "pa", "--properties", "--draws", "1").out


def test_what_is_not_there_is_said(forecheck):
    for name, said in (("larm", "formula was not to be had"), ("net_events", "Did you mean net_event")):
        done = forecheck("metrics", name)
        assert done.code == 2
        assert said in done.err
    assert "needs scores" in forecheck("metrics", "auc_roc", "--properties").err
