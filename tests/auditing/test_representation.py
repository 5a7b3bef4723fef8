import json

import numpy as np
import pytest
from made import evidence, experiment, measured
from only import audited

from forecheck.auditing.representation import (
    CHECKS,
    CaseOne,
    EffectiveRank,
    EntropyCollapse,
    LayersAlike,
    NearUniform,
    PositionAndContent,
    RankCollapse,
)
from forecheck.trials.store import Store
from panels import hourly


def layer(i, entropy=0.8, variation=0.4, content=0.5, rank=4.0, own=0.9, before=0.5):
    patterns = {
        "entropy": entropy,
        "total_variation": variation,
        "position_share": None if content is None else 1 - content,
        "content_share": content,
        "self_weight": 0.3,
        "last_key_weight": 0.2,
        "uniform_weight": 0.2,
        "heads": {"entropy": [entropy] * 2, "content_share": [content] * 2},
    }
    side = {"rank": rank, "window_rank": rank / 2, "most": 8, "window_most": 4, "own_share": own}
    tokens = {
        "entering": side,
        "leaving": None,
        "cka_before": before if i else None,
        "cka_first": before if i else None,
    }
    return {"path": f"blocks.{i}", "patterns": patterns, "tokens": tokens}


def found(check, *layers, seeds=1, changes=None):
    e = experiment()
    summaries = [{"layers": list(layers)}, {"layers": list(changes or layers)}][:seeds]
    cka = np.ones((len(layers), len(layers)))
    cka[0, -1] = np.nan
    results = measured(e, *summaries, arrays={"cka": cka})
    return check.run(evidence(e, measures={("representation", "patchtst"): results}))


def test_ranks_are_told():
    finding = found(EffectiveRank(), layer(0, rank=4), layer(1, rank=6))
    assert (finding.outcome, finding.severity) == ("pass", "info")
    assert "4, 6 of 8, 8 directions" in finding.meaning
    assert finding.details["chart"]["series"][1]["y"] == [2.0, 3.0]


def test_numbers_are_means_over_seeds():
    finding = found(EffectiveRank(), layer(0, rank=4), seeds=2, changes=[layer(0, rank=8)])
    assert finding.details["chart"]["series"][0]["y"] == [6.0]


@pytest.mark.parametrize(("before", "outcome"), [(0.995, "no difference"), (0.9, "pass")])
def test_layers_that_change_little_are_named(before, outcome):
    finding = found(LayersAlike(), layer(0), layer(1, before=before))
    assert finding.outcome == outcome
    assert ("layer 0 changes little" in finding.meaning) == (outcome == "no difference")
    assert finding.details["chart"]["values"][0] == [1.0, None]


def test_one_layer_has_none_to_compare_with():
    assert found(LayersAlike(), layer(0)).outcome == "not applicable"


@pytest.mark.parametrize(
    ("variations", "outcome", "severity"), [((0.05, 0.09), "fail", "warning"), ((0.05, 0.2), "pass", "info")]
)
def test_attention_is_near_uniform_if_all_layers_are(variations, outcome, severity):
    finding = found(NearUniform(), *(layer(i, variation=v) for i, v in enumerate(variations)))
    assert (finding.outcome, finding.severity) == (outcome, severity)
    assert bool(finding.advice) == (outcome == "fail")


@pytest.mark.parametrize(("content", "outcome"), [(0.05, "no difference"), (0.5, "pass")])
def test_attention_that_is_all_position_is_told(content, outcome):
    finding = found(PositionAndContent(), layer(0, content=content))
    assert finding.outcome == outcome
    assert finding.details["chart"]["values"] == [[pytest.approx(100 * content)] * 2]
    assert found(PositionAndContent(), layer(0, content=None)).outcome == "not applicable"


def test_collapse_in_one_seed_is_enough():
    fine, collapsed = layer(0, entropy=0.9), layer(0, entropy=0.05)
    assert found(EntropyCollapse(), fine, seeds=2).outcome == "pass"
    finding = found(EntropyCollapse(), fine, seeds=2, changes=[collapsed])
    assert (finding.outcome, finding.severity) == ("fail", "warning")
    assert "collapsed: layer 0" in finding.meaning


def test_equal_tokens_are_a_collapse():
    assert found(RankCollapse(), layer(0, own=0.5)).outcome == "pass"
    finding = found(RankCollapse(), layer(0, own=0.5), layer(1, own=0.001))
    assert (finding.outcome, finding.severity) == ("fail", "warning")
    assert "layer 1" in finding.meaning


@pytest.mark.parametrize("check", [EffectiveRank(), LayersAlike(), RankCollapse()], ids=lambda check: check.code)
def test_tokens_that_could_not_be_had_say_so(check):
    without = layer(0) | {"tokens": {"why_not": "no module is handed tokens"}}
    finding = found(check, without, without)
    assert (finding.outcome, finding.why) == ("not applicable", "no module is handed tokens")


def test_patterns_that_could_not_be_had_say_so():
    without = layer(0) | {"patterns": {"why_not": "the pattern changes its size"}}
    finding = found(NearUniform(), without)
    assert (finding.outcome, finding.why) == ("not applicable", "the pattern changes its size")


@pytest.mark.parametrize("check", [NearUniform(), EntropyCollapse()], ids=lambda check: check.code)
def test_patterns_that_are_no_distributions_say_so(check):
    finding = found(check, layer(0, entropy=None, variation=None))
    assert (finding.outcome, "weights below 0" in finding.why) == ("not applicable", True)


@pytest.mark.parametrize(("exact", "pulled"), [(0.7, True), (0.5, False)])
def test_case_one_is_told(exact, pulled):
    e = experiment()
    shares = {"case1": 0.4, "exact": exact, "self_weight": 0.2}
    one = {"path": "blocks.0", **shares, "last_query": shares, "heads": {"exact": [exact, exact]}}
    cross = {"path": "cross", "why_not": "5 queries look at 7 other keys"}
    results = measured(e, {"layers": [one, cross]})
    finding = CaseOne().run(evidence(e, measures={("gradient", "patchtst"): results}))
    assert finding.severity == "info"
    assert ("pushes attention away" in finding.title) == pulled
    assert "40.0 %, unknown" in finding.meaning
    assert finding.details["chart"]["values"][1] == [None, None]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_reasons_are_handed_on(check):
    e = experiment()
    results = measured(e, {"why_not": "no gradient reaches it"})
    finding = check.run(evidence(e, measures={(check.measure, "patchtst"): results}))
    assert (finding.outcome, finding.why) == ("not applicable", "no gradient reaches it")
    assert check.run(evidence(e, places=(), why_not="nothing there")).why == "nothing there"
    assert check.run(evidence(e)) is None


def test_an_audit_has_them_all(tmp_path):
    found, report = audited(CHECKS, hourly(700), Store(tmp_path))
    assert sorted(found) == [f"FC70{i}" for i in range(1, 8)]
    assert all(each["outcome"] != "not applicable" for each in found.values())
    assert all(each["details"]["table"]["rows"] for each in found.values())
    assert report["protocol"]["trials"]["total"] == 7 + 2 + 2 * 2
    json.dumps(found, allow_nan=False)
