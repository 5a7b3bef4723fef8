"""The calibration against scipy, statsmodels and an earlier simulation; every part at its smallest."""

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.tsa.stattools import acovf

from forecheck.calibration import (
    context,
    decisions,
    equivalence,
    folds,
    losses,
    negative,
    positive,
    run,
    sequential,
    size,
)
from forecheck.calibration.result import Calibration, Check, Part, Table
from forecheck.data.synthetic import events
from forecheck.errors import UsageError
from forecheck.statistics.inference import mean_over_seeds
from forecheck.trials.engines.base import Silent
from forecheck.trials.means import Means
from forecheck.trials.store import Store

SMALLEST = context.Scale(
    "smallest",
    simulations=20,
    bootstraps=5,
    decisions=4,
    negative=2,
    real_seeds=6,
    splits=4,
    positive=1,
    events=1,
    event_windows=60,
    equivalence=1,
    settings=1,
)


class Noting(Silent):
    """Notes what is reported of parts."""

    def __init__(self):
        self.parts = []

    def part(self, name, done, total):
        self.parts.append((name, done, total))


@pytest.fixture
def at(tmp_path):
    """A context that keeps everything in the test's folder."""
    watcher = Noting()
    return context.Context(SMALLEST, Means(Store(tmp_path / "store"), watcher=watcher)), watcher.parts


def stored(made, kind="calibration"):
    """Files of the records of one kind."""
    return list(made.means.store.root.glob(f"{kind}/*/*/result.json"))


@pytest.fixture
def quick_fits(monkeypatch):
    """Fits that are over in a moment: what they say is not what these tests are about."""
    for module in (negative, equivalence):
        monkeypatch.setattr(module, "TINY", negative.TINY | {"epochs": 1, "train_stride": 8})


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_losses_are_means_of_the_steps_that_windows_share():
    d = losses.overlapping_losses(np.random.default_rng(0), 400, 300, 5)
    assert d.shape == (400, 300)
    correlations = losses.autocovariances(d, 7).mean(axis=0)
    np.testing.assert_allclose(correlations / correlations[0], [1, 0.8, 0.6, 0.4, 0.2, 0, 0], atol=0.03)
    assert d.var() == pytest.approx(1 / 5, rel=0.05)
    remembered = losses.overlapping_losses(np.random.default_rng(0), 400, 300, 1, memory=0.9)
    assert remembered.var() == pytest.approx(1 / (1 - 0.81), rel=0.1)


def test_autocovariances_are_those_of_statsmodels(rng):
    d = rng.standard_normal((3, 57))
    expected = [acovf(row, nlag=9, fft=False) for row in d]
    np.testing.assert_allclose(losses.autocovariances(d, 10), expected, rtol=1e-9, atol=1e-12)


def test_the_tests_are_their_formulas(rng):
    d = 0.3 + losses.overlapping_losses(rng, 200, 60, 4)
    for row, *rejected in zip(
        d, losses.diebold_mariano(d, 4), losses.bartlett(d, 4), losses.naive(d, 4), losses.stride(d, 4), strict=True
    ):
        gamma, n, h = acovf(row, nlag=3, fft=False), 60, 4
        dm = row.mean() / math.sqrt((gamma[0] + 2 * gamma[1:].sum()) / n)
        weighted = row.mean() / math.sqrt((gamma[0] + 2 * sum((1 - k / h) * gamma[k] for k in (1, 2, 3))) / n)
        hln = weighted * math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
        assert rejected == [
            2 * stats.norm.sf(abs(dm)) < 0.05,
            2 * stats.t.sf(abs(hln), n - 1) < 0.05,
            stats.ttest_1samp(row, 0).pvalue < 0.05,
            stats.ttest_1samp(row[::4], 0).pvalue < 0.05,
        ]


def test_the_bootstrap_of_single_steps_is_about_the_t_test(rng):
    d = rng.standard_normal((300, 80))
    assert losses.block_bootstrap(d, 1, rng).mean() == pytest.approx(0.05, abs=0.04)
    assert losses.block_bootstrap(d + 1, 7, rng).all()
    assert losses.block_bootstrap(d[:0], 7, rng).shape == (0,)


def test_sizes_are_the_published_ones_where_few_repetitions_can_tell():
    published = dict(zip(size._COLUMNS, size.EARLIER[500, 24], strict=True))
    for name, (hits, count) in size.simulate(500, 24, 0.0, 600, 60).items():
        if name in published:
            assert size.agree(hits / count, count, published[name], 300), name


@pytest.mark.parametrize(("ours", "expected"), [(0.05, True), (0.0, False), (0.1, False)])
def test_agreement_is_within_the_error_of_both(ours, expected):
    assert size.agree(ours, 10_000, 0.05, 1000) is expected
    # With few repetitions on either side more is within the error.
    assert size.agree(0.1, 40, 0.05, 1000)


def test_shares_have_wilsons_interval():
    check = Check.share("x", 3, 40, 0.05)
    assert (check.low, check.high) == pytest.approx(proportion_confint(3, 40, 0.05, "wilson"))
    assert check.passed is False
    assert Check.share("x", 2, 40, 0.05).passed is True
    assert Check.share("x", 39, 40, 0.95, above=True).passed is True
    assert Check.share("x", 37, 40, 0.95, above=True).passed is False
    assert Check.share("x", 3, 40, 0.05, required=False).passed is None
    assert Check.share("x", 3, 40, 0.05, strict=False).passed is True  # the interval begins below
    assert Check.share("x", 13, 40, 0.05, strict=False).passed is False
    assert Check.share("x", 37, 40, 0.95, above=True, strict=False).passed is True


@pytest.mark.parametrize("seeds", [3, 5])
def test_two_way_differences_have_the_spread_they_say(seeds):
    rng = np.random.default_rng(1)
    means = [decisions.two_way(rng, seeds, 2.0, 120, 8).mean() for _ in range(1500)]
    assert np.std(means) == pytest.approx(math.sqrt(1 + 2.0**2), rel=0.06)
    within = [mean_over_seeds(decisions.two_way(rng, seeds, 0.0, 480, 8), 8).se for _ in range(200)]
    assert np.mean(within) == pytest.approx(1, rel=0.15)


def test_decisions_are_right_where_it_is_easy():
    assert decisions.outcomes(0.0, 0.0005, 3, 6) == {"equivalent": 6}
    assert decisions.outcomes(0.05, 0.0005, 3, 6) == {"greater": 6}
    assert decisions.outcomes(-0.05, 0.0005, 3, 6) == {"less": 6}
    assert decisions.equivalence_power(29, 0.1, 5) == 5
    assert decisions.equivalence_power(4, 0.1, 5) == 0  # too little to decide anything


def test_false_decisions_depend_on_the_truth():
    said = {"greater": 3, "less": 1, "equivalent": 5, "undecided": 1}
    assert [entry[:2] for entry in decisions.false_answers(said, 0.0)] == [("helps or hurts", 4)]
    assert [entry[:2] for entry in decisions.false_answers(said, 0.01)] == [
        ("greater than the margin", 3),
        ("equivalent", 5),
    ]
    assert decisions.false_answers(said, -0.01)[0][:2] == ("less than the margin", 1)


def test_what_is_finished_is_stored(at, tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"hits": (1, 2)}

    assert at[0].once({"a": 1}, make) == {"hits": [1, 2]}
    again = replace(at[0], means=Means(Store(at[0].means.store.root)))
    assert again.once({"a": 1}, make) == {"hits": [1, 2]}
    assert len(calls) == 1
    again.once({"a": 2}, make)
    assert len(calls) == 2
    for path in stored(at[0]):
        path.write_text(path.read_text()[:-9])  # cut off
    assert at[0].once({"a": 1}, make) == {"hits": [1, 2]}
    assert len(calls) == 3


def test_what_other_code_decided_does_not_count(at, monkeypatch):
    at[0].once({"a": 1}, lambda: "before")
    monkeypatch.setattr("forecheck.trials.record.fingerprint", lambda *modules: "another")
    assert at[0].once({"a": 1}, lambda: "after") == "after"


class StopsAtTheFourth(Silent):
    """Breaks at the fourth (n, H)."""

    def part(self, name, done, total):
        if done == 3:
            raise ZeroDivisionError


def test_an_interrupted_part_goes_on(at):
    made, _ = at
    stopped = replace(made, means=replace(made.means, watcher=StopsAtTheFourth()))
    with pytest.raises(ZeroDivisionError):
        size.run_size(stopped)
    assert len(stored(made)) == 3
    whole = size.run_size(made)
    again = size.run_size(replace(made, means=Means(Store(made.means.store.root))))
    assert again == whole
    assert len(stored(made)) == 12 + 11 * 3  # our test alone has cells of its own


def test_our_sizes_cover_short_horizons_and_memory(at):
    part = size.run_size(at[0])
    names = [check.name for check in part.checks]
    for horizon, memory in ((1, 0.0), (1, 0.9), (4, 0.5), (24, 0.9), (96, 0.0)):
        assert any(f"H {horizon}, AR({memory:g})" in name for name in names)
    assert not any("n 300, H 96" in name for name in names)  # three stretches: no verdict there
    assert size.our_size(300, 4, 0.9, 400) / 400 < 0.12


def test_stopping_when_it_is_decided():
    assert sequential.stopped(0.05, 0.0005, 1.0, 6) == {"greater": [6, 6 * 3]}  # the first look is enough
    undecided = sequential.stopped(0.01, 0.01, 1.0, 6)
    assert sum(times for times, _ in undecided.values()) == 6
    assert undecided["undecided"][1] == 20 * undecided["undecided"][0]


def test_a_stopping_procedure_that_errs_is_refused(at, monkeypatch):
    part = sequential.run_sequential(at[0])
    assert [check.count for check in part.checks] == [SMALLEST.decisions] * len(part.checks)
    assert len(part.tables[0].rows) == len(sequential.SIDES) * len(sequential.ERRORS) * len(sequential.SPREADS)
    monkeypatch.setattr(sequential, "spend", lambda looks: (0.4,) * len(looks))
    said = sequential.stopped(0.01, 0.002, 3.0, 60)
    assert said.get("undecided", [0])[0] < 30


def test_folds_that_differ_for_all_seeds_alike_are_not_covered(at):
    rng = np.random.default_rng(0)
    assert folds.fold_differences(rng, 4, folds.Levels(1.0, 0.9)).shape == (1, 4 * folds.COUNT)
    assert folds.fold_differences(rng, 4, folds.Levels(luck=1.0)).shape == (folds.SEEDS, 4 * folds.COUNT)
    steady, luck, changing = (
        folds.fold_size(4, levels, 300) / 300
        for levels in (folds.Levels(3.0, 1.0), folds.Levels(luck=3.0), folds.Levels(3.0, 0.0))
    )
    assert max(steady, luck) < 0.1
    assert changing > 0.3
    part = folds.run_folds(at[0])
    reported = [check.name for check in part.checks if not check.required]
    assert len(reported) == 4 * len(folds.FOLDS)


def test_raw_against_raw_of_fresh_panels(at, quick_fits):
    made, reported = at
    part = negative.run_negative(made)
    assert [check.count for check in part.checks] == [2, 2, 2, 2]
    assert reported[-1] == ("negative", 2, 2)
    first, second = negative.season_panel(0), negative.season_panel(1)
    assert first.fingerprint == negative.season_panel(0).fingerprint != second.fingerprint
    entries = [json.loads(path.read_text()) for path in stored(made)]
    assert len(entries) == 2
    assert all(-0.5 < entry["value"]["truth"] < 1 for entry in entries)
    results = [json.loads(path.read_text()) for path in stored(made, "trial")]
    assert sorted(result["described"]["seed"] for result in results) == list(range(12))  # each repetition its own


@pytest.mark.parametrize(
    ("outcome", "truth", "wrong"),
    [
        ("helps", 0.005, True),
        ("helps", 0.02, False),
        ("hurts", 0.0, True),
        ("hurts", -0.02, False),
        ("no difference", 0.5, False),
    ],
)
def test_a_verdict_is_false_if_fresh_data_do_not_bear_it_out(outcome, truth, wrong):
    assert negative._beyond_truth({"outcome": outcome, "margin": 0.01}, truth) is wrong


def test_splits_are_disjoint_threes_each_pair_once():
    found = negative.splits(6, 100)
    assert len(found) == len(set(found)) == 10
    assert all(not set(raw) & set(other) for raw, other in found)
    assert len(negative.splits(12, 50)) == 50


def test_real_data_that_are_not_here_are_refused(at, monkeypatch, tmp_path):
    monkeypatch.setenv("FORECHECK_DATA", str(tmp_path))
    part = negative.run_real(at[0])
    assert "ETTh1 is not on this machine" in part.skipped
    assert part.checks == []
    said = negative.describe_real(Counter({"helps": 1, "undecided": 3}), [0.4, 0.41])
    assert said.checks[0].value == 0.25


def test_models_equal_by_construction_make_no_difference(at, quick_fits):
    part = equivalence.run_equivalence(at[0])
    named = {check.name: check for check in part.checks}
    assert len(named) == len(equivalence.VARIANTS)
    assert all(check.passed for check in part.checks)
    effects = {row[0]: row[1] for row in part.tables[0].rows}
    assert effects["trained again with the same seed"] == "+0.0000 to +0.0000 %"
    assert effects["loss + 0.1 %"] != "+0.0000 to +0.0000 %"


def small(control, **options):
    """The control with a tiny model, so that it is not audited with the defaults of the command line."""
    chosen = (control.options or {}) | {"epochs": 1, "width": 8, "hidden": 8, "heads": 2, "layers": 1} | options
    return replace(control, options=chosen)


@pytest.mark.parametrize(("name", "data"), [("recall", positive.recall.recall), ("lag", positive.lag.lag)])
def test_positive_controls_run(at, monkeypatch, name, data):
    control = replace(small(positive.CONTROLS[name]), panel=lambda seed: data(120, seed), retrained=("identity",))
    monkeypatch.setitem(positive.CONTROLS, name, control)
    monkeypatch.setattr(positive, "SEEDS", 2)
    part = positive.run_positive(at[0], name)
    assert part.checks[0].name == "the model learns the task"
    assert len(part.tables[0].rows) == 1


def test_power_is_counted_where_the_task_is_learnt():
    def one(raw, outcome, checkpoint="helps"):
        arms = [("raw", "itransformer", raw), ("reference", "linear", 1.0), ("reference", "last", 2.0)]
        arms += [("retrained", mode, 1.0) for mode in positive.LAG.retrained]
        arms = [{"family": f, "label": label, "mse": v, "mse_real": v, "effect": 0.0} for f, label, v in arms]
        said = {"outcome": outcome, "effect": 1, "interval": [0, 2], "checkpoint": checkpoint, "worth": "yes"}
        return said | {"arms": arms, "seconds": 9.0, "fits": 3}

    part = positive.describe(positive.LAG, [one(0.1, "helps"), one(0.2, "undecided", "hurts"), one(0.9, "hurts")])
    assert [(check.value, check.count) for check in part.checks] == [(2 / 3, 3), (1 / 3, 3), (0.5, 2)]


def test_the_event_set_runs(at, monkeypatch):
    whole = positive._events
    monkeypatch.setattr(positive, "_events", lambda windows: replace(small(whole(windows)), retrained=("identity",)))
    monkeypatch.setattr(positive, "SEEDS", 2)
    part = positive.run_events(at[0])
    assert [row[1] for row in part.tables[0].rows] == ["raw", "identity", "best closed-form linear"]
    assert part.checks[1].passed is None


def test_the_share_of_the_achievable_gain():
    assert positive.gain(events.OPTIMUM) == 1
    assert positive.gain(events.AVERAGE_EVENT) == 0
    assert positive.gain(events.NO_EVENT) < 0


def test_a_sum_over_events_is_as_good_as_the_optimum():
    """So the event set needs no attention in a model whose head adds up its tokens."""
    assert positive.additive_error() == pytest.approx(events.OPTIMUM, abs=0.0001)


def test_a_calibration_is_written_down(tmp_path):
    checks = [Check.share("a | b", 1, 20, 0.05), Check.share("reported", 9, 20, 0.05, required=False)]
    part = Part("p", "A part", "What it does.", checks, [Table("Details", ("x", "y"), [("1", "2")], "A note.")])
    found = Calibration([part, Part("q", "Other", "About.", skipped="no data.")], {"budget": "quick"})
    assert found.passed
    text = found.to_markdown(tmp_path / "c.md")
    assert (tmp_path / "c.md").read_text() == text
    assert "| a / b | at most 5.0 % | 5.0 % | 0.9 % to 23.6 % | 20 | pass |" in text
    assert "| reported |  | 45.0 % |" in text
    assert "Not run: no data." in text
    plain = json.loads(found.to_json(tmp_path / "c.json"))
    assert plain["passed"] is True
    assert [check["passed"] for check in plain["parts"][0]["checks"]] == [True, None]
    failed = replace(found, parts=[replace(part, checks=[Check.share("a", 9, 20, 0.05)])])
    assert not failed.passed
    assert "NOT all pass" in failed.to_markdown()


def test_unknown_names_are_refused_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="no part is called 'sise'"):
        run.run_calibration("quick", Means(Store(tmp_path)), only=["sise"])
    with pytest.raises(UsageError, match="no budget is called 'huge'"):
        run.run_calibration("huge", Means(Store(tmp_path)))
