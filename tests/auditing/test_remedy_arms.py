"""Remedies side by side: which trials they need, and what their losses are made to say."""

from dataclasses import replace

import numpy as np
import pytest
from made import arm, evidence, experiment
from only import SMALL
from settings import setting

from forecheck.auditing.audit import plan, run_audit
from forecheck.auditing.catalogue import Selection
from forecheck.auditing.evidence import Arm
from forecheck.auditing.remedies import compare_remedies, treatments
from forecheck.auditing.setting import Place
from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.reports.report import Report
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.store import Store
from panels import TINY, hourly

LITTLE = TINY | {"layers": 1, "epochs": 1}
LINEAR = Selection.of(["FC202"])


@pytest.fixture(scope="module")
def data():
    return experiment(hourly(900))


def arms_of(data, **levels):
    """Arms of every remedy: levels of loss raw, as the identity and as the mean."""
    return {
        (name, mode): replace(arm(data, f"{name} {mode}", "remedy", level), label=name)
        for name, three in levels.items()
        for mode, level in zip(("raw", "identity", "mean"), three, strict=True)
    }


def test_a_model_without_patterns_is_measured_against_nothing_in_their_place(data):
    seen = evidence(data, [arm(data, "nlinear", "reference", 0.98, seeds=1)])
    place = Place(0, "mixer", 2, 24, 24, no_pattern="it mixes frequencies")
    seen = replace(seen, setting=replace(seen.setting, places=(place,)))
    arms = {
        (name, mode): replace(arm(data, f"{name} {mode}", "remedy", level), label=name)
        for name, both in {"none": (1.0, 1.02), "sgd": (0.97, 1.1)}.items()
        for mode, level in zip(("raw", "zero"), both, strict=True)
    }
    found = compare_remedies(seen, arms)
    assert found["without"] == "zero"
    assert found["rows"][0]["growth"]["outcome"] == "grows"
    assert found["rows"][0]["over_mean"] is None


def compared(data, linear=0.98, **levels):
    seen = evidence(data, [arm(data, "nlinear", "reference", linear, seeds=1)])
    return compare_remedies(seen, arms_of(data, **levels))


def test_the_words_of_growth(data):
    found = compared(
        data,
        linear=0.97,
        none=(1.0, 1.02, 1.01),
        sam=(0.9, 1.1, 1.0),
        rope=(1.5, 1.52, 1.5),
        sgd=(0.97, 0.9, 1.0),
    )
    rows = {row["name"]: row for row in found["rows"]}
    assert {name: row["growth"]["outcome"] for name, row in rows.items()} == {
        "sam": "grows",
        "rope": "does not grow",
        "sgd": "shrinks",
    }
    assert {name: row["against_base"]["outcome"] for name, row in rows.items()} == {
        "sam": "better",
        "rope": "worse",
        "sgd": "better",
    }
    assert {name: row["against_linear"]["outcome"] for name, row in rows.items()} == {
        "sam": "better",
        "rope": "worse",
        "sgd": "no difference",
    }
    assert rows["sam"]["contribution"]["outcome"] == "helps"
    assert rows["sgd"]["contribution"]["outcome"] == "hurts"
    assert found["base"]["contribution"]["outcome"] == "helps"
    assert (found["without"], found["linear"]) == ("identity", "nlinear")


def test_the_numbers_are_differences_of_mean_losses_relative_to_those_without_a_remedy(data):
    arms = arms_of(data, none=(1.0, 1.05, 1.02), sgd=(0.8, 1.0, 0.9))
    seen = evidence(data, [arm(data, "nlinear", "reference", 0.9, seeds=1)])
    found = compare_remedies(seen, arms)
    (row,) = found["rows"]
    loss = {key: seen.losses(each).mean() for key, each in arms.items()}
    base = loss["none", "raw"]
    gain = {name: (loss[name, "identity"] - loss[name, "raw"]) / base for name in ("none", "sgd")}
    assert found["base"]["contribution"]["effect"] == pytest.approx(gain["none"])
    assert row["contribution"]["effect"] == pytest.approx(gain["sgd"])
    assert row["growth"]["effect"] == pytest.approx(gain["sgd"] - gain["none"])
    assert row["over_mean"]["effect"] == pytest.approx((loss["sgd", "mean"] - loss["sgd", "raw"]) / base)
    assert row["against_base"]["effect"] == pytest.approx(loss["sgd", "raw"] / base - 1)
    linear = seen.losses(seen.best_reference(("nlinear",))).mean()
    assert row["against_linear"]["effect"] == pytest.approx(loss["sgd", "raw"] / linear - 1)
    assert row["mse"] == pytest.approx(arms["sgd", "raw"].mean("mse"))
    for answer in (row["growth"], row["contribution"], row["against_base"], row["against_linear"]):
        assert answer["interval"][0] < answer["effect"] < answer["interval"][1]
        assert answer["seeds"] == 2


def test_growth_is_paired_so_that_what_all_arms_share_does_not_widen_it(data):
    """Windows and seeds that are hard for every arm cancel out."""
    rng = np.random.default_rng(0)
    shared = [30 * rng.standard_normal((len(data.test), 1)) ** 2 for _ in range(2)]

    def harder(each):
        results = tuple(
            replace(result, arrays={"mse": result.arrays["mse"] + more})
            for result, more in zip(each.results, shared, strict=True)
        )
        return Arm(each.label, each.family, results)

    levels = {"none": (1.0, 1.05, 1.02), "sgd": (0.8, 1.0, 0.9)}
    plain = evidence(data)
    easy = compare_remedies(plain, arms_of(data, **levels))
    hard = compare_remedies(plain, {key: harder(each) for key, each in arms_of(data, **levels).items()})
    scale = 1 + np.mean(shared)

    def width(found):
        low, high = found["rows"][0]["growth"]["interval"]
        return high - low

    assert width(hard) * scale == pytest.approx(width(easy), rel=1e-2)
    assert hard["linear"] is None
    assert hard["rows"][0]["against_linear"] is None


def test_several_remedies_have_to_clear_a_higher_bar(data):
    grown = {"sgd": (1.0, 1.0122, 1.0)}
    others = dict.fromkeys(("sam", "rope", "vq", "vq-tuned", "recency", "mlp-patches"), (1.0, 1.0, 1.0))
    alone = compared(data, none=(1.0, 1.0, 1.0), **grown)["rows"][0]["growth"]
    among = compared(data, none=(1.0, 1.0, 1.0), **others, **grown)["rows"][-1]["growth"]
    assert (alone["outcome"], among["outcome"]) == ("grows", "undecided")
    assert "not after the correction over the 7 arms" in among["why"]
    assert among["effect"] == alone["effect"]


def planned(remedies, selection=LINEAR, model="patchtst"):
    cut = prepare(hourly(600), 24, 6)
    return plan(cut, model, SMALL, {model: LITTLE} if model == "patchtst" else {}, 24, selection, remedies)


def test_without_remedies_nothing_is_added():
    assert planned(()).treated == ()


def test_only_what_the_comparison_needs_is_planned():
    both, none = planned(("sgd", "sam")), planned(())
    added = {trial.address: trial for trial in both.trials if trial.address not in {t.address for t in none.trials}}
    assert [(name, mode) for name, mode, _ in both.treated] == [
        (name, mode) for name in ("none", "sgd", "sam") for mode in ("raw", "identity", "mean")
    ]
    # For each of two seeds: the base model twice without attention, each remedy with it and twice without.
    assert len(added) == 2 * (2 + 3 + 3)
    assert {trial.config["optimizer"] for trial in added.values()} == {"adam", "sgd"}
    assert {trial.config["sam"] for trial in added.values()} == {0.0, 0.5}
    assert {trial.seed for trial in added.values()} == {0, 1}
    assert not any(trial.posthoc for trial in added.values())


def test_arms_that_checks_want_are_shared():
    with_check = planned(("sgd",), Selection.of(["FC401", "FC403"]))
    once = {trial.address for trial in with_check.trials}
    assert once == {trial.address for trial in planned(("sgd",), Selection.of(["FC202"])).trials}


def test_attention_to_another_sequence_is_replaced_by_the_mean_alone(data):
    crossing = setting(data, places=(Place(0, "cross", 2, 5, 7),))
    treated = treatments(replace(crossing, config={**LITTLE, "optimizer": "adam", "clip": None}), ["sgd"])
    assert [(each.remedy, each.mode) for each in treated] == [
        ("none", "raw"),
        ("none", "mean"),
        ("sgd", "raw"),
        ("sgd", "mean"),
    ]


@pytest.mark.parametrize(
    ("known", "names", "message"),
    [
        ({}, ["sam", "sam"], "the remedy 'sam' is named twice"),
        ({}, ["hope"], "no remedy is called 'hope'"),
        ({"external": True}, ["sam"], "cannot take a remedy: it was trained elsewhere"),
        ({"native": False}, ["sam"], "cannot take a remedy: its attention is not forecheck's own"),
        ({"places": (), "why_not": "it has none"}, ["sam"], "cannot take a remedy: it has none"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_the_work(data, known, names, message):
    with pytest.raises(UsageError, match=message):
        treatments(setting(data, **known), names)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """An audit with two remedies, and the same one without, from the same store."""
    store = Store(tmp_path_factory.mktemp("store"))

    def audit(*remedies):
        return run_audit(
            hourly(600),
            "patchtst",
            Protocol(6, 24),
            SMALL,
            Means(store),
            options={"patchtst": LITTLE},
            selection=Selection.of(["FC401", "FC202"]),
            remedies=remedies,
        )

    return audit("sgd", "drift-correction"), audit()


def test_an_audit_puts_remedies_side_by_side(reports):
    report, _ = reports
    found = report["remedies"]
    assert [row["name"] for row in found["rows"]] == ["sgd", "drift-correction"]
    assert found["base"]["mse"] == next(a["mse"] for a in report["arms"] if a["family"] == "raw")
    assert len({found["base"]["mse"], *(row["mse"] for row in found["rows"])}) == 3
    for row in found["rows"]:
        assert row["growth"]["outcome"] in ("grows", "does not grow", "shrinks", "undecided")
        assert row["seconds"] > 0


def test_remedies_do_not_enter_the_verdict_or_the_arms(reports):
    report, plain = reports
    assert "remedies" not in plain
    for part in ("verdict", "findings", "arms"):
        assert report[part] == plain[part]
    assert plain["protocol"]["trials"]["from store"] == plain["protocol"]["trials"]["total"]


def test_every_form_of_the_report_shows_them(reports):
    report = Report(reports[0])
    for shown in (report.to_text(200, verbose=True), report.to_markdown(), report.to_html()):
        assert all(name in shown for name in ("against no remedy", "grows?", "drift-correction", "sgd"))
    assert 'id="remedies"' in report.to_html()
    assert 'id="remedies"' not in Report(reports[1]).to_html()
