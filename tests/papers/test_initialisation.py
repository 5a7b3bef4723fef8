"""Measures on regression tasks with a prior mean, and the label slot of series; judges fed with made-up rows."""

import numpy as np
import pytest

from forecheck.papers.claim import Verdict
from forecheck.papers.experiment import Bench
from forecheck.papers.in_context.theory.autoregressive import Autoregression
from forecheck.papers.in_context.theory.optimum import gap
from forecheck.papers.initialisation import claims, experiments, series, series_claims
from forecheck.trials.store import Store


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


def test_heads_are_measured_on_fresh_tasks(bench, monkeypatch):
    monkeypatch.setattr(experiments, "HEADS", (1, 2))
    monkeypatch.setattr(experiments, "TEST", 2000)
    found = experiments.heads(bench, mean=2.0, seed=0, tasks=2000, sweeps=5)
    assert found["heads"] == [1, 2]
    assert found["errors"][1] < found["errors"][0]
    assert found["errors"][1] > found["step from the mean"] == pytest.approx(10 * 11 / 21)
    assert found["step from zero"] == pytest.approx(50 * 11 / 21)  # (d + |mean|^2)(d + 1) / (C + d + 1)


def test_the_explicit_weights_are_a_step(bench):
    assert experiments.exact(bench, mean=2.0, seed=1)["difference"] < 1e-10


def test_training_lowers_the_error_and_learns_the_guess(bench, monkeypatch):
    monkeypatch.setattr(experiments, "TEST", 2000)
    found = experiments.trained(bench, mean=1.0, guess=True, seed=0, steps=30)
    assert found["curve"][-1][1] < found["curve"][0][1]
    assert 0.05 < found["learnt guess"] < 1.2
    without = experiments.trained(bench, mean=1.0, guess=False, seed=0, steps=2)
    assert without["learnt guess"] == 0


def test_the_slot_of_series(bench):
    found = series.slot(bench, "AR(2)", columns=20, windows=2000, repeats=2)
    assert found["difference"] < 1e-12
    assert np.mean(found["zero"]) == pytest.approx(gap(1.0, 20), rel=0.2)
    # p sigma^2 / N of least squares on one series, over the explained variance.
    source = Autoregression.scalar(np.array([series.PROCESSES["AR(2)"]]))
    explained = source.autocovariances(1)[0, 0, 0, 0] - 1
    assert np.mean(found["guess"]) < 10 * 2 / series.SERIES / explained
    assert all(0 <= correction <= guess for correction, guess in zip(found["correction"], found["guess"], strict=True))


def heads_rows(errors, step=5.0):
    settings = {"heads": [1, 2, 11], "any number": errors[-1], "step from the mean": step, "step from zero": 26.0}
    return [
        settings | {"mean": mean, "errors": [error * f for error in errors]}
        for mean in (1.0, 2.0)
        for f in (0.999, 1.0, 1.001)
    ]


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [((9.0, 7.0, 6.0), Verdict.CONFIRMED), ((4.0, 4.5, 5.0), Verdict.REFUTED), ((9.0, 7.0, 5.0), Verdict.UNEVEN)],
)
def test_heads_are_judged_by_fall_and_floor(errors, verdict):
    assert claims.judge_heads({"heads": heads_rows(errors)}).verdict is verdict


@pytest.mark.parametrize(("difference", "verdict"), [(1e-14, Verdict.CONFIRMED), (1e-3, Verdict.REFUTED)])
def test_the_closure_is_judged_by_its_difference(difference, verdict):
    assert claims.judge_exact({"exact": [{"difference": difference}]}).verdict is verdict


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [((5.0, 5.0), Verdict.CONFIRMED), ((7.0, 7.0), Verdict.REFUTED), ((5.0, 7.0), Verdict.UNEVEN)],
)
def test_training_is_judged_beside_the_step(errors, verdict):
    reported = {"step from the mean": 5.0, "step on the same tasks": 5.0, "learnt guess": 1.0, "value ratio": -1.0}
    rows = [
        reported | {"mean": mean, "guess": guess, "error": error * f, "learnt step": 0.5, "curve": [(1, 9.0), (2, 6.0)]}
        for mean, error in zip((1.0, 2.0), errors, strict=True)
        for guess in (True, False)
        for f in (0.999, 1.0, 1.001)
    ]
    assert claims.judge_trained({"trained": rows}).verdict is verdict


@pytest.mark.parametrize(
    ("difference", "guess", "verdict"),
    [(1e-15, 1e-4, Verdict.CONFIRMED), (0.1, 0.05, Verdict.REFUTED), (1e-15, 0.05, Verdict.UNEVEN)],
)
def test_the_slot_is_judged_by_equality_and_gap(difference, guess, verdict):
    row = {"process": "AR(1)", "columns": 25, "difference": difference, "correction": [0.0] * 3}
    row |= {"zero": [0.07, 0.071, 0.072], "guess": [guess * f for f in (0.9, 1.0, 1.1)]}
    assert series_claims.judge_slot({"slot": [row]}).verdict is verdict
