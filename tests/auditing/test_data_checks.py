import json
from dataclasses import replace

import numpy as np
import pytest
from made import arm, evidence, experiment, measured
from only import audited

from forecheck.auditing.data import (
    CHECKS,
    FilledValues,
    LinearR2,
    LossBySign,
    NearConstantWindows,
    SentinelValues,
    SignInconsistent,
)
from forecheck.probes.series import target_spread
from forecheck.trials.store import Store
from panels import hourly


def view(inconsistent=2.0, consistent=1.0, share=0.3):
    mse = {
        name: {"forecaster": loss, "last": 3.0, "zero": 4.0}
        for name, loss in (("inconsistent", inconsistent), ("consistent", consistent))
    }
    return {"share": share, "first_step_share": 0.1, "ties": 0.0, "mse": mse}


def signs(e, label="patchtst", **kw):
    arrays = {f"{name}_share": np.linspace(0.1, 0.4, 6) for name in ("level", "difference")}
    return measured(e, {"level": view(**kw), "difference": view(**kw)}, arrays=arrays, label=label)


def test_shares_are_told_with_their_curves():
    e = experiment()
    finding = SignInconsistent().run(evidence(e, measures={("signs", "patchtst"): signs(e)}))
    assert (finding.outcome, finding.severity) == ("pass", "info")
    assert "30.0 % of the steps" in finding.meaning
    assert finding.details["chart"]["series"][0]["y"][-1] == pytest.approx(40)


def test_steps_without_a_class_have_no_point():
    e = experiment()
    results = signs(e)
    results[0].arrays["level_share"][2] = np.nan
    finding = SignInconsistent().run(evidence(e, measures={("signs", "patchtst"): results}))
    assert finding.details["chart"]["series"][0]["y"][2] is None


def test_losses_stand_beside_the_linear_reference_chosen_on_validation():
    e = experiment()
    arms = [arm(e, "nlinear", "reference", validation=2.0), arm(e, "rlinear", "reference", validation=1.0)]
    measures = {("signs", "patchtst"): signs(e)}
    measures |= {("signs", "nlinear"): signs(e, "nlinear", inconsistent=100.0)}
    measures |= {("signs", "rlinear"): signs(e, "rlinear", inconsistent=1.0, consistent=2.0)}
    finding = LossBySign().run(evidence(e, arms, measures))
    assert finding.details["table"]["columns"][:3] == ["steps", "patchtst", "rlinear"]
    assert finding.details["ratios"]["level inconsistent"] == 2.0
    assert finding.details["ratios"]["difference consistent"] == 0.5
    assert "+100.0 % on level inconsistent" in finding.meaning
    alone = LossBySign().run(evidence(e, measures={("signs", "patchtst"): signs(e)}))
    assert "No linear reference" in alone.meaning


@pytest.mark.parametrize(("share", "outcome"), [(0.5, "pass"), (1.5, "fail")])
def test_r2_is_over_both_spreads(share, outcome):
    e = experiment()
    spread = target_spread(e.test)
    linear = arm(e, "nlinear", "reference", level=share * spread["last"], spread=0)
    finding = LinearR2().run(evidence(e, [linear]))
    assert finding.outcome == outcome
    _, last, variance = finding.details["table"]["rows"][0]
    assert last == pytest.approx(1 - share)
    assert variance == pytest.approx(1 - share * spread["last"] / spread["mean"])
    assert LinearR2().run(evidence(e)) is None


def test_codes_are_an_error_with_place_and_time():
    panel = hourly()
    panel.values[[100, 130], 1] = -9999
    finding = SentinelValues().run(evidence(experiment(panel)))
    assert (finding.outcome, finding.severity) == ("fail", "error")
    assert finding.meaning == "-9999 in c1, 2 rows, first at row 100 (2024-01-05T04:00:00)."
    assert finding.details["table"]["rows"] == [["c1", -9999.0, 2, 100, "2024-01-05T04:00:00"]]
    assert SentinelValues().run(evidence(experiment())).outcome == "pass"


def test_stuck_channels_are_named():
    panel = hourly()
    panel.values[50:150, 1] = 51.0
    finding = NearConstantWindows().run(evidence(experiment(panel)))
    assert (finding.outcome, finding.severity) == ("fail", "warning")
    assert finding.meaning.startswith("1 of 2 channels has")
    # Of 391 windows the 77 that begin at rows 50 to 126.
    assert finding.details["table"]["rows"] == [["c1", "19.7 %", "0.0 %"]]
    assert NearConstantWindows().run(evidence(experiment())).outcome == "pass"


@pytest.mark.parametrize(
    ("rows", "outcome", "shares"),
    [
        ([], "pass", None),
        (range(100, 120), "pass", ["2.5 %", "0.0 %", "0.0 %", "0.0 %"]),  # 20 of 396 rows, one channel of two
        (range(470, 500), "fail", ["0.0 %", "8.3 %", "8.3 %", "10.9 %"]),
    ],
)
def test_filled_values_are_counted_by_part(rows, outcome, shares):
    panel = hourly()
    holes = np.zeros(panel.values.shape, dtype=bool)
    holes[list(rows), 1] = True
    finding = FilledValues().run(evidence(experiment(replace(panel, filled=holes, fill="last") if rows else panel)))
    assert finding.outcome == outcome
    assert finding.severity == ("warning" if outcome == "fail" else "info")
    if shares is None:
        assert finding.meaning == "No value was filled."
        return
    table = dict(finding.details["table"]["rows"])
    assert list(table) == ["train targets", "validation targets", "test targets", "test inputs"]
    assert list(table.values()) == shares
    assert f"{len(rows)} values were missing and have been filled (last)" in finding.meaning


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_attention_is_not_needed(check):
    assert not check.why_not(evidence(experiment(), places=(), why_not="none").setting)


def test_windows_of_one_step_say_so():
    e = experiment()
    results = measured(e, {"why_not": "windows of one step have no last difference"})
    assert SignInconsistent().run(evidence(e, measures={("signs", "patchtst"): results})).outcome == "not applicable"


def test_an_audit_has_them_all(tmp_path):
    panel = hourly(700)
    panel.values[[10, 20], 0] = -9999
    found, report = audited(CHECKS, panel, Store(tmp_path))
    assert {code: each["outcome"] for code, each in found.items() if each["severity"] != "info"} == {"FC804": "fail"}
    assert sorted(found) == [f"FC80{i}" for i in range(1, 7)]
    assert len(found["FC802"]["details"]["ratios"]) == 4
    assert report["protocol"]["trials"]["total"] == 7 + 2 + 2 + 4  # signs of two seeds and four linear references
    json.dumps(found, allow_nan=False)
