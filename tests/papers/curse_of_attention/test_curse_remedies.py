"""E7: every remedy is trained a little, and the judges on made-up rows."""

import pytest
import torch

from forecheck.papers.claim import Verdict
from forecheck.papers.curse_of_attention import remedies, remedies_claims
from forecheck.papers.curse_of_attention.sign_task import draw_task
from forecheck.papers.curse_of_attention.theory import sign
from forecheck.papers.experiment import Bench
from forecheck.trials.store import Store

CLAIMS = {claim.id: claim for claim in remedies_claims.CLAIMS}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(remedies, "TEST", 300)
    return Bench(Store(tmp_path), lambda share, word: None)


@pytest.mark.parametrize("name", remedies.REMEDIES)
def test_a_remedy_is_tuned_and_measured(bench, name):
    row = remedies.remedy(bench, "unit", name, seeds=2, windows=40, neurons=4, steps=3)
    found = remedies.REMEDIES[name]
    assert row["tried"] == len(found.optimizers) * max(len(found.penalties), 1)
    first = draw_task("unit", 0.5, 0.1, 0, 40, 300)
    own = row["repetitions"][0]
    assert own["zero"]["inconsistent"] == pytest.approx(float(first.tests["inconsistent"].y.square().mean()))
    rule = torch.from_numpy(sign.fit_residual_linear(first.train.x.numpy(), first.train.y.numpy()))
    expected = (first.tests["all"].x @ rule - first.tests["all"].y).square().mean()
    assert own["residual"]["all"] == pytest.approx(float(expected))
    assert 0 < own["last share"] < 1
    assert own["network"] != row["repetitions"][1]["network"]


def test_three_steps_do_different_things_with_different_remedies(bench):
    found = {
        name: remedies.remedy(bench, "flat", name, seeds=1, windows=40, neurons=4, steps=3)["repetitions"][0]["train"]
        for name in remedies.REMEDIES
    }
    assert len(set(found.values())) == len(found)


def test_remedies_are_held_against_the_untreated_network_of_their_optimiser():
    assert remedies.base_of("none (adam)") == "none (gd)"
    assert remedies.base_of("weight decay (gd)") == "none (gd)"
    assert remedies.base_of("rope") == "none (adam)"


def rows(floors, forms=("unit", "flat"), zero=30.0):
    """Risks of all remedies in floors; those that are not named are at 60."""
    return [
        {"name": name, "form": form, "taken": "step 1", "tried": 1}
        | {
            "repetitions": [
                {
                    "network": dict.fromkeys(("all", "inconsistent"), floors.get((name, form), 60.0) + 0.01 * seed),
                    "stopped": {"inconsistent": 60.0},
                    "zero": {"inconsistent": zero},
                    "floor": 1.0,
                    "last share": 0.1,
                }
                for seed in range(4)
            ]
        }
        for name in remedies.REMEDIES
        for form in forms
    ]


def verdict(name, floors):
    return CLAIMS[name].judge({"remedies": rows(floors)}).verdict


@pytest.mark.parametrize(
    ("name", "variants"),
    [
        ("E7-adam", ["none (adam)"]),
        ("E7-decay", ["weight decay (gd)", "decoupled weight decay (adam)"]),
        ("E7-differential", ["differential"]),
        ("E7-rope", ["rope"]),
        ("E7-gradient", ["without drift (gd)", "local penalty", "entropy floor"]),
        ("E7-recency", ["recency"]),
        ("E7-skip", ["skip"]),
        ("E7-output", ["trained a"]),
        ("E7-bias", ["position bias"]),
        ("E7-both", ["position bias, trained a", "position bias, trained a, skip"]),
        ("E7-output-with", ["differential, trained a", "rope, trained a", "recency, trained a"]),
    ],
)
def test_both_verdicts_can_be_reached_and_a_mixture(name, variants):
    both = {(variant, form): 2.0 for variant in variants for form in ("unit", "flat")}
    assert verdict(name, both) is Verdict.CONFIRMED
    assert verdict(name, {}) is Verdict.REFUTED
    assert verdict(name, {(variants[0], "flat"): 2.0}) is Verdict.UNEVEN


def test_shrinking_towards_zero_is_no_relief():
    assert verdict("E7-rope", {("rope", form): 40.0 for form in ("unit", "flat")}) is Verdict.REFUTED
    assert verdict("E7-rope", {("rope", form): 20.0 for form in ("unit", "flat")}) is Verdict.CONFIRMED


def test_patches_say_why_they_are_not_tested():
    found = CLAIMS["E7-patches"].judge({})
    assert found.verdict is Verdict.UNTESTABLE
    assert "scalars" in found.found
