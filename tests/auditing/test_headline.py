"""The headline: from two comparisons, each with its interval, to one answer that a person can act on."""

import dataclasses

import numpy as np
import pytest
from made import arm, evidence, experiment

from forecheck.auditing.evidence import Searched
from forecheck.auditing.headline import arms_for_more_seeds, headline, how_far, questions
from forecheck.auditing.verdict import answer, verdict


@pytest.fixture(scope="module")
def e():
    return experiment()


def known(e, reference=1.2, spread=0.01, raw_spread=0.01, seeds=3, searched=None, family="retrained", **levels):
    """Evidence of a raw model of loss 1, one linear reference, and arms without attention."""
    arms = [arm(e, spread=raw_spread, seeds=seeds)]
    arms += [arm(e, label.replace("_", "-"), family, level, seeds, spread) for label, level in levels.items()]
    if reference is not None:
        arms.append(arm(e, "linear", "reference", reference, seeds=1, spread=spread))
    found = evidence(e, arms)
    return found if searched is None else type(found)(**(vars_of(found) | {"searched": searched}))


def vars_of(found):
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


@pytest.mark.parametrize(
    ("reference", "identity", "worth", "word"),
    [
        (1.2, 1.2, "yes", "Yes: patchtst"),
        (1.2, 1.0, "not for its attention", "Not for its attention: patchtst"),
        (1.2, 0.9, "not for its attention", "Not for its attention"),
        (1.0, 1.2, "no", "No: patchtst"),
        (0.8, 1.2, "no", "No: patchtst"),
        (0.8, 1.0, "no", "No: patchtst"),
    ],
)
def test_decided_answers(e, reference, identity, worth, word):
    found = verdict(known(e, reference, identity=identity))
    assert found["worth"] == worth
    assert found["sentence"].startswith(word)
    assert found["why"] == ""
    assert found["reference"]["beaten"] is (reference > 1.1)
    assert "model='patchtst'" in found["advice"] or worth != "yes"


def test_an_undecided_headline_tells_the_bounds_and_what_would_decide(e):
    found = verdict(known(e, 1.012, spread=0.2, raw_spread=0.2, identity=1.012))
    assert found["worth"] == "undecided"
    assert "attention is worth between -" in found["sentence"]
    assert "% of the error" in found["sentence"]
    assert "against the reference: " in found["why"]
    assert "attention: " in found["why"]
    assert "would decide" in found["why"] or "not even" in found["why"]


def test_as_good_is_enough_for_no_without_equivalence(e):
    """An interval from clearly better to just below the margin is neither better beyond it nor equivalent."""
    found = known(e, 0.95, spread=0.2, identity=1.2)
    c = found.comparisons["reference", "linear"]
    assert c.outcome == "undecided"
    assert c.interval[1] < 0.01
    assert headline(found).worth == "no"


def test_every_replacement_must_be_worse_for_a_yes(e):
    assert headline(known(e, identity=1.2, mean=1.2)).worth == "yes"
    found = headline(known(e, identity=1.2, mean=1.0))
    assert found.worth == "not for its attention"
    assert found.attention.arm.label == "mean"


@pytest.mark.parametrize("late", ["raw", "identity"])
def test_what_has_not_converged_decides_nothing_that_it_could_change(e, late):
    searched = Searched(gains={"raw": 0.0, "identity": 0.0} | {late: 0.05})
    loses = known(e, 0.8, identity=1.2, searched=searched)
    assert headline(loses).worth == ("undecided: undertrained" if late == "raw" else "no")
    helps = known(e, 1.2, identity=1.2, searched=searched)
    # More training of the model can only make attention help more; of the arm without it, less.
    assert headline(helps).worth == ("yes" if late == "raw" else "undecided: undertrained")
    assert answer(helps, "architecture").outcome == ("helps" if late == "raw" else "undecided")
    spared = known(e, 1.2, identity=1.0, searched=searched)
    assert headline(spared).worth == ("undecided: undertrained" if late == "raw" else "not for its attention")
    if late == "raw":
        said = verdict(loses)
        assert "trained twice as long is better by 5.0 %" in said["why"]
        assert said["converged"] == {
            "passed": False,
            "gain": 0.05,
            "sentence": "patchtst trained twice as long is better by 5.0 % on validation",
        }


def test_seeds_are_wanted_where_their_spread_binds(e):
    found = known(e, 1.2, identity=1.02)
    shifted = []
    for each in found.arms:
        if each.family == "retrained":
            levels = (0.02, -0.02, 0.0)
            results = tuple(
                dataclasses.replace(r, arrays={"mse": np.asarray(r.arrays["mse"]) + shift})
                for r, shift in zip(each.results, levels, strict=True)
            )
            shifted.append(dataclasses.replace(each, results=results))
        else:
            shifted.append(each)
    found = type(found)(**(vars_of(found) | {"arms": tuple(shifted)}))
    said = headline(found)
    assert said.reference.holds is True
    assert said.attention.holds is None
    assert said.attention.needs.binds == "seeds"
    assert arms_for_more_seeds(said, found, 20) == ["raw", "identity"]
    assert arms_for_more_seeds(headline(known(e, 1.2, identity=1.2)), found, 20) == []


def test_three_questions_in_order(e):
    found = known(e, family="post-hoc", removed=1.3, zero=1.3, identity=1.2, mean=1.0, frozen_mean=1.1, shuffled=1.3)
    asked = questions(found, "post-hoc")
    assert [q.need for q in asked] == ["needed", "needed", "not needed"]
    assert asked[2].arm == "mean"
    assert how_far(asked, "it") == "It needs tokens to see each other but does without choosing where it looks"
    only = questions(known(e, family="post-hoc", identity=1.0), "post-hoc")
    assert [q.need for q in only] == ["not asked", "not needed", "not asked"]
    assert how_far(only, "it") == "It does without tokens that see each other"
    all_of_it = questions(known(e, removed=1.3, identity=1.3, mean=1.3), "retrained")
    assert how_far(all_of_it, "it") == "It needs to choose where it looks"
    wide = known(e, 1.2, spread=0.5, family="post-hoc", removed=1.3, identity=1.02)
    said = how_far(questions(wide, "post-hoc"), "the model")
    assert (
        said
        == "The model needs what its attention sublayer adds; whether it needs tokens to see each other is undecided"
    )
    assert how_far((), "the model") == "What the model needs of attention was not asked"


def test_the_checkpoint_is_asked_the_three_questions_in_the_verdict(e):
    """One report said that the model does not rely on attention (mean) while three findings said that it does."""
    found = verdict(known(e, family="post-hoc", removed=1.3, zero=1.3, identity=1.3, mean=1.0))
    assert found["question"] == "checkpoint"
    assert [q["outcome"] for q in found["checkpoint"]["questions"]] == ["needed", "needed", "not needed"]
    assert "needs tokens to see each other but does without choosing where it looks" in found["attention"]


def test_without_attention_that_can_be_reached_the_headline_still_compares(e):
    found = verdict(known(e, 0.8))
    assert found["worth"] == "not applicable"
    assert "linear is better" in found["sentence"]
    assert found["reference"]["beaten"] is False
