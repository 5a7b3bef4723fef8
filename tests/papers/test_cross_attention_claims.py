"""Measures of deep cross-attention against the theory's loops, and judges fed with made-up rows."""

import pytest
import torch

from forecheck.papers.claim import Verdict
from forecheck.papers.cross_attention import claims, contexts, steps
from forecheck.papers.cross_attention.theory import best_step, draw_factors, excess, learnt_weights
from forecheck.papers.experiment import Bench
from forecheck.papers.in_context.theory.linear_self_attention import gram
from forecheck.trials.store import Store


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


def test_all_depths_at_once_are_the_loop():
    tasks = draw_factors(4, 10, 1.0, 9.0)
    prompt, _ = tasks.prompts(40)
    known = gram(prompt)
    eigenvalues, vectors = torch.linalg.eigh(known[:, :-1, :-1])
    for depth in (1, 7):
        step = torch.full((4, 1), 0.1, dtype=torch.float64)
        made = contexts.deep_weights(eigenvalues, vectors, known[:, :-1, -1], step, depth)
        torch.testing.assert_close(made, learnt_weights(prompt, depth, 0.1))


def test_the_scalar_of_each_half_is_the_best_of_the_other():
    tasks = draw_factors(40, 10, 1.0, 9.0)
    prompt, _ = tasks.prompts(60)
    sums = learnt_weights(prompt, 1, 1.0)
    found = contexts.best_scalar(tasks, sums)
    grid = torch.linspace(0.0, 0.3, 3001)
    errors = torch.stack([tasks.excess(scale.item() * sums) for scale in grid])
    for mine, other in ((slice(0, 20), slice(20, 40)), (slice(20, 40), slice(0, 20))):
        best = errors[:, other].mean(dim=1).argmin()
        torch.testing.assert_close(found[mine].mean(), errors[best, mine].mean(), rtol=1e-3, atol=0)


def test_contexts_measure_what_the_theory_gives(bench):
    found = contexts.contexts(bench, 1.0, 9.0, length=60, tasks=30, repeats=1)
    tasks = draw_factors(30, 10, 1.0, 9.0, seed=0)
    prompt, _ = tasks.prompts(60, seed=1000)
    for depth in (1, 5):
        expected = tasks.excess(learnt_weights(prompt, depth, best_step(1.0, 9.0)))
        assert found["means"][0][found["depths"].index(depth)] == pytest.approx(expected.mean().item())
        assert found["medians"][0][found["depths"].index(depth)] == pytest.approx(expected.median().item())
    assert found["safe"][0][-1] == pytest.approx(found["regression"][0], rel=0.3)
    assert found["regression"][0] < found["single"][0] < found["explained"]


def test_the_loss_of_the_flow_is_the_excess():
    pair = torch.tensor([0.12, -0.1], dtype=torch.float64)
    assert steps.loss(pair, 6, 1.0, 9.0).item() == pytest.approx(excess(6, 0.12, 1.0, 9.0, -0.1))


def test_gradient_flow_ends_at_the_minimum(bench):
    found = steps.flow(bench, 0.5, 4.0, depth=2, time=1e5)
    least = steps.minimisers(bench, 0.5, 4.0, depth=2)
    assert found["alphas"][-1] == pytest.approx(least["alpha of two"], rel=1e-4)
    assert found["betas"][-1] == pytest.approx(least["beta of two"], rel=1e-4)
    assert least["excess of two"] < least["excess"] < least["excess at the limit"]


DEPTHS = list(contexts.DEPTHS)


def row(length, **other):
    """Three repeats; deep errors of 0.001 times 200 / L, regression a little above them."""
    deep = 0.2 / length
    means = [0.13, 0.03, 0.02, deep, deep, deep, deep * 1.2]
    reported = {"low": 1.0, "high": 9.0, "length": length, "tasks": 200, "repeats": 3, "depths": DEPTHS, "floor": 0.09}
    reported |= {"means": spread(means), "medians": spread(means), "safe": spread(means), "explained": 0.8}
    reported |= {"single": [0.09, 0.091, 0.092], "regression": [deep * 1.2 * f for f in (0.99, 1.0, 1.01)]}
    return reported | {"diverging": [0.0] * 3} | other


def spread(errors):
    return [[error * factor for error in errors] for factor in (0.99, 1.0, 1.01)]


@pytest.mark.parametrize(
    ("single", "verdict"),
    [
        ([0.09] * 2, Verdict.CONFIRMED),
        ([0.001] * 2, Verdict.REFUTED),
        ([0.09, 0.001], Verdict.UNEVEN),
    ],
)
def test_one_layer_is_judged_by_its_excess(single, verdict):
    rows = [
        row(length, single=[each * f for f in (0.99, 1.0, 1.01)])
        for length, each in zip((1000, 5000), single, strict=True)
    ]
    assert claims.judge_single({"contexts": rows}).verdict is verdict


@pytest.mark.parametrize(
    ("deep", "verdict"),
    [(None, Verdict.CONFIRMED), ((0.05, 0.06), Verdict.REFUTED), ((0.06, 0.03), Verdict.UNEVEN)],
)
def test_depth_is_judged_beside_one_layer(deep, verdict):
    rows = [row(1000), row(5000)]
    if deep:
        rows = [row(length, means=spread([each] * 7)) for length, each in zip((1000, 5000), deep, strict=True)]
    assert claims.judge_depth({"contexts": rows}).verdict is verdict


def trained(factor, sign=1.0):
    rows = []
    for depth in (2, 10, 20, 40):
        alpha = 0.2 * (factor - 0.4 / depth) if factor == 1 else 0.2 * (factor + depth / 100)
        rows.append(
            {"low": 1.0, "high": 9.0, "depth": depth, "alpha": alpha, "alpha of two": alpha, "limit": 0.2}
            | {"beta of two": -alpha * sign, "excess": 0.1, "excess at the limit": 0.2, "excess of two": 0.1}
        )
    return rows


@pytest.mark.parametrize(
    ("factor", "sign", "end", "verdict"),
    [
        (1, 1.0, 1.0, Verdict.CONFIRMED),
        (1.3, 0.5, 0.5, Verdict.REFUTED),
        (1, 0.5, 1.0, Verdict.UNEVEN),
        (1, 1.0, 0.5, Verdict.UNEVEN),
    ],
)
def test_the_step_is_judged_by_its_limit(factor, sign, end, verdict):
    rows = trained(factor, sign)
    pair = rows[0]["alpha of two"] * end, rows[0]["beta of two"] * end
    flow = {"low": 1.0, "high": 9.0, "depth": 2, "times": [1.0], "alphas": [pair[0]], "betas": [pair[1]]}
    assert claims.judge_limit({"minimisers": rows, "flow": [flow]}).verdict is verdict


@pytest.mark.parametrize(
    ("diverging", "last", "verdict"),
    [(0.05, 40.0, Verdict.CONFIRMED), (0.0, 0.001, Verdict.REFUTED), (0.05, 0.001, Verdict.UNEVEN)],
)
def test_short_contexts_are_judged_by_share_and_growth(diverging, last, verdict):
    # Where nothing diverges at the shortest, something does at the longest: none of the three parts holds.
    long = row(5000, diverging=[0.0 if diverging else 0.5] * 3)
    short = row(50, means=spread([0.1, 0.1, 0.1, 0.1, last, last, last]), diverging=[diverging] * 3, tasks=5000)
    outcome = claims.judge_short({"contexts": [long, short]})
    assert outcome.verdict is verdict


@pytest.mark.parametrize(
    ("safe", "gain", "verdict"),
    [(1.0, 0.8, Verdict.CONFIRMED), (3.0, 1.5, Verdict.REFUTED), (1.0, 1.5, Verdict.UNEVEN)],
)
def test_regression_is_judged_by_limit_and_gain(safe, gain, verdict):
    regression = [0.001] * 3
    rows = [
        row(length, safe=spread([0.1] * 6 + [0.001 * safe]), means=spread([0.001 * gain] * 7), regression=regression)
        for length in (50, 1000, 5000)
    ]
    assert claims.judge_regression({"contexts": rows}).verdict is verdict
