"""Measures of thought at test time against closed forms, and judges fed with made-up rows."""

import pytest
import torch

from forecheck.papers.claim import Verdict
from forecheck.papers.experiment import Bench, UntestableError
from forecheck.papers.test_time_scaling import (
    overthinking_claims,
    scaling_claims,
    selection,
    tasks_claims,
    thinking,
    training,
    transformer,
)
from forecheck.trials.store import Store

SMALL = {"prompts": 20, "repeats": 2}


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


def test_long_prompts_have_the_errors_of_unlimited_ones(bench):
    found = thinking.thoughts(bench, "mild", False, "mild", train=20, prompt=40_000, prompts=3, repeats=2)
    eigenvalues = torch.tensor(thinking.SPECTRA["mild"])
    hard = eigenvalues.sum() / eigenvalues
    exact = [(1 + 20 / (1 + hard)).pow(-2 * k).mean().item() for k in (1, 2, 3)]
    assert found["unlimited"][:3] == pytest.approx(exact, rel=1e-5)
    assert found["means"][0][:3] == pytest.approx(exact, rel=0.05)
    assert found["hardness"] == pytest.approx(hard.max().item())
    assert found["law"][1] == pytest.approx((1 + 20 / (1 + hard.max().item())) ** -4)


def test_scaled_spectra_have_the_trace_of_the_width():
    assert thinking.covariance("skewed", scaled=True).trace() == pytest.approx(10)
    assert thinking.covariance("skewed").trace() == pytest.approx(sum(1 / i for i in range(1, 11)))


def test_errors_are_those_of_weights_that_are_thought_about(bench):
    """One prompt, many weights, one step: |(I - S / Gamma) w|^2 by drawing w."""
    found = thinking.thoughts(bench, "flat", False, "flat", train=20, prompt=15, prompts=1, repeats=1)
    x = thinking.draw_inputs(thinking.covariance("flat"), 1, 15, 0)[0]
    gamma = 1 + 1 / 20 + 10 / 20
    w = torch.randn(40_000, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    errors = (w - w @ x @ x.T / 15 / gamma).square().mean(dim=1)
    assert abs(errors.mean().item() - found["means"][0][0]) < 4 * errors.std().item() / 200


def test_the_layer_is_the_recursion(bench):
    assert thinking.recursion(bench, "skewed", 20, 30, seed=0, steps=6)["difference"] < 1e-10


def test_a_detector_counts_every_prompt_once(bench):
    found = thinking.detector(bench, "flat", True, 20, 12, prompts=60, seed=0)
    assert found["diverged"] + found["converged"] == 60
    assert 0 < found["predicted"] <= found["diverged"]
    assert found["alarms"] == found["predicted"] + found["converged"] - found["cleared"]
    # Far from 2 all diverge: Gamma of the flattest direction is a tenth of what the test inputs have.
    surely = thinking.detector(bench, "least 0.03", False, 1000, 500, prompts=10, seed=0)
    assert surely["diverged"] == surely["predicted"] == surely["overthought and predicted"] == 10


def test_descent_ends_at_gamma_and_leaves_the_block_that_reads_thoughts(bench):
    found = training.descent(bench, "mild", 20, seed=0, steps=400, batch=20)
    assert found["from the inverse of Gamma"] < 0.5 * found["from the inverse of Lambda"]
    assert found["weight slot moved"] == 0


def test_an_isotropic_target_asks_for_flat_tasks(bench):
    found = selection.selection(bench, "isotropic", "own", each=2, repeats=2)
    for shares in found["shares"]:
        assert sum(shares) == pytest.approx(1)
        assert found["kinds"][max(range(4), key=shares.__getitem__)] == "Easy-Long"
    hard = selection.selection(bench, "hard", "shared", each=2, repeats=1)
    assert hard["shares"][0][3] == pytest.approx(1)  # the target is among the tasks


SETTINGS = {"spectrum": "flat", "train": 20, "prompt": 20, "seed": 0, "layers": 1, "width": 32, "batch": 32}


def test_a_transformer_learns_on_a_processor(bench):
    found = transformer.train_and_think(bench, "cpu", **SETTINGS, thoughts=2, steps=50)
    assert len(found["errors"]) == thinking.STEPS
    assert found["curve"][-1][1] < 0.9 * found["curve"][0][1]


def test_thoughts_are_appended_and_examples_are_a_set():
    torch.manual_seed(0)
    model = transformer.Thinker(16, 2, 8)
    x, y = torch.randn(3, 7, 10), torch.randn(3, 7)
    order = torch.randperm(7)
    made = transformer.think(model, x, y, 3)
    for one, other in zip(made, transformer.think(model, x[:, order], y[:, order], 3), strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.allclose(made[0], made[2])


def test_without_a_gpu_it_cannot_be_tested(bench, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UntestableError, match="no GPU"):
        transformer.transformer(bench, **SETTINGS, thoughts=1, steps=1)


def repeats(*errors):
    """Errors of 20 steps through these at 1, 2, 5 and 20, three times with one percent between."""
    first, second, fifth, last = errors
    means = [first, second, second, fifth, fifth, *[fifth] * 14, last]
    return [[error * factor for error in means] for factor in (0.99, 1.0, 1.01)]


def thought(means, **settings):
    reported = {"unlimited": [0.1] * 20, "law": [0.2] * 20, "bound": 1.0, "hardness": 10.0, "unlimited top": 1.0}
    reported |= {"share above 2": [0.1, 0.2, 0.15], "spectrum": "flat", "train": 10, "prompt": 1000, "scaled": False}
    return reported | {"means": means, "medians": means} | settings


@pytest.mark.parametrize(("away", "verdict"), [(0.01, Verdict.CONFIRMED), (0.4, Verdict.REFUTED)])
def test_training_is_judged_by_its_distance(away, verdict):
    rows = [
        {"spectrum": "mild", "train": 20, "from the inverse of Gamma": away * f, "from the inverse of Lambda": 0.5}
        | {"weight slot moved": 0.0, "learnt": [1.0], "expected": [1.0]}
        for f in (0.9, 1.0, 1.1)
    ]
    assert scaling_claims.judge_descent({"descent": rows}).verdict is verdict


@pytest.mark.parametrize(("difference", "verdict"), [(1e-14, Verdict.CONFIRMED), (1e-3, Verdict.REFUTED)])
def test_the_recursion_is_judged_by_its_difference(difference, verdict):
    assert scaling_claims.judge_recursion({"recursion": [{"difference": difference}]}).verdict is verdict


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [((1.0, 1.0), Verdict.CONFIRMED), ((0.01, 0.01), Verdict.REFUTED), ((1.0, 0.01), Verdict.UNEVEN)],
)
def test_the_bound_is_judged_in_every_case(bounds, verdict):
    rows = [thought(repeats(0.5, 0.2, 0.1, 0.01), bound=bound) for bound in bounds]
    assert scaling_claims.judge_bound({"bound": rows}).verdict is verdict


@pytest.mark.parametrize(("law", "verdict"), [(0.2, Verdict.CONFIRMED), (0.05, Verdict.REFUTED)])
def test_the_law_is_judged_without_limit(law, verdict):
    rows = [thought(repeats(0.5, 0.2, 0.1, 0.01), train=n, law=[law] * 20) for n in (5, 10, 20, 30)]
    assert scaling_claims.judge_law({"aligned": rows, "hardness": rows}).verdict is verdict


@pytest.mark.parametrize(
    ("short", "long", "verdict"),
    [
        ((0.5, 0.2, 0.1, 0.001), (0.05, 0.005, 0.001, 1e-6), Verdict.CONFIRMED),
        ((0.5, 0.4, 0.4, 0.4), (0.05, 0.05, 0.05, 0.05), Verdict.REFUTED),  # neither reaches 1 %
        ((0.5, 0.1, 0.1, 0.005), (0.05, 0.05, 0.05, 0.05), Verdict.UNEVEN),
    ],
)
def test_exchange_is_judged_by_errors_and_steps(short, long, verdict):
    rows = [thought(repeats(*short), train=10), thought(repeats(*long), train=30)]
    assert scaling_claims.judge_exchange({"aligned": rows}).verdict is verdict


@pytest.mark.parametrize(("harder", "verdict"), [(0.1, Verdict.CONFIRMED), (0.0001, Verdict.REFUTED)])
def test_hardness_is_judged_in_order(harder, verdict):
    rows = [thought(repeats(0.5, 0.01, 0.001, 1e-6)), thought(repeats(0.5, 0.01, harder, harder / 9), hardness=99.0)]
    assert scaling_claims.judge_hardness({"hardness": rows}).verdict is verdict


BENT, FALLING, RISING = (0.5, 0.2, 0.1, 9.0), (0.5, 0.2, 0.1, 0.01), (0.5, 0.7, 0.9, 0.95)


@pytest.mark.parametrize(
    ("least", "largest", "verdict"),
    [
        (FALLING, BENT, Verdict.CONFIRMED),
        (RISING, FALLING, Verdict.REFUTED),
        (FALLING, RISING, Verdict.UNEVEN),
    ],
)
def test_overthinking_is_judged_by_shape_and_length(least, largest, verdict):
    rows = [
        thought(repeats(*errors), train=n, scaled=scaled)
        for scaled in (True, False)
        for n, errors in ((10, least), (80, largest))
    ]
    outcome = overthinking_claims.judge_skewed({"skewed": rows})
    assert outcome.verdict is verdict
    assert len(outcome.charts) == 2


@pytest.mark.parametrize(
    ("shortest", "short", "verdict"),
    [(BENT, BENT, Verdict.CONFIRMED), (FALLING, FALLING, Verdict.REFUTED), (BENT, FALLING, Verdict.UNEVEN)],
)
def test_short_prompts_are_judged_by_shape(shortest, short, verdict):
    rows = [thought(repeats(*errors), prompt=m) for m, errors in ((12, shortest), (20, short), (1000, FALLING))]
    assert overthinking_claims.judge_short({"short": rows}).verdict is verdict


@pytest.mark.parametrize(
    ("predicted", "cleared", "verdict"),
    [(399, 598, Verdict.CONFIRMED), (200, 300, Verdict.REFUTED), (399, 300, Verdict.UNEVEN)],
)
def test_a_detector_is_judged_on_both_kinds(predicted, cleared, verdict):
    row = {"spectrum": "flat", "train": 20, "prompt": 12, "diverged": 400, "predicted": predicted, "converged": 600}
    row |= {"cleared": cleared, "overthought": 300, "overthought and predicted": 290, "alarms": 500}
    assert overthinking_claims.judge_detector({"detector": [row]}).verdict is verdict


@pytest.mark.parametrize(
    ("flat", "skewed", "verdict"),
    [(FALLING, BENT, Verdict.CONFIRMED), (RISING, FALLING, Verdict.REFUTED), (FALLING, FALLING, Verdict.UNEVEN)],
)
def test_a_transformer_is_judged_by_gain_and_rise(flat, skewed, verdict):
    rows = [
        {"spectrum": spectrum, "train": 20, "seed": seed, "thoughts": thoughts, "errors": one}
        for spectrum, errors in (("flat", flat), ("skewed", skewed))
        for thoughts in (1, 4)
        for seed, one in enumerate(repeats(*errors))
    ]
    assert overthinking_claims.judge_transformer({"transformer": rows}).verdict is verdict


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ([(0.1, 0.2, 0.1, 0.6)] * 2, Verdict.CONFIRMED),
        ([(0.3, 0.1, 0.5, 0.1)] * 2, Verdict.REFUTED),
        ([(0.1, 0.2, 0.1, 0.6), (0.3, 0.1, 0.5, 0.1)], Verdict.UNEVEN),
    ],
)
def test_selection_is_judged_for_every_target(shares, verdict):
    rows = [
        {"target": str(i), "order": "own", "each": 10, "kinds": list(selection.KINDS)}
        | {"shares": [[a + e, b, c - e, d] for e in (-0.01, 0.0, 0.01)]}
        for i, (a, b, c, d) in enumerate(shares)
    ]
    assert tasks_claims.judge_selection({"selection": rows}).verdict is verdict
