"""Audits of a model whose sublayers have no pattern: what can be asked is asked, the rest says why not."""

from dataclasses import replace

from made import arm, evidence, experiment
from only import SMALL

from forecheck.auditing.audit import plan
from forecheck.auditing.catalogue import Selection
from forecheck.auditing.verdict import verdict
from panels import hourly

TINY = {"width": 8, "heads": 2, "hidden": 16, "layers": 1, "label": 8, "modes": 5, "moving_average": "6"}


def planned(data):
    return plan(data, "fedformer", SMALL, {"fedformer": TINY}, 24, Selection.of(["FC3", "FC4", "FC6", "FC7"]))


def test_every_check_is_planned_or_says_why_not():
    data = experiment(hourly(300))
    found = planned(data)
    assert [place.path for place in found.setting.places] == ["encoder.0.mixer", "decoder.0.mixer", "decoder.0.cross"]
    assert not found.setting.beside
    whys = {check.code: check.why_not(found.setting) for check in found.checks}
    asked = {code for code, why in whys.items() if not why}
    assert {"FC302", "FC306", "FC402", "FC406", "FC310", "FC311", "FC701", "FC702", "FC707"} <= asked
    assert "identity is undefined" in whys["FC301"]
    without = (
        "FC303",
        "FC304",
        "FC305",
        "FC307",
        "FC308",
        "FC309",
        "FC403",
        "FC404",
        "FC405",
        "FC601",
        "FC703",
        "FC706",
    )
    assert all("has no pattern: its tokens are frequencies" in whys[code] for code in without)
    labels = {each.label for each in found.of("post-hoc", "retrained", "perturbation", "heads")}
    assert not [label for label in labels if label.startswith(("mean", "identity", "shuffled", "frozen", "smooth"))]


def test_a_verdict_from_its_sublayers_alone():
    data = experiment()
    arms = [arm(data, label, "post-hoc", 1.2) for label in ("zero", "remove attention")]
    seen = evidence(data, [*arms, arm(data, "nlinear", "reference", 1.1, seeds=1)])
    seen = replace(seen, setting=replace(seen.setting, places=planned(data).setting.places))
    found = verdict(seen)
    assert found["sentence"].startswith("Yes: ")
    asked = {each["question"]: each["outcome"] for each in found["checkpoint"]["questions"]}
    assert (asked["mixing"], asked["choice"]) == ("not asked", "not asked")
    assert "needs what its attention sublayer adds" in found["checkpoint"]["how_far"]
