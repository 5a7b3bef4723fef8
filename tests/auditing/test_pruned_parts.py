"""Which weights can go first, and whether stable rank tells which heads matter."""

import numpy as np
import pytest
from made import evidence, experiment, measured
from settings import setting

from forecheck.auditing.catalogue import Selection
from forecheck.auditing.pruned import PrunedParts, RanksOfHeads
from forecheck.reports import brief, text

SHARES = [0.5, 0.9, 1.0]


def parts_measured(e, levels, seeds=3, spread=0.01):
    """A measure of two parts whose losses are so many times those of the whole model, by share."""
    rng = np.random.default_rng(0)
    index = np.arange(len(e.test))
    summary = {
        "parts": [{"part": part, "weights": 100 * (k + 1), "matrices": []} for k, part in enumerate(levels)],
        "shares": SHARES,
        "windows": len(index),
    }
    found = []
    for seed in range(seeds):
        raw = 1 + spread * rng.standard_normal(len(index))
        lost = np.array([[raw * level for level in each] for each in levels.values()])
        lost += spread * rng.standard_normal(lost.shape)
        arrays = {"window_index": index, "raw_loss": raw, "pruned_loss": lost}
        found += measured(e, *[summary] * (seed + 1), arrays=arrays)[seed:]
    return tuple(found)


def parts(levels, **known):
    e = experiment()
    results = parts_measured(e, levels, **known)
    return PrunedParts().run(evidence(e, measures={("pruning", "patchtst"): results}))


def test_the_part_that_can_lose_most_goes_first():
    finding = parts({"attention": (1.0, 1.0, 1.2), "head": (1.5, 2.0, 9.0)})
    assert (finding.outcome, finding.severity) == ("pass", "info")
    assert finding.title == "attention can go first: 90 % of the weights make no difference"
    assert "attention 90 %, head 0 %" in finding.meaning
    assert "at 90 %, against head: less (-100" in finding.meaning
    assert [each["spare"] for each in finding.details["parts"]] == [0.9, 0.0]
    assert finding.details["chart"]["series"][1]["y"] == pytest.approx([1.0, 1.5, 2.0, 9.0], abs=0.02)
    assert [row[-1] for row in finding.details["table"]["rows"]] == ["no difference"] * 2 + ["worse"] * 4


def test_attention_that_can_go_wholly_is_warned_of():
    finding = parts({"attention": (1.0, 1.0, 1.0), "head": (1.5, 2.0, 9.0)})
    assert finding.severity == "warning"
    assert "forecheck prune" in finding.advice


def test_a_share_above_one_that_costs_is_not_counted_as_free():
    finding = parts({"attention": (1.5, 1.0, 1.0), "head": (1.0, 1.3, 1.3)})
    assert [each["spare"] for each in finding.details["parts"]] == [0.0, 0.5]


def test_noise_leaves_it_undecided():
    finding = parts({"attention": (1.0, 1.0, 1.0), "head": (1.0, 1.0, 1.0)}, spread=3.0)
    assert finding.outcome == "undecided"
    assert finding.why
    assert "no part is shown" in finding.title


def heads_measured(ranks, losses, seeds=2):
    e = experiment()
    heads = [{"layer": k // 3, "head": k % 3, "value_output": rank, "query_key": 2.0} for k, rank in enumerate(ranks)]
    lost = np.repeat(np.array(losses)[:, None], 5, axis=1)
    arrays = {"window_index": np.arange(5), "raw_loss": np.ones(5), "ablated_loss": lost}
    results = measured(e, *[{"heads": heads, "windows": 5}] * seeds, arrays=arrays)
    return RanksOfHeads().run(evidence(e, measures={("head_ranks", "patchtst"): results}))


def test_ranks_that_order_heads_as_their_losses_tell_of_them():
    finding = heads_measured(range(1, 7), 1 + 0.1 * np.arange(6))
    assert finding.outcome == "pass"
    assert finding.details["correlations"]["value_output"]["value"] > 0.9
    assert finding.details["correlations"]["query_key"] is None  # all the same
    assert "unknown" in finding.meaning


def test_ranks_without_order_do_not_tell():
    finding = heads_measured([3, 1, 2, 6, 4, 5], [1.1, 1.3, 1.0, 1.2, 1.5, 1.0])
    assert finding.outcome == "undecided"
    assert "FC601" in finding.advice
    assert heads_measured([2.0] * 6, [1.0] * 6).outcome == "not applicable"
    assert heads_measured([None] * 4 + [1.0, 2.0], [1.0] * 6).outcome == "not applicable"


def test_they_are_run_when_asked_for():
    known = setting(experiment())

    def codes(selection):
        return {check.code for check in selection.split(known)[0]}

    ours = {"FC312", "FC604"}
    assert not codes(Selection()) & ours
    assert codes(Selection.of(options=["prune"])) >= ours
    assert codes(Selection.of(["FC101"], options=["prune"])) == {"FC101"} | ours
    assert codes(Selection.of(["FC312"])) == {"FC312"}
    assert "FC312" not in codes(Selection.of(["FC3"]))
    assert not codes(Selection.of(ignore=["FC312", "FC604"], options=["prune"])) & ours
    why = {each["code"]: each["why"] for each in Selection().split(known)[1]}
    assert why["FC312"] == "run with --prune, or with --select FC312"


def test_the_short_report_has_one_line_for_it():
    finding = parts({"attention": (1.0, 1.0, 1.2), "head": (1.5, 2.0, 9.0)}).to_dict()
    data = {"kind": "audit", "verdict": {"sentence": "Said."}, "findings": [finding], "arms": [], "protocol": {}}
    shown = text.render(brief.blocks(data, 80), 80)
    assert "Pruning: attention can go first: 90 % of the weights make no difference (FC312)." in shown.replace(
        "\n", " "
    )
    unknown = finding | {"outcome": "not applicable", "why": "it has none"}
    assert "it has none" in text.render(brief.blocks(data | {"findings": [unknown]}, 80), 80)
    assert "Pruning" not in text.render(brief.blocks(data | {"findings": []}, 80), 80)
