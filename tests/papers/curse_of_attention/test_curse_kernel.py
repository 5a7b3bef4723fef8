"""Curse of Attention, E6: measures against brute force, judges on made-up rows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from forecheck.papers.claim import Verdict
from forecheck.papers.curse_of_attention import kernel
from forecheck.papers.curse_of_attention.kernel_claims import CLAIMS
from forecheck.papers.curse_of_attention.theory.kernel import infinite_tangent_kernel, kernel_descent
from forecheck.papers.curse_of_attention.theory.training import Optimizer, train
from forecheck.papers.curse_of_attention.toy import MODEL, network, windows
from forecheck.papers.experiment import Bench
from forecheck.trials.store import Store

BENCH = Bench(Store(Path("unused")), lambda share, word: None)
JUDGES = {claim.id: claim.judge for claim in CLAIMS}


def test_a_spectrum_asks_for_as_many_steps_as_the_loss_takes():
    found = kernel.spectra(BENCH, samples=3, steps=4, neurons=None, seeds=2)
    _, x, y = windows("unit", 0.5, 3, 1, 4)
    h = infinite_tangent_kernel(MODEL, x)
    np.testing.assert_allclose(found["eigenvalues"][1], torch.linalg.eigvalsh(h).flip(0), atol=1e-12)
    left = kernel_descent(h, h, y, 1 / found["largest"][1], round(found["steps asked for"][1])) - y
    # The loss is the square of what is left of the slowest direction.
    slowest = torch.linalg.eigh(h)[1][:, 0]
    assert float((slowest @ left / (slowest @ y)).abs()) == pytest.approx(0.01, rel=0.02)
    assert found["width asked for"][1] == pytest.approx(found["smallest"][1] ** -3 * 3**7 * 4**2)


def test_a_kernel_that_is_rounding_asks_for_nothing():
    found = kernel.spectra(BENCH, samples=64, steps=4, neurons=8, seeds=1)
    assert found["steps asked for"] == found["width asked for"] == [None]
    assert found["rank"][0] <= 8


def test_the_kernel_comes_nearer_to_its_limit():
    near, far = (kernel.limit(BENCH, samples=10, neurons=m, seeds=4)["distances"] for m in (20_000, 20))
    assert max(near) < min(far)


def test_training_by_width_is_that_of_plain_jacobians():
    found = kernel.wide(BENCH, samples=10, neurons=6, paired=False, seed=2, steps=3)
    process, x, y = windows("unit", 0.5, 10, 2)
    start = network(6, 2, paired=False)
    rate = 1 / float(torch.linalg.eigvalsh(infinite_tangent_kernel(MODEL, x))[-1])
    run = train(MODEL, start, x, y, Optimizer(lr=rate), 3, tabulated=False)

    def forecast(weight, x):
        shares = torch.softmax(x[:, -1, None, None] * weight[:, None] * x[:, None], dim=-1)
        return (shares * x[:, None]).sum(-1) @ start["output"] / 6**0.5

    rows = [torch.autograd.functional.jacobian(lambda w: forecast(w, x), at["weight"]) for at in (start, run.end)]
    before, after = (row @ row.T for row in rows)
    assert found["left start"][-1] == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-5)
    _, fresh, target = windows("unit", 0.5, kernel.TEST, 2, part=1)
    ours = forecast(run.end["weight"], fresh)
    assert found["risk"][-1] == pytest.approx(float((ours - target).square().mean()), rel=1e-6)
    assert process.noise**2 < found["risk of least squares"]


def spectrum(steps, samples=8, neurons=None):
    found = {"samples": samples, "steps": 8, "neurons": neurons, "eigenvalues": [[2.0, 1.0]] * 3}
    found |= {"steps asked for": steps, "width asked for": [1e9] * 3, "rank": [2] * 3, "effective rank": [1.5] * 3}
    return found | {"largest": [2.0] * 3, "smallest": [1.0] * 3, "rounding": [1e-15] * 3}


def test_the_smallest_eigenvalue_is_judged():
    judge = JUDGES["E6-positive"]
    good, bad = [10.0] * 3, [None, 1e12, None]
    assert judge({"spectra": [spectrum(good, 4), spectrum(good)]}).verdict is Verdict.CONFIRMED
    assert judge({"spectra": [spectrum(bad, 4), spectrum(bad)]}).verdict is Verdict.REFUTED
    assert judge({"spectra": [spectrum(good, 4), spectrum(bad)]}).verdict is Verdict.UNEVEN
    assert judge({"spectra": [spectrum([10.0, None, 1.0], 4)] * 2}).verdict is Verdict.UNTESTABLE


def test_the_limit_is_judged():
    for power, verdict in ((-0.5, Verdict.CONFIRMED), (-1.0, Verdict.REFUTED)):
        rows = [{"neurons": m, "distances": [m**power, 1.1 * m**power, m ** (power + 0.001)]} for m in (10, 100, 1000)]
        assert JUDGES["E6-limit"]({"limit of the kernel": rows}).verdict is verdict


def wide_runs(power=-0.5, ratio=1.0, far=0.01):
    """Runs whose kernels and forecasts follow a power of the width."""
    return [
        {
            "samples": 4,
            "neurons": m,
            "paired": paired,
            "seed": seed,
            "times": [1, 10],
            "moved": [0.1, 0.2],
            "left start": [0.0, (1 + 0.01 * seed) * m**power],
            "norm at start": ratio * 0.8 * m**-power,
            "reach": 1.0,
            "smallest": 1e-9,
            "from infinite": [0.0, far * (1 + 0.01 * seed) * (m / 1000) ** power],
            "risk": [1.0, 0.8],
            "risk of infinite": [1.0, 0.8],
            "risk of zero": 1.0,
            "risk of least squares": 0.02,
            "order-blind bound": 0.7,
        }
        for m in (10, 100, 1000)
        for paired in (True, False)
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("E6-lemma", {}, {"ratio": 1e6}),
        ("E6-lazy", {}, {"power": -0.1}),
        ("E6-regression", {}, {"far": 0.5, "power": 0.2}),
    ],
)
def test_training_by_width_is_judged(name, good, bad):
    for given, verdict in ((good, Verdict.CONFIRMED), (bad, Verdict.REFUTED)):
        assert JUDGES[name]({"training by width": wide_runs(**given)}).verdict is verdict


def test_forecasts_that_come_near_but_not_near_enough_are_uneven():
    assert JUDGES["E6-regression"]({"training by width": wide_runs(far=0.5)}).verdict is Verdict.UNEVEN
