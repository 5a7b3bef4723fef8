"""Measures of linear attention on series against closed forms, and judges fed with made-up rows."""

import numpy as np
import pytest
import torch

from forecheck.papers.claim import Verdict
from forecheck.papers.experiment import Bench
from forecheck.papers.in_context import gap, gap_claims, learning, learning_claims, rolling, rolling_claims, series
from forecheck.papers.in_context.theory.linear_self_attention import hankel
from forecheck.papers.in_context.theory.optimum import least_squares_in_context
from forecheck.trials.store import Store


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


def test_prompts_hold_the_best_forecast_and_what_came_next():
    made = series.draw_prompts("AR(2)", 30, 4000, seed=0)
    missed = made.target - made.best
    assert missed.square().mean().item() == pytest.approx(1.0, rel=0.1)  # the innovations' variance
    assert abs((missed * made.query[:, -1]).mean().item()) < 0.1
    assert made.gram.shape == (4000, 3, 3)


def test_regression_in_context_is_the_theorys():
    windows = torch.randn(5, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    phi = torch.tensor([0.6, -0.3], dtype=torch.float64)
    found = series.in_context_regression(series.prompts_of(windows, phi))
    torch.testing.assert_close(found, least_squares_in_context(hankel(windows[:, :-1], 2)))


def test_gaps_are_shares_of_the_explained_variance(bench):
    found = gap.gaps(bench, "AR(1) 0.8", "normal", columns=20, windows=4000, repeats=2)
    assert found["explained"] == pytest.approx(0.64 / 0.36)
    assert found["predicted"] == pytest.approx(2 / 22)
    assert np.mean(found["closed form"]) == pytest.approx(2 / 22, rel=0.1)
    for least, head in zip(found["relaxed on others"], found["fitted head"], strict=True):
        assert 0.7 * head < least < 1.05 * head
    # p sigma^2 / N of one long series.
    assert np.mean(found["on the series"]) < 10 / gap.SERIES
    assert found["in context, first order"] == pytest.approx(1 / 20 / found["explained"])


def test_many_processes_of_one_lag_and_unit_variance_are_recovered(bench):
    assert max(gap.many(bench, 1, True, processes=200, repeats=2)["shares"]) < 1e-9
    assert min(gap.many(bench, 1, False, processes=200, repeats=2)["shares"]) > 0.05


def test_roll_outs_of_the_process_have_its_expected_errors(bench):
    found = rolling.rollouts(bench, "AR(1) 0.9", 40, histories=1500, repeats=1)
    assert found["own error, expected"][0] == pytest.approx(0.19)
    assert found["own error, expected"][-1] == pytest.approx(1.0, abs=0.01)
    for horizon in (0, 4, 20):
        expected = found["own error, expected"][horizon]
        # Histories that diverge are left out of both, so the two differ a little.
        assert found["own errors"][0][horizon] == pytest.approx(expected, rel=0.15)
    assert found["own sizes"][0][9] == pytest.approx(0.6745 * 0.9**10, rel=0.1)
    assert found["collapse"][0] < found["own collapse"][0]
    assert 0 < found["diverging"][0] < 0.2


def test_training_as_published(bench, monkeypatch):
    monkeypatch.setattr(learning, "SERIES", 4000)
    short = learning.published(bench, 2, seed=100, columns=10, scaled=True, epochs=2, patience=1)
    long = learning.published(bench, 2, seed=100, columns=10, scaled=True, epochs=60, patience=0)
    assert long["epochs run"] == 60
    assert long["trained"] < short["trained"]
    assert long["fitted"] <= min(long["closed form"], long["trained"]) * 1.05
    assert np.mean(long["blocks"]["fitted"]) / np.mean(long["blocks"]["linear"]) == pytest.approx(
        long["fitted"], rel=0.01
    )
    assert long["the process itself"] == pytest.approx(1.0, abs=0.02)
    raw = learning.published(bench, 2, seed=100, columns=10, scaled=False, epochs=2, patience=1)
    for key in ("fitted", "closed form", "in context", "zero"):  # the units of the series do not matter to these
        assert raw[key] == pytest.approx(long[key], rel=1e-4)


def test_training_on_gram_matrices_is_training_the_layer():
    """What does not meet the prediction has no gradient."""
    model = learning.LinearSelfAttention(3, seed=1)
    windows = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))
    model(hankel(windows, 2)).square().sum().backward()
    values, key_queries = model.values.grad[0, 0], model.key_queries.grad[0, 0]
    assert values[:-1].abs().max() == 0
    assert key_queries[:, -1].abs().max() == 0
    assert values[-1].abs().min() > 0
    assert key_queries[:, :-1].abs().min() > 0


def test_deep_layers_begin_at_the_closed_form(bench):
    found = learning.deep(bench, "AR(1) 0.8", 10, layers=1, softmax=False, seed=0, steps=2)
    assert found["excess"] == pytest.approx(2 / 12 * 0.64 / 0.36, rel=0.25)
    assert found["one layer, closed form"] == pytest.approx(2 / 12 * 0.64 / 0.36)
    soft = learning.deep(bench, "AR(1) 0.8", 10, layers=1, softmax=True, seed=0, steps=2)
    assert soft["excess"] > found["excess"]


def spread(value):
    return [value * f for f in (0.99, 1.0, 1.01)]


def gaps_row(n, relaxed, **other):
    reported = {
        "process_name": "AR",
        "law": "normal",
        "columns": n,
        "explained": 1.0,
        "order": 1,
        "predicted": 2 / (n + 2),
    }
    reported |= {key: spread(relaxed) for key in ("relaxed", "relaxed on others", "fitted head", "closed form")}
    return reported | {"in context": spread(1 / n), "on the series": spread(1e-4)} | other


@pytest.mark.parametrize(
    ("relaxed", "linear", "verdict"),
    [(0.1, 1e-4, Verdict.CONFIRMED), (0.0, 1e-4, Verdict.REFUTED), (0.01, 0.1, Verdict.UNEVEN)],
)
def test_the_gap_is_judged_at_every_length(relaxed, linear, verdict):
    rows = [gaps_row(n, relaxed, **{"on the series": spread(linear)}) for n in (10, 100)]
    assert gap_claims.judge_gap({"gaps": rows}).verdict is verdict


@pytest.mark.parametrize(("power", "verdict"), [(-1.0, Verdict.CONFIRMED), (-0.5, Verdict.REFUTED)])
def test_the_rate_is_judged_by_its_slope(power, verdict):
    rows = [gaps_row(n, 2 * n**power) for n in (10, 100, 200, 400)]
    assert gap_claims.judge_rate({"gaps": rows[:-1], "long": rows[-1:]}).verdict is verdict


@pytest.mark.parametrize(
    ("normal", "laplace", "verdict"),
    [(1.0, 1.05, Verdict.CONFIRMED), (2.0, 2.0, Verdict.REFUTED), (1.0, 2.0, Verdict.UNEVEN)],
)
def test_the_constant_is_judged_for_both_laws(normal, laplace, verdict):
    rows = [gaps_row(n, 1.0, **{"closed form": spread(normal * 2 / (n + 2))}) for n in (50, 200)]
    other = gaps_row(200, 1.0, law="laplace", predicted=0.02) | {"closed form": spread(0.02 * laplace)}
    assert gap_claims.judge_constant({"gaps": rows, "laplace": [other]}).verdict is verdict


@pytest.mark.parametrize(("factor", "verdict"), [(1.02, Verdict.CONFIRMED), (1.5, Verdict.REFUTED)])
def test_the_closed_form_is_judged_beside_the_optimum(factor, verdict):
    rows = [gaps_row(n, 1 / n, **{"closed form": spread(factor / n)}) for n in (10, 100, 200)]
    assert gap_claims.judge_closed_form({"gaps": rows}).verdict is verdict


@pytest.mark.parametrize(("left", "verdict"), [(0.001, Verdict.CONFIRMED), (0.1, Verdict.REFUTED)])
def test_recovery_is_judged_at_the_longest_context(left, verdict):
    outcome = gap_claims.judge_recovery({"gaps": [gaps_row(100, 0.1)], "long": [gaps_row(1600, left)]})
    assert outcome.verdict is verdict


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [((0.15, 0.1), Verdict.CONFIRMED), ((1e-9, 1e-9), Verdict.REFUTED), ((0.15, 1e-9), Verdict.UNEVEN)],
)
def test_many_processes_are_judged_by_what_is_left(shares, verdict):
    rows = [
        {"order": 1, "scaled": scaled, "shares": spread(share)}
        for scaled, share in zip((False, True), shares, strict=True)
    ]
    assert gap_claims.judge_many({"many": rows}).verdict is verdict


@pytest.mark.parametrize(
    ("easy", "hard", "verdict"),
    [(0.5, 3.0, Verdict.CONFIRMED), (3.0, 0.5, Verdict.REFUTED), (0.5, 0.5, Verdict.UNEVEN)],
)
def test_the_baseline_is_judged_by_side(easy, hard, verdict):
    rows = [
        gaps_row(100, 1.0, process_name=name, explained=explained, **{"closed form": spread(ratio / 100)})
        for name, explained, ratio in (("easy", 0.2, easy), ("hard", 2.0, hard))
    ]
    assert gap_claims.judge_baselines({"gaps": rows}).verdict is verdict


def rolled(**other):
    fall = [[f * 0.5**k for k in range(1, 61)] for f in (0.9, 1.0, 1.1)]
    reported = {"process_name": "AR(1) 0.9", "begun": 20, "histories": 1000, "repeats": 3, "own sizes": fall}
    reported |= {"sizes": [[size / 2 for size in sizes] for sizes in fall], "earlier": [800] * 3, "compared": [900] * 3}
    reported |= {"collapse": [6.0] * 3, "own collapse": [24.0] * 3, "diverging": [0.05] * 3}
    reported |= {"own errors": [[1.0 * f] * 60 for f in (0.99, 1.0, 1.01)], "own error, expected": [1.0] * 60}
    return reported | {"errors": [[1.2 * f] * 60 for f in (0.99, 1.0, 1.015)], "whole errors": [[9.0] * 60] * 3} | other


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        ({}, Verdict.CONFIRMED),
        ({"earlier": [100] * 3, "sizes": [[f] * 60 for f in (0.9, 1.0, 1.1)]}, Verdict.REFUTED),
        ({"earlier": [100] * 3}, Verdict.UNEVEN),
    ],
)
def test_decay_is_judged_by_collapse_and_size(other, verdict):
    assert rolling_claims.judge_decay({"rollouts": [rolled(**other)]}).verdict is verdict


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([[1.2 * f] * 60 for f in (0.99, 1.0, 1.015)], Verdict.CONFIRMED),
        ([[0.9 * f] * 60 for f in (0.99, 1.0, 1.015)], Verdict.REFUTED),
        ([[1.2 * f] * 15 + [0.9 * f] * 45 for f in (0.99, 1.0, 1.015)], Verdict.UNEVEN),
    ],
)
def test_compounding_is_judged_at_every_horizon(errors, verdict):
    assert rolling_claims.judge_compounding({"rollouts": [rolled(errors=errors)]}).verdict is verdict


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.05, Verdict.CONFIRMED), (0.0, Verdict.REFUTED), (0.0045, Verdict.UNTESTABLE)]
)
def test_divergence_is_judged_by_its_share(share, verdict):
    assert rolling_claims.judge_divergence({"rollouts": [rolled(diverging=[share] * 3)]}).verdict is verdict


def published_rows(trained, fitted):
    return [
        {"order": 3, "seed": seed, "columns": 25, "scaled": scaled, "epochs": 100, "epochs run": 100}
        | {"trained": trained + e, "fitted": fitted, "closed form": 1.1, "in context": 1.1, "zero": 3.0}
        | {"curve": [2.0, 1.5], "blocks": {"trained": spread(trained), "fitted": spread(fitted), "linear": spread(1.0)}}
        for scaled in (False, True)
        for seed, e in enumerate((-0.01, 0.0, 0.01))
    ]


@pytest.mark.parametrize(("trained", "verdict"), [(1.5, Verdict.CONFIRMED), (0.9, Verdict.REFUTED)])
def test_the_trained_layer_is_judged_beside_ols(trained, verdict):
    assert learning_claims.judge_trained({"published": published_rows(trained, 1.1)}).verdict is verdict


@pytest.mark.parametrize(("fitted", "verdict"), [(1.1, Verdict.CONFIRMED), (1.45, Verdict.REFUTED)])
def test_optimisation_is_judged_by_its_share(fitted, verdict):
    assert learning_claims.judge_optimisation({"published": published_rows(1.5, fitted)}).verdict is verdict


def deep_rows(*excess, softmax=False):
    reported = {"process_name": "AR", "columns": 25, "softmax": softmax, "one layer, closed form": 0.37}
    return [
        reported | {"layers": layers, "seed": seed, "excess": each * f}
        for layers, each in enumerate(excess, 1)
        for seed, f in enumerate((0.99, 1.0, 1.01))
    ]


@pytest.mark.parametrize(
    ("excess", "verdict"),
    [((0.4, 0.1, 0.05), Verdict.CONFIRMED), ((0.1, 0.2, 0.4), Verdict.REFUTED), ((0.4, 0.1, 0.3), Verdict.UNEVEN)],
)
def test_depth_is_judged_layer_by_layer(excess, verdict):
    assert learning_claims.judge_depth({"deep": deep_rows(*excess)}).verdict is verdict


@pytest.mark.parametrize(("excess", "verdict"), [(0.5, Verdict.CONFIRMED), (-0.5, Verdict.REFUTED)])
def test_softmax_is_judged_by_its_excess(excess, verdict):
    assert learning_claims.judge_softmax({"deep": deep_rows(excess, softmax=True)}).verdict is verdict
