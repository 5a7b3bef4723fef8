"""The audit end to end, inline: its controls, and what it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from settings import setting

from forecheck.attention.replace import Replace
from forecheck.auditing.audit import plan, run_audit
from forecheck.auditing.budget import BUDGETS, Budget, find_budget
from forecheck.auditing.catalogue import CHECKS, Selection
from forecheck.auditing.check import FAMILIES
from forecheck.auditing.edited import EDITED
from forecheck.auditing.evidence import LINEAR, Arm, Evidence
from forecheck.auditing.verdict import verdict
from forecheck.data.synthetic.recall import BLOCK, recall
from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.forecasters.base import Task
from forecheck.forecasters.patchtst import PatchTST
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.engines.local import run_local
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.store import Store
from panels import TINY, hourly

SMALL = Budget("small", (2,), False, {})
POSTHOC = [f"FC30{i}" for i in range(1, 6)]
CORE = Selection.of(["FC1", "FC2", *POSTHOC, "FC401"])


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return run_audit(
        hourly(900), "patchtst", Protocol(12, 48), SMALL, Means(store), options={"patchtst": TINY}, selection=CORE
    )


def test_the_report_is_whole(report):
    assert set(report) >= {"verdict", "findings", "protocol", "arms", "horizon", "attention", "examples", "environment"}
    assert report["verdict"]["outcome"] in ("helps", "hurts", "no difference", "undecided")
    low, high = report["verdict"]["interval"]
    assert low <= report["verdict"]["effect"] <= high
    assert report["protocol"]["trials"] == {"total": 7 + 2 + 2 + 10, "from store": 0}
    codes = [finding["code"] for finding in report["findings"]]
    assert codes == sorted(codes)
    assert {"FC101", "FC104", "FC201", "FC202", "FC301", "FC305", "FC401"} <= set(codes)


def test_the_harness_passes_its_own_checks(report):
    harness = {f["code"]: f["outcome"] for f in report["findings"] if f["family"] == "harness"}
    assert harness == dict.fromkeys(("FC101", "FC104", "FC107", "FC108", "FC110"), "pass") | {"FC111": "not applicable"}


def test_the_protocol_says_which_rules_hold_by_construction(report):
    assert report["protocol"]["harness"].startswith("the scaler is of the training rows alone; every test window is")


@pytest.mark.parametrize("tuned", [{}, {"raw": {"lr": 0.1}, "identity": {"lr": 0.3, "epochs": 7}}])
def test_all_arms_follow_one_protocol(tuned):
    planned = plan(
        prepare(hourly(), 48, 12, step=3), "patchtst", BUDGETS["standard"], {"patchtst": TINY}, 24, tuned=tuned
    )
    trials = planned.trials
    assert len({(t.data, t.split, t.lookback, t.horizon, t.step, t.period) for t in trials}) == 1
    (raw,) = planned.of("raw")
    for arm in planned.arms:
        if arm.family in ("reference", "patches"):
            continue
        assert arm.seeds <= raw.seeds
        chosen = tuned.get("raw" if arm.family != "retrained" else arm.label, {})
        assert arm.trial.config | chosen == arm.trial.config
        own = tuned.get("raw", {}) | tuned.get("identity", {})
        assert {k: v for k, v in arm.trial.config.items() if k not in own} == {
            k: v for k, v in raw.trial.config.items() if k not in own
        }


@pytest.mark.parametrize(("lookback", "period"), [(24, 24), (12, 24), (24, 1)])
def test_references_are_always_run(lookback, period):
    planned = plan(prepare(hourly(), lookback, 6), "patchtst", SMALL, {"patchtst": TINY}, period)
    labels = {arm.label for arm in planned.of("reference")}
    assert labels >= {"last", "mean", *LINEAR}


def test_borders_are_those_of_the_split(report):
    borders = {border["part"]: border for border in report["protocol"]["borders"]}
    assert borders["train"]["rows"] == 630
    assert borders["validation"]["rows"] == 90
    assert borders["test"]["rows"] == 180
    assert borders["train"]["windows"] == 630 - 48 - 12 + 1
    assert borders["test"]["windows"] == 180 - 12 + 1
    assert borders["test"]["first"] == "2024-01-31T00:00"


def test_arms_carry_what_the_store_holds(report):
    arms = {(arm["family"], arm["label"]): arm for arm in report["arms"]}
    raw = arms["raw", "patchtst"]
    edited = arms["retrained", "identity"]
    assert edited["effect"] == pytest.approx(edited["mse"] / raw["mse"] - 1)
    assert arms["post-hoc", "zero"]["seconds"] is None
    assert arms["reference", "nlinear"]["parameters"] == 48 * 12 + 12


def test_attention_maps_are_row_stochastic(report):
    assert len(report["attention"]) == 2 * 2
    for attention in report["attention"]:
        np.testing.assert_allclose(np.sum(attention["matrix"], axis=1), 1, atol=1e-3)


def test_examples_are_in_real_units(report):
    example = report["examples"][0]
    assert len(example["input"]) == 48
    assert len(example["truth"]) == 12
    assert 20 < np.mean(example["truth"]) < 80
    assert set(example["forecasts"]) >= {"patchtst", "identity"}
    assert 20 < np.mean(example["forecasts"]["patchtst"]) < 80


def test_raw_against_raw_is_never_helps_or_hurts(tmp_path):
    """The negative control: the same architecture with other seeds stands in for the replaced arm."""
    panel, store = hourly(1200, channels=1, seed=5), Store(tmp_path)
    experiment = prepare(panel, 48, 12)
    store.put_panel(panel)
    planned = plan(experiment, "patchtst", Budget("", (6,), False, {}), {"patchtst": TINY}, 24, Selection.of(["FC1"]))
    trials = planned.trials
    run_inline(trials, store)
    results = [store.get(trial) for trial in trials if trial.forecaster == "patchtst"]
    for half in ((0, 1, 2), (0, 2, 4), (1, 3, 5)):
        raw = Arm("patchtst", "raw", tuple(results[i] for i in half))
        other = Arm("raw again", "retrained", tuple(results[i] for i in set(range(6)) - set(half)))
        found = verdict(Evidence(experiment, (raw, other), planned.setting))
        assert found["outcome"] in ("no difference", "undecided")


def test_attention_that_must_help_is_found_to_help(tmp_path):
    """The positive control: the target repeats an earlier patch that a cue points at."""
    learner = {
        "patch": BLOCK,
        "stride": BLOCK,
        "width": 32,
        "heads": 2,
        "hidden": 32,
        "layers": 1,
        "dropout": 0.0,
        "norm": "layer",
        "residual_scores": False,
        "epochs": 12,
        "batch": 64,
        "lr": 5e-3,
        "schedule": "onecycle",
    }
    report = run_audit(
        recall(8000),
        "patchtst",
        Protocol(BLOCK, 4 * BLOCK, step=BLOCK),
        replace(SMALL, looks=(3,)),
        Means(Store(tmp_path), run_local),
        options={"patchtst": learner},
        selection=CORE,
    )
    found = report["verdict"]
    assert (found["outcome"], found["question"]) == ("helps", "architecture")
    assert found["interval"][0] > 0.1
    assert found["checkpoint"]["outcome"] == "helps"
    # Edits that keep where attention looks but not what it looks for take the gain away as well.
    outcomes = {f["code"]: f["outcome"] for f in report["findings"]}
    assert outcomes["FC304"] == "helps"
    assert outcomes["FC202"] == "pass"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nlinaer": {"ridge": "0"}}, "options are set for nlinaer, which this audit does not run"),
        ({"patchtst": {"patch": "60"}}, "patch must lie between 1 and the lookback 48, got 60"),
        ({"patchtst": {"epochs": "0"}}, "epochs must be positive, got 0"),
        ({"patchtst": {"layers": "0"}}, "layers must be positive, got 0"),
    ],
)
def test_what_cannot_be_built_is_refused_before_the_work(tmp_path, options, message):
    def run(trials, store):
        raise AssertionError("nothing may be run")

    with pytest.raises(UsageError, match=message):
        run_audit(hourly(), "patchtst", Protocol(12, 48), SMALL, Means(Store(tmp_path), run), options=options)


def test_a_model_without_attention_cannot_be_audited(tmp_path):
    with pytest.raises(UsageError, match="nlinear has no attention to audit"):
        run_audit(hourly(), "nlinear", Protocol(12, 48), SMALL, Means(Store(tmp_path)))


@pytest.mark.parametrize("margin", [0, -0.1, 1])
def test_margins_out_of_range(tmp_path, margin):
    with pytest.raises(UsageError, match="margin must lie between 0 and 1"):
        run_audit(hourly(), "patchtst", Protocol(12, 48, margin=margin), SMALL, Means(Store(tmp_path)))


def test_options_of_the_user_win_over_the_budget():
    train = prepare(hourly(9000, channels=1), 336, 96, "8000+500+500").train
    task = Task(336, 96, 1)
    chosen = BUDGETS["quick"].options(PatchTST, task, train, {"epochs": "3"})
    assert chosen == {
        "epochs": "3",
        "lr": 1e-3,
        "schedule": "onecycle",
        "batch": 32,
        "train_stride": 3,
        "average": 1,
        "keep": "mean",
    }


def test_small_windows_are_seen_more_often_and_apart_ones_are_not_skipped():
    budget = BUDGETS["quick"]
    panel = hourly(9000, channels=1)
    wide = budget.options(PatchTST, Task(336, 96, 7), prepare(panel, 336, 96, "8000+500+500").train, {})
    small = budget.options(PatchTST, Task(48, 6, 1), prepare(panel, 48, 6, "8000+500+500").train, {})
    assert wide["epochs"] < small["epochs"]
    apart = budget.options(PatchTST, Task(48, 6, 1), prepare(panel, 48, 6, "8000+500+500", 6).train, {})
    assert apart["train_stride"] == 1


def test_budgets_that_do_not_exist():
    with pytest.raises(UsageError, match="no budget is called 'huge'"):
        find_budget("huge")


def test_two_audits_share_their_fits(tmp_path):
    store = Store(tmp_path)
    arguments = (hourly(), "patchtst", Protocol(12, 48), SMALL, Means(store))
    asked = {"options": {"patchtst": TINY}}
    without = Selection.of(POSTHOC)
    first = run_audit(*arguments, **asked, selection=without)
    second = run_audit(*arguments, **asked, selection=CORE)
    assert first["verdict"]["question"] == "checkpoint"
    assert second["verdict"]["question"] == "architecture"
    assert second["protocol"]["trials"] == {"total": 21, "from store": 19}


def test_every_check_has_its_own_code_and_family():
    assert list(CHECKS) == sorted(check.code for check in CHECKS.values())
    assert all(check.family == FAMILIES[code[:3]] for code, check in CHECKS.items())
    modes = {check.code: edit.mode for check in EDITED for edit in check.edits if isinstance(edit, Replace)}
    assert modes == {
        "FC301": "identity",
        "FC302": "zero",
        "FC303": "mean",
        "FC304": "frozen-mean",
        "FC305": "shuffled",
        "FC401": "identity",
        "FC402": "zero",
        "FC403": "mean",
        "FC404": "fixed",
        "FC405": "shuffled",
    }


def test_attention_that_is_not_ours_is_not_retrained(experiment_of_waves):
    """A forecaster made of another library's attention must not be trained unedited in the place of an edited arm."""
    foreign = setting(experiment_of_waves, native=False)
    for code in ("FC401", "FC406"):
        assert "after training only" in CHECKS[code].why_not(foreign)
    with pytest.raises(UsageError, match="no attention of forecheck's own"):
        Replace("identity").install(torch.nn.TransformerEncoderLayer(8, 2), torch.zeros(2, 4, 8))


@pytest.fixture
def experiment_of_waves():
    return prepare(hourly(), 48, 12)
