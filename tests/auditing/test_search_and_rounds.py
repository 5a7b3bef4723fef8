"""The search that every arm gets, and seeds that are added until it is decided; all fits are made up."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.auditing.audit import run_audit
from forecheck.auditing.budget import Budget, Candidate, Clock, find_budget, read_duration, typed
from forecheck.auditing.catalogue import Selection
from forecheck.auditing.plan import plan
from forecheck.auditing.search import search
from forecheck.data.windows import prepare
from forecheck.errors import TrialError, UsageError
from forecheck.reports.report import Report
from forecheck.trials.engines.base import Silent
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.store import Store
from panels import TINY, hourly

WAYS = (Candidate(), Candidate(3.0, dropout=False))
BUDGET = Budget("made", (3, 5, 8), False, {}, None, WAYS, 3, None)
CHOSEN = {key: value for key, value in TINY.items() if key not in ("lr", "epochs", "dropout")}
CORE = Selection.of(["FC107", "FC110", "FC111", "FC2", "FC401"])


class MadeUp:
    """An engine whose fits have the losses that they are told to have, and take a second each."""

    def __init__(self, panel, validation=lambda trial: 1.0, test=lambda trial: 1.0, noise=0.02):
        self.panel, self.validation, self.test, self.noise = panel, validation, test, noise
        self.ran = []

    def __call__(self, trials, store):
        for trial in trials:
            if trial not in store:
                self.ran.append(trial)
                store.put(trial, *self.result(trial))

    def result(self, trial):
        e = prepare(self.panel, trial.lookback, trial.horizon, trial.split, trial.step)
        # Not by the address, which changes with the code.
        described = (trial.forecaster, trial.seed, trial.edit, trial.split, sorted(trial.config.items()))
        rng = np.random.default_rng(zlib.crc32(repr(described).encode()))
        mse = self.test(trial) + self.noise * rng.standard_normal((len(e.test), e.test.channels))
        examples = np.zeros((min(6, len(e.test)), trial.horizon, e.test.channels))
        summary = {
            "mse": float(mse.mean()),
            "mae": 1.0,
            "mse_real": 1.0,
            "mae_real": 1.0,
            "validation_mse": self.validation(trial),
            "scoring_seconds": 0.0,
            "fit": {"seconds": 1.0, "parameters": 1, "details": {}},
            "harness": {"batch_difference": 0.0},
            "versions": {},
            "threads": 1,
        }
        return summary, {"mse": mse, "mae": mse, "horizon_mse": np.ones(trial.horizon), "examples": examples}


def epochs(trial):
    return trial.config["epochs"]


def planned_on(panel):
    return prepare(panel, 48, 12)


def searched(tmp_path, engine, budget=BUDGET, clock=None, bar=0.0, **chosen):
    planned = plan(planned_on(engine.panel), "patchtst", budget, {"patchtst": CHOSEN | chosen}, 24, CORE)
    store = Store(tmp_path)
    store.put_panel(engine.panel)
    asked = {"chosen": CHOSEN | chosen, "margin": 0.01, "bar": bar}
    found = search(planned, budget, Means(store, engine), clock or Clock(None), **asked)
    return found, planned


def test_training_is_doubled_until_that_gains_nothing(tmp_path):
    own = 100  # PatchTST's epochs
    engine = MadeUp(hourly(900), lambda trial: 1.0 if epochs(trial) < 4 * own else 0.999)
    gains = {own: 1.0, 2 * own: 0.9, 4 * own: 0.8, 8 * own: 0.799}
    engine.validation = lambda trial: gains[epochs(trial)]
    found, _ = searched(tmp_path, engine)
    assert {arm: options["epochs"] for arm, options in found.tuned.items()} == {"raw": 4 * own, "identity": 4 * own}
    assert found.converged("raw")
    assert found.gains["raw"] == pytest.approx(1 - 0.799 / 0.8)
    assert not any(trial.seed for trial in engine.ran)
    per_arm = {arm: sorted(str(one.options) for one in found.tried if one.arm == arm) for arm in found.tuned}
    assert len(set(map(len, per_arm.values()))) == 1


def test_all_arms_are_trained_as_long_as_the_slowest(tmp_path):
    own = 100
    slow = {own: 1.0, 2 * own: 0.9, 4 * own: 0.899}
    engine = MadeUp(hourly(900), lambda trial: slow[epochs(trial)] if trial.edit else 0.5)
    found, _ = searched(tmp_path, engine)
    assert {options["epochs"] for options in found.tuned.values()} == {2 * own}


def test_a_lead_is_not_trained_on(tmp_path):
    """The model is far ahead and still learning; what is behind it has converged."""
    engine = MadeUp(hourly(900), lambda trial: 1.0 if trial.edit else 0.5 / epochs(trial) ** 0.1)
    found, _ = searched(tmp_path, engine, bar=1.0)
    assert {options["epochs"] for options in found.tuned.values()} == {100}
    assert not found.converged("raw")
    behind, _ = searched(tmp_path / "behind", engine, bar=0.1)
    assert {options["epochs"] for options in behind.tuned.values()} == {800}


def test_a_lead_that_only_the_longer_fit_has_is_trained_on(tmp_path):
    """The recall task is learnt all at once: not by the first length, far ahead of the reference by the second."""
    learnt = {100: 0.99, 200: 0.8, 400: 0.75, 800: 0.7}
    engine = MadeUp(hourly(900), lambda trial: 1.0 if trial.edit else learnt[epochs(trial)])
    found, _ = searched(tmp_path, engine, bar=1.0)
    assert {options["epochs"] for options in found.tuned.values()} == {200}


def test_every_arm_chooses_its_way_of_training_on_validation(tmp_path):
    def validation(trial):
        plain = trial.config["dropout"] == 0
        return (0.8 if plain else 1.0) if trial.edit is None else (1.0 if plain else 0.9)

    found, planned = searched(tmp_path, MadeUp(hourly(900), validation))
    lr = planned.setting.config["lr"]
    assert found.tuned["raw"]["lr"] == pytest.approx(3 * lr)
    assert found.tuned["raw"]["dropout"] == 0
    assert found.tuned["identity"]["lr"] == pytest.approx(lr)
    # What the raw model chose must not reach the other arm.
    tuned = plan(planned_on(hourly(900)), "patchtst", BUDGET, {"patchtst": CHOSEN}, 24, CORE, tuned=found.tuned)
    configs = {arm.family: arm.trial.config for arm in tuned.of("raw", "retrained")}
    assert configs["raw"]["dropout"] == 0
    assert configs["retrained"]["dropout"] == planned.setting.config["dropout"] > 0
    assert sum(row["chosen"] for row in found.rows()) == 2


def test_what_the_user_chose_is_not_searched(tmp_path):
    engine = MadeUp(hourly(900), lambda trial: 1 / epochs(trial))
    found, _ = searched(tmp_path, engine, epochs=5, lr=0.01, dropout=0.2)
    assert {trial.config["lr"] for trial in engine.ran} == {0.01}
    assert {trial.config["dropout"] for trial in engine.ran} == {0.2}
    assert {options["epochs"] for options in found.tuned.values()} == {5}
    assert not found.converged("raw"), "convergence is measured all the same"


class Still(Clock):
    """A clock that stands."""

    seconds = 0.0


def test_what_the_time_does_not_allow_is_left_and_refused(tmp_path):
    engine = MadeUp(hourly(900), lambda trial: 1 / epochs(trial))
    found, _ = searched(tmp_path, engine, clock=Still(1.0))
    assert {options["epochs"] for options in found.tuned.values()} == {100}
    assert not found.converged("identity")
    assert found.ended.by == "time"
    # Two fits a length that take 2 s: the other way, the check of twice that, two further seeds; a tenth in reserve.
    assert found.ended.needs == pytest.approx(10 / 0.9)
    asked, _ = searched(tmp_path / "asked", engine, clock=Still(read_duration(typed(found.ended.needs))))
    assert {options["epochs"] for options in asked.tuned.values()} == {800}, "as its fits take no longer for that"
    assert asked.ended.by == "doublings"


@pytest.mark.parametrize(("time", "by"), [(1.0, "time"), (1e6, "doublings")])
def test_an_audit_says_what_ended_its_search_and_what_would_let_it_go_on(tmp_path, time, by):
    engine = MadeUp(hourly(600), lambda trial: 1 / trial.config.get("epochs", 1), test=losses(0.5, 1.2))
    report = audited(tmp_path, engine, replace(BUDGET, time=time))
    said, found = report["verdict"], report["verdict"]["ended"]["search"]
    assert said["worth"] == "undecided: undertrained"
    assert found["by"] == by
    assert (found["time"] is None) == (by == "doublings")
    finding = next(finding for finding in report["findings"] if finding["code"] == "FC111")
    shown = " ".join(Report(report).to_text(100).split())
    advice = f"--time {found['time']}" if by == "time" else "--set patchtst.epochs=1600"
    assert all(advice in text for text in (said["why"], finding["advice"], shown))
    for text in (said["why"], said["converged"]["sentence"], finding["advice"].lower(), shown):
        assert ("the time ended the search" in text) == ("--time" in text) == (by == "time")


def test_a_way_of_training_that_diverges_is_not_chosen(tmp_path):
    class Diverges(MadeUp):
        def __call__(self, trials, store):
            for trial in trials:
                if trial.config.get("dropout") == 0:
                    raise TrialError("the training loss is nan")
                super().__call__([trial], store)

    found, planned = searched(tmp_path, Diverges(hourly(900)))
    assert {options["lr"] for options in found.tuned.values()} == {planned.setting.config["lr"]}
    assert all(np.isfinite(one.validation_mse) for one in found.tried)


def test_an_arm_that_cannot_be_trained_at_all_ends_the_search(tmp_path):
    class Broken(MadeUp):
        def __call__(self, trials, store):
            raise TrialError("the training loss is nan")

    with pytest.raises(TrialError, match="nan"):
        searched(tmp_path, Broken(hourly(900)))


class Hears(Silent):
    """Notes what a person would be told."""

    def __init__(self, said):
        self.said = said

    def say(self, line):
        self.said.append(line)


def audited(tmp_path, engine, budget, said=None, folds=1):
    protocol = Protocol(12, 48, folds=folds)
    means = Means(Store(tmp_path), engine, watcher=Hears([] if said is None else said))
    return run_audit(engine.panel, "patchtst", protocol, budget, means, options={"patchtst": CHOSEN}, selection=CORE)


def losses(reference, identity, spread=0.0):
    """Loss of a trial, with a spread between the seeds of the retrained arm."""

    def test(trial):
        if trial.forecaster != "patchtst":
            return reference
        return identity + spread * (1, -1, 0)[trial.seed % 3] if trial.edit else 1.0

    return test


def test_an_arm_that_diverges_where_the_model_does_not_had_less_of_a_search(tmp_path):
    class Diverges(MadeUp):
        def __call__(self, trials, store):
            for trial in trials:
                if trial.edit is not None and trial.config.get("dropout") == 0:
                    raise TrialError("the training loss is nan")
                super().__call__([trial], store)

    def same_search(engine, folder):
        report = audited(tmp_path / folder, engine, replace(BUDGET, doublings=1))
        return next(finding for finding in report["findings"] if finding["code"] == "FC110")

    assert same_search(MadeUp(hourly(900)), "fair")["outcome"] == "pass"
    finding = same_search(Diverges(hourly(900)), "diverges")
    assert finding["outcome"] == "fail"
    assert "the arms tried" in finding["meaning"]


def test_a_decided_audit_stops_after_the_first_round(tmp_path):
    engine = MadeUp(hourly(1200), test=losses(1.3, 1.2))
    report = audited(tmp_path, engine, BUDGET)
    assert report["verdict"]["worth"] == "yes"
    assert report["protocol"]["seeds"] == [0, 1, 2]
    assert report["protocol"]["stopped"] == "both questions are decided"
    assert report["protocol"]["search"]


def test_seeds_are_added_while_their_spread_binds(tmp_path):
    engine = MadeUp(hourly(1200), test=losses(1.3, 1.04, spread=0.02), noise=0.005)
    report = audited(tmp_path, engine, BUDGET)
    assert len(report["protocol"]["seeds"]) > 3
    retrained = [arm for arm in report["arms"] if arm["family"] == "retrained"]
    assert retrained[0]["seeds"] == len(report["protocol"]["seeds"])


def test_the_arm_whose_question_is_decided_gets_no_more_seeds(tmp_path):
    def test(trial):
        if trial.forecaster != "patchtst":
            return 1.04
        return 1.5 if trial.edit else 1.0 + 0.02 * (1, -1, 0)[trial.seed % 3]

    report = audited(tmp_path, MadeUp(hourly(1200), test=test, noise=0.005), BUDGET)
    seeds = {arm["family"]: arm["seeds"] for arm in report["arms"]}
    assert seeds["raw"] > seeds["retrained"] == 3


def test_no_seeds_are_added_where_the_windows_bind(tmp_path):
    engine = MadeUp(hourly(1200), test=losses(1.3, 1.03), noise=0.6)
    report = audited(tmp_path, engine, BUDGET)
    assert report["protocol"]["seeds"] == [0, 1, 2]
    assert report["protocol"]["stopped"] == "the seeds of the declared looks would not decide it"


def test_no_round_is_begun_that_the_time_does_not_allow(tmp_path, monkeypatch):
    engine = MadeUp(hourly(1200), test=losses(1.3, 1.04, spread=0.02), noise=0.005)
    monkeypatch.setattr("forecheck.auditing.rounds.work_of", lambda results: 1e6)
    report = audited(tmp_path, engine, replace(BUDGET, time=100.0, doublings=0))
    assert report["protocol"]["seeds"] == [0, 1, 2]
    assert report["protocol"]["stopped"] == "the time is spent"
    assert "no seeds were added as the time is spent (--time " in report["verdict"]["why"]
    found = report["verdict"]["ended"]["rounds"]
    assert found["by"] == "time"
    # Two further seeds of both arms, which take 1e6 s a fit (as said for all that an arm has).
    assert read_duration(found["time"]) == pytest.approx(4 * 1e6 / 3 / 0.9, rel=0.01)


def test_intervals_of_later_looks_are_wider(tmp_path):
    one_look = replace(BUDGET, looks=(3,), doublings=0)
    several = replace(BUDGET, looks=(3, 5, 8), doublings=0)
    found = {}
    for name, budget in (("one", one_look), ("several", several)):
        engine = MadeUp(hourly(1200), test=losses(1.3, 1.2, spread=0.01))
        low, high = audited(tmp_path / name, engine, budget)["verdict"]["interval"]
        found[name] = high - low
    assert found["several"] > found["one"]


def test_folds_pool_their_test_parts(tmp_path):
    panel = hourly(3000)
    engine = MadeUp(panel, test=losses(1.3, 1.2))
    said = []
    report = audited(tmp_path, engine, replace(BUDGET, doublings=0), said, folds=2)
    assert report["protocol"]["folds"] == 2
    assert report["verdict"]["architecture"]["blocks"] == pytest.approx(2 * (600 - 11) / 12, abs=0.1)
    assert {trial.split for trial in engine.ran} == set(report["protocol"]["splits"])
    assert "2 folds of about 589 windows are 98 independent stretches" in said[0]
    assert report["verdict"]["worth"] == "yes"


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (30, 30), ("5 min", 300)])
def test_durations(text, seconds):
    assert read_duration(text) == seconds
    assert find_budget("quick", text).time == seconds


@given(st.floats(0, 1e7))
def test_a_duration_is_rounded_up_to_one_that_is_typed(seconds):
    text = typed(seconds)
    assert seconds <= read_duration(text) <= max(10, 2 * seconds)
    assert len(text) <= 5


@pytest.mark.parametrize("text", ["", "ten minutes", "-5m", "10", 0, -1])
def test_no_durations(text):
    with pytest.raises(UsageError, match="time"):
        find_budget("quick", text)


def test_what_can_be_resolved_is_refused_before_training(tmp_path):
    said = []
    engine = MadeUp(hourly(1200), test=losses(1.3, 1.2), noise=0.3)
    report = audited(tmp_path, engine, BUDGET, said)
    assert said == [report["verdict"]["resolution"]]
    assert said[0].startswith("229 windows are 19 independent stretches: differences above about ±")
    assert "with --folds 3 above ±" in said[0]
    trained = [trial.forecaster for trial in engine.ran].index("patchtst")
    assert trained == 7, "the references come first"


def test_too_little_test_data_is_refused_before_training(tmp_path):
    said = []
    report = audited(tmp_path, MadeUp(hourly(400)), BUDGET, said)
    assert "fewer than the 8 that a verdict needs" in said[0]
    assert report["verdict"]["worth"] == "undecided"
    assert "independent stretches" in report["verdict"]["why"]
