"""Curse of Attention, E0, E4, E5: measures against autograd and brute force, judges on made-up rows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from forecheck.papers.claim import Verdict
from forecheck.papers.curse_of_attention import gradients, learning, score
from forecheck.papers.curse_of_attention.gradients_claims import CLAIMS as GRADIENTS
from forecheck.papers.curse_of_attention.learning_claims import CLAIMS as LEARNING
from forecheck.papers.curse_of_attention.score_claims import CLAIMS as SCORE
from forecheck.papers.curse_of_attention.theory.kernel import infinite_tangent_kernel
from forecheck.papers.curse_of_attention.toy import MODEL, log_times, network, windows
from forecheck.papers.experiment import Bench
from forecheck.trials.store import Store

BENCH = Bench(Store(Path("unused")), lambda share, word: None)
CLAIMS = {claim.id: claim for claim in (*GRADIENTS, *LEARNING, *SCORE)}


def judged(name, **measured):
    claim = CLAIMS[name]
    rows = {experiment.name: measured.get(experiment.name.replace(" ", "_"), []) for experiment in claim.experiments}
    return claim.judge(rows)


def test_formulas_agree_with_differences_and_wrong_ones_do_not():
    found = gradients.scalar(BENCH, samples=4, steps=3, neurons=5, seed=0)
    assert max(found["gradient"], found["kernel"]) < 1e-8 < 0.1 < found["gradient with a plus"]
    assert gradients.matrix(BENCH, tokens=3, width=2, seed=0)["score matrix"] < 1e-8


def test_differences_are_derivatives():
    at = torch.tensor([0.3, -1.2], dtype=torch.float64)
    found = gradients.differences(lambda x: torch.stack([x[0] * x[1], x[1].sin()]), at)
    expected = torch.autograd.functional.jacobian(lambda x: torch.stack([x[0] * x[1], x[1].sin()]), at)
    torch.testing.assert_close(found, expected.T, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("gamma", [0.5, -0.5])
def test_the_first_step_is_that_of_autograd(gamma):
    found = learning.learning(BENCH, "unit", gamma, samples=40, neurons=12, seed=3, steps=4)
    _, x, y = windows("unit", gamma, 40, 3)
    start = network(12, 3)
    weight = start["weight"].clone().requires_grad_()
    shares = torch.softmax(x[:, -1, None, None] * weight[:, None] * x[:, None], dim=-1)
    forecast = (shares * x[:, None]).sum(-1) @ start["output"] / 12**0.5
    torch.autograd.backward((forecast - y).square().sum() / 2)
    assert found["aligned"][0] == pytest.approx(float((-weight.grad.sign() == start["output"]).double().mean()))
    assert found["moved"][0] == pytest.approx(found["step size"] * float(weight.grad.abs().max()), rel=1e-6)
    assert found["zero"] == pytest.approx(float(y.square().mean()))
    assert found["times"] == [1, 2, 3, 4]


def test_the_bound_on_a_step_is_looked_for_where_errors_are_largest():
    errors = torch.tensor([1.0, 0.5, 0.45, 1e-14, 1.0], dtype=torch.float64)
    assert learning._excess(errors, 0.2) == pytest.approx(0.9 - 0.8)


def test_endless_training_is_descent_on_the_kernel():
    found = learning.endless(BENCH, "flat", 0.5, samples=6, seeds=2)
    _, x, y = windows("flat", 0.5, 6, 1)
    kernel = infinite_tangent_kernel(MODEL, x)
    rate, forecast = 1 / torch.linalg.eigvalsh(kernel)[-1], torch.zeros_like(y)
    for _ in range(100):
        forecast = forecast - rate * kernel @ (forecast - y)
    assert found["left"][1][2] == pytest.approx(float((forecast - y).square().mean() / y.square().mean()), rel=1e-6)


def test_attention_by_weight_is_that_of_plain_softmaxes():
    found = score.by_weight(BENCH, steps=4, draws=20_000, seed=0)
    x = np.random.default_rng(0).standard_normal((20_000, 4))
    for weight in (-1.0, 2.0):
        powers = np.exp(weight * x[:, -1:] * x)
        expected = (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)
        k = found["weights"].index(weight)
        assert found["last"][k] == pytest.approx(expected[-1], abs=0.01)
        assert found["other"][k] == pytest.approx(expected[:-1].mean(), abs=0.01)


def test_attention_of_trained_networks_starts_with_the_sign_of_the_weights():
    found = score.trained(BENCH, "unit", 0.5, samples=16, neurons=20, seed=0, steps=3, draws=4000)
    start = network(20, 0)
    assert found["low"][0] == float((start["weight"][start["output"] < 0] <= 0).double().mean())
    assert found["times"] == [0, 1, 2, 3]
    assert len(found["excess"]) == 20


def test_log_times():
    assert log_times(1000, 4) == [1, 10, 100, 1000]


SIZES = {"samples": 5, "steps": 4, "neurons": 6, "seed": 0, "tokens": 3, "width": 5}


@pytest.mark.parametrize(
    ("name", "experiment", "key"),
    [
        ("E0-gradient", "formulas", "gradient"),
        ("E0-kernel", "formulas", "kernel"),
        ("E0-matrix", "score_matrix", "score matrix"),
    ],
)
def test_formulas_are_judged(name, experiment, key):
    for worst, verdict in ((1e-9, Verdict.CONFIRMED), (1e-3, Verdict.REFUTED)):
        rows = [{**SIZES, "gradient with a plus": 1.0, key: value} for value in (1e-12, worst)]
        assert judged(name, **{experiment: rows}).verdict is verdict


def run(seed=0, form="unit", gamma=0.5, samples=128, neurons=1024, **given):
    flat = {"aligned": 1.0, "positive": 0.52, "negative": 0.52, "gain": 1.0, "lazy": 0.51, "moved": 0.1, "errors": 0.7}
    scalars = {"zero": 1.0, "least squares": 0.02, "bound": 1e-3, "excess": -1e-3}
    settings = {"seed": seed, "form": form, "gamma": gamma, "samples": samples, "neurons": neurons}
    curves = {key: given.get(key, [value, value]) for key, value in flat.items()}
    return settings | {"times": [1, 10]} | curves | {key: given.get(key, value) for key, value in scalars.items()}


def runs(*groups):
    """Three draws of each setting."""
    return [run(seed, **group) for group in groups for seed in range(3)]


def endless(left, samples=128):
    return {"form": "unit", "gamma": 0.5, "samples": samples, "times": [1, 10], "left": [[0.9, left]] * 3}


def test_early_learning_is_judged():
    for share, verdict in ((1.0, Verdict.CONFIRMED), (0.6, Verdict.REFUTED)):
        rows = runs({"aligned": [share, 0.5]}, {"gamma": -0.5, "aligned": [0.0, 0.5]})
        assert judged("E4-early", learning=rows).verdict is verdict
    both = runs({"aligned": [1.0, 0.5]}, {"neurons": 16, "aligned": [0.5, 0.5]})
    assert judged("E4-early", learning=both).verdict is Verdict.UNEVEN


def test_the_mirror_is_judged():
    for share, verdict in ((0.0, Verdict.CONFIRMED), (1.0, Verdict.REFUTED)):
        rows = runs({}, {"gamma": -0.5, "aligned": [share, 0.5]})
        assert judged("E4-mirror", learning=rows).verdict is verdict


def test_loss_is_judged():
    for left, verdict in ((1e-4, Verdict.CONFIRMED), (0.5, Verdict.REFUTED)):
        found = judged("E4-loss", learning=runs({"errors": [1.0, left]}), infinite_width=[endless(left)])
        assert found.verdict is verdict
    rows = runs({}, {"samples": 2, "errors": [1.0, 0.0]})
    assert judged("E4-loss", learning=rows, infinite_width=[endless(0.6)]).verdict is Verdict.UNEVEN


def test_the_rate_is_judged():
    for excess, verdict in ((-1e-3, Verdict.CONFIRMED), (1e-3, Verdict.REFUTED)):
        assert judged("E4-rate", learning=runs({"excess": excess, "samples": 2})).verdict is verdict
    assert judged("E4-rate", learning=runs({"bound": None})).verdict is Verdict.UNTESTABLE


def test_late_learning_is_judged():
    for share, verdict in ((0.99, Verdict.CONFIRMED), (0.55, Verdict.REFUTED)):
        rows = runs({"positive": [0.5, share], "negative": [0.5, 0.99]})
        assert judged("E4-late", learning=rows).verdict is verdict
    fitted = {"samples": 2, "errors": [1.0, 0.0], "positive": [0.5, 0.99], "negative": [0.5, 0.99]}
    assert judged("E4-late", learning=runs({}, fitted)).verdict is Verdict.UNEVEN


def test_shares_near_one_half_are_judged():
    for share, verdict in ((0.51, Verdict.CONFIRMED), (0.9, Verdict.REFUTED)):
        rows = runs({"positive": [0.5, share], "negative": [0.5, share]}, {"neurons": 16})
        assert judged("E4-half", learning=rows).verdict is verdict


def by_weight(low, high, steps=8):
    return {
        "steps": steps,
        "weights": [-1e4, -1.0, 1.0, 1e4],
        "last": [low, low, high, high],
        "other": [0.12, 0.12, 0.12, 0.12],
        "limit below": 0.001,
        "limit above": 0.249,
    }


def test_attention_by_weight_is_judged():
    for low, verdict in ((0.001, Verdict.CONFIRMED), (0.2, Verdict.REFUTED)):
        rows = [by_weight(low + shift, 0.249 + shift) for shift in (-1e-4, 0, 1e-4)]
        assert judged("E5-negative", attention_by_weight=rows).verdict is verdict
    for high, verdict in ((0.249, Verdict.CONFIRMED), (0.8, Verdict.UNEVEN)):
        rows = [by_weight(0.001, high + shift) for shift in (-1e-4, 0, 1e-4)]
        assert judged("E5-limits", attention_by_weight=rows).verdict is verdict
    rows = [by_weight(0.3 + shift, 0.8 + shift) for shift in (-1e-4, 0, 1e-4)]
    assert judged("E5-limits", attention_by_weight=rows).verdict is Verdict.REFUTED


def test_attention_of_trained_networks_is_judged():
    for share, verdict in ((0.98, Verdict.CONFIRMED), (0.5, Verdict.REFUTED)):
        rows = [
            {
                "form": "unit",
                "gamma": 0.5,
                "neurons": 64,
                "times": [0, 1],
                "low": [0.5, share],
                "negative": [0.13, 0.12],
                "positive": [0.13, 0.14],
                "weights": [1.0, -1.0],
                "excess": [0.1, -0.1],
                "outputs": [1.0, -1.0],
            }
        ] * 3
        assert judged("E5-trained", attention_of_trained_networks=rows).verdict is verdict
