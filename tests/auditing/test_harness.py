"""The harness checks fail when the rule they watch over is broken."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from settings import setting

from forecheck.auditing import harness, trained
from forecheck.auditing.evidence import Arm, Evidence
from forecheck.auditing.protocol import Finding
from forecheck.auditing.verdict import answer, verdict
from forecheck.data.scaling import Scaler
from forecheck.data.splits import PARTS, origins
from forecheck.data.splits import Borders as Splits
from forecheck.data.windows import prepare
from forecheck.trials.store import Result
from forecheck.trials.trial import Trial
from panels import gappy, hourly, ragged, staggered

SUMMARY = {
    "mse": 1.0,
    "mae": 0.8,
    "validation_mse": 1.0,
    "fit": {"seconds": 1.0, "parameters": 5, "details": {}},
    "harness": {"batch_difference": 1e-7, "test_rows_hidden_from_fit": True},
    "attention": {"identity_error": 0.0, "adapter": "native", "layers": 1},
}


def arm(experiment, label="patchtst", family="raw", level=1.0, seeds=2, spread=0.0, **summary):
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.standard_normal((len(experiment.test), experiment.test.channels))
    results = []
    for seed in range(seeds):
        test = experiment.test
        trial = Trial(experiment.panel.fingerprint, experiment.split, test.lookback, test.horizon, label, seed=seed)
        losses = level + noise + spread * (seed - (seeds - 1) / 2)
        found = SUMMARY | {"mse": float(losses.mean())} | summary
        results.append(Result(trial, found, {"mse": losses, "horizon_mse": np.ones(test.horizon)}, Path()))
    return Arm(label, family, tuple(results))


PANELS = {
    "one series": (hourly(), 1),
    "ragged": (ragged(), 1),
    "steps": (hourly(), 3),
    "staggered": (staggered((300, 150, 50), (0, 100, 250)), 1),
    "staggered steps": (staggered((300, 150), (0, 101)), 5),
    "filled": (gappy(hourly(), 0.3), 1),
    "filled staggered steps": (gappy(staggered((300, 150), (0, 101)), 0.8), 2),
}


@pytest.fixture(params=PANELS)
def experiment(request):
    panel, step = PANELS[request.param]
    return prepare(panel, 24, 6, step=step)


def run(check, experiment, *arms) -> Finding:
    return check.run(evidence(experiment, *(arms or (arm(experiment), *references(experiment)))))


def references(experiment):
    return [arm(experiment, name, "reference", seeds=1) for name in ("last", "nlinear")]


def evidence(experiment, *arms, **known):
    return Evidence(experiment, arms, setting(experiment, **known))


@pytest.mark.parametrize("check", harness.CHECKS, ids=lambda check: check.code)
def test_a_fair_audit_passes(check, experiment):
    assert run(check, experiment).outcome == "pass"


def test_codes_are_stable():
    checks = (*harness.CHECKS, *trained.CHECKS)
    assert {check.code: type(check).__name__ for check in checks} == {
        "FC101": "Borders",
        "FC102": "ScalerLeak",
        "FC103": "LastBatch",
        "FC104": "BatchSize",
        "FC105": "TestUnseen",
        "FC106": "SameProtocol",
        "FC107": "Seeds",
        "FC108": "AdapterIdentity",
        "FC109": "ReferencesPresent",
        "FC110": "SameSearch",
        "FC111": "Converged",
    }


def test_shared_target_rows_fail(experiment):
    early = replace(experiment.test, origins=experiment.test.origins - 12)
    assert run(harness.Borders(), replace(experiment, test=early)).outcome == "fail"


def test_series_that_are_cut_by_their_own_rows_fail():
    """Weights are shared: what one series is tested on, another was trained on."""
    panel = staggered((300, 200), (0, 250))
    borders = Splits(*((panel.lengths * share).astype(int) for share in (0.7, 0.8, 1.0)))
    whole = prepare(panel, 24, 6)
    cut = {part: origins(panel, borders, part, 24, 6) for part in PARTS}
    parts = {part: replace(whole.part(part), origins=cut[part]) for part in PARTS}
    finding = run(harness.Borders(), replace(whole, borders=borders, **parts))
    assert finding.outcome == "fail"
    assert "0 are in two parts" in finding.meaning
    assert "test targets begin at 2024-08-28T00:00, validation targets end at 2025-02-13T00:00" in finding.meaning


def test_a_window_beyond_its_series_fails(experiment):
    late = experiment.test.origins.copy()
    late[-1] += 3
    assert run(harness.Borders(), replace(experiment, test=replace(experiment.test, origins=late))).outcome == "fail"


def test_a_scaler_that_saw_later_rows_fails(experiment):
    p = experiment.panel
    parts = [p.values[p.series_rows(s)] for s in range(len(p.series))]
    leaky = Scaler(np.stack([v.mean(axis=0) for v in parts]), np.stack([v.std(axis=0) for v in parts]))
    assert run(harness.ScalerLeak(), replace(experiment, scaler=leaky)).outcome == "fail"


def test_a_dropped_batch_fails(experiment):
    raw = arm(experiment)
    cut = replace(raw.results[0], arrays={"mse": raw.results[0].arrays["mse"][:-5]})
    finding = run(harness.LastBatch(), experiment, Arm("patchtst", "raw", (cut, raw.results[1])))
    assert finding.outcome == "fail"
    assert str(len(experiment.test)) in finding.meaning


def test_dependence_on_the_batch_fails(experiment):
    bad = arm(experiment, harness={"batch_difference": 0.01, "test_rows_hidden_from_fit": True})
    assert run(harness.BatchSize(), experiment, bad).outcome == "fail"


def test_arms_that_mix_windows_by_design_are_left_out(experiment):
    bad = arm(experiment, "shuffled", "retrained", harness={"batch_difference": 0.3, "test_rows_hidden_from_fit": True})
    assert run(harness.BatchSize(), experiment, arm(experiment), bad).outcome == "pass"


def test_a_fit_that_saw_the_test_part_fails(experiment):
    bad = arm(experiment, harness={"batch_difference": 0.0, "test_rows_hidden_from_fit": False})
    assert run(harness.TestUnseen(), experiment, bad).outcome == "fail"


def test_arms_of_other_protocols_fail(experiment):
    raw, other = arm(experiment), arm(experiment, "identity", "retrained")
    moved = tuple(replace(r, trial=replace(r.trial, seed=r.trial.seed + 7)) for r in other.results)
    assert run(harness.SameProtocol(), experiment, raw, Arm("identity", "retrained", moved)).outcome == "fail"
    longer = tuple(replace(r, trial=replace(r.trial, lookback=99)) for r in other.results)
    assert run(harness.SameProtocol(), experiment, raw, Arm("identity", "retrained", longer)).outcome == "fail"
    sparser = tuple(replace(r, trial=replace(r.trial, step=9)) for r in other.results)
    assert run(harness.SameProtocol(), experiment, raw, Arm("identity", "retrained", sparser)).outcome == "fail"


def test_one_seed_fails(experiment):
    assert run(trained.Seeds(), experiment, arm(experiment, seeds=1)).outcome == "fail"


def test_an_adapter_that_changes_the_forecast_fails(experiment):
    bad = arm(experiment, attention={"identity_error": 0.01, "adapter": "native", "layers": 1})
    assert run(harness.AdapterIdentity(), experiment, bad).outcome == "fail"


def test_an_audit_without_references_fails(experiment):
    assert run(harness.ReferencesPresent(), experiment, arm(experiment)).outcome == "fail"
    only_naive = arm(experiment), references(experiment)[0]
    assert run(harness.ReferencesPresent(), experiment, *only_naive).outcome == "fail"


def test_an_arm_that_was_trained_longer_fails(experiment):
    raw, other = arm(experiment), arm(experiment, "identity", "retrained")
    longer = tuple(replace(r, trial=replace(r.trial, config={"epochs": 99})) for r in other.results)
    assert run(trained.SameSearch(), experiment, raw, Arm("identity", "retrained", longer)).outcome == "fail"
    more = arm(experiment, "identity", "retrained", seeds=5)
    assert run(harness.SameProtocol(), experiment, raw, more).outcome == "fail"
    other_patch = tuple(replace(r, trial=replace(r.trial, config={"patch": 99})) for r in other.results)
    assert run(trained.SameSearch(), experiment, raw, Arm("patch 99", "patches", other_patch)).outcome == "pass"


def test_what_cannot_be_known_of_a_given_model_is_not_applicable(experiment):
    known = evidence(experiment, arm(experiment, seeds=1), *references(experiment), given=True)
    outcomes = {check.code: check.run(known) for check in (*harness.CHECKS, *trained.CHECKS)}
    unknown = {code for code, finding in outcomes.items() if finding.outcome != "pass"}
    assert unknown == {"FC105", "FC107", "FC110", "FC111"}
    assert "trained elsewhere" in outcomes["FC105"].why


@pytest.mark.parametrize(
    ("levels", "outcome", "deciding"),
    [
        ({"identity": 1.2, "mean": 1.3}, "helps", "identity"),
        ({"identity": 1.2, "mean": 1.0}, "no difference", "mean"),
        ({"identity": 1.2, "mean": 0.8}, "hurts", "mean"),
        ({"identity": 1.2, "mean": 1.0101}, "undecided", "mean"),
    ],
)
def test_the_verdict_asks_for_every_replacement(levels, outcome, deciding):
    experiment = prepare(hourly(), 24, 6)
    arms = [arm(experiment)]
    arms += [arm(experiment, name, "retrained", level, spread=0.001) for name, level in levels.items()]
    known = evidence(experiment, *arms)
    found = answer(known, "architecture")
    assert (found.outcome, found.arm) == (outcome, deciding)
    assert answer(known, "checkpoint") is None
    words = {"helps": "Attention helps", "hurts": "Attention hurts", "no difference": "Attention makes no difference"}
    assert verdict(known)["attention"].startswith(words.get(outcome, "Undecided"))


def test_the_best_reference_is_chosen_on_validation():
    experiment = prepare(hourly(), 24, 6)
    good = arm(experiment, "nlinear", "reference", 0.5, seeds=1, validation_mse=0.9)
    better = arm(experiment, "rlinear", "reference", 0.7, seeds=1, validation_mse=0.6)
    found = verdict(evidence(experiment, arm(experiment), arm(experiment, "identity", "retrained"), good, better))
    assert found["linear"]["name"] == "rlinear"  # lower on validation, though worse on the test part
    assert found["linear"]["outcome"] == "better"
    assert "--model rlinear" in found["advice"]
