"""E1 to E3: attention and linear rules on windows whose last and next value have the same sign, or other signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forecheck.papers.curse_of_attention.sign_task import SETS, draw_task, drawn, fit, linear_risks, risk, risks
from forecheck.papers.curse_of_attention.theory import sign
from forecheck.papers.curse_of_attention.theory.residual_ssm import Form
from forecheck.papers.curse_of_attention.theory.training import Optimizer, asymmetry
from forecheck.papers.curse_of_attention.theory.two_layer import TwoLayer
from forecheck.papers.experiment import Bench, Experiment

TEST = 4000
"""Windows of a test set."""


def split(
    bench: Bench,
    form: Form,
    gamma: float,
    noise: float,
    share: float | None,
    seed: int,
    windows: int,
    neurons: int,
    steps: int,
    factors: Sequence[float],
) -> dict[str, Any]:
    """Risks by test set of attention trained by gradient descent, of linear rules fitted to the same windows, and of 0.

    Args:
        bench: not needed.
        form, gamma, noise: of the data.
        share: of sign-inconsistent windows in training, None for the unrestricted law.
        seed: of data and network.
        windows, neurons, steps: in training.
        factors: step sizes, in units of 1 / lambda_max of the kernel; the best on validation windows is taken.
    """
    del bench
    task = draw_task(form, gamma, noise, seed, windows, TEST, share)
    trained = fit(TwoLayer(), task, [Optimizer("gd", each) for each in factors], neurons, steps)
    x, y = (each.numpy() for each in task.train)
    law, trajectory = task.law, trained.trajectory
    last = np.eye(law.steps)[-1]
    rules = {
        "residual": sign.fit_residual_linear(x, y),
        "ols": sign.fit_linear(x, y),
        "oracle": law.coefficients,
        "zero": 0 * last,
        "persistence": last,
    }
    return {
        "attention": risks(trained.forecast, task.tests),
        "stopped": risks(trained.forecast_stopped, task.tests),
        **{name: linear_risks(rule, task.tests) for name, rule in rules.items()},
        "exact zero": {signs: sign.linear_risk(law, 0 * last, signs) for signs in SETS},
        "floor": law.linear_error,
        "bound": sign.order_blind_bound(law),
        "factor": factors[trained.choice],
        "train": float(trajectory.errors[-1]),
        "gain": asymmetry(trajectory.start, trajectory.end).gain,
        "rarer": "inconsistent" if sign.sign_probability(law) < 0.5 else "consistent",
    }


def test_mix(
    bench: Bench, form: Form, gamma: float, seed: int, shares: Sequence[float], windows: int, neurons: int, steps: int
) -> dict[str, Any]:
    """Risks on test sets of which a share is sign-inconsistent, each drawn anew; training on the unrestricted law.

    Args:
        bench: not needed.
        form: of the data, see `residual_ssm`; their noise is 0.1.
        gamma: covariance of the last and the next step.
        seed: of data and network.
        shares: of sign-inconsistent windows, one for each test set.
        windows: in training.
        neurons: m.
        steps: of training.

    Returns:
        Risks by share of `attention` and of the `residual` linear network; the `ends`, attention's risks on purely
        consistent and inconsistent windows; and the `floor`, the risk of the true coefficients.
    """
    del bench
    task = draw_task(form, gamma, 0.1, seed, windows, TEST)
    trained = fit(TwoLayer(), task, [Optimizer("gd", 1.0)], neurons, steps)
    rule = sign.fit_residual_linear(task.train.x.numpy(), task.train.y.numpy())
    # Streams of the repetition are 10 seed to 10 seed + 9, so these lie far from those of all repetitions.
    tests = {str(share): drawn(task.law, TEST, 10**6 + 100 * seed + k, share) for k, share in enumerate(shares)}
    exact = {signs: risk(trained.forecast(pairs.x), pairs) for signs, pairs in task.tests.items()}
    return {
        "attention": list(risks(trained.forecast, tests).values()),
        "residual": list(linear_risks(rule, tests).values()),
        "ends": [exact["consistent"], exact["inconsistent"]],
        "floor": task.law.linear_error,
    }


def _splits(
    laws: Sequence[dict[str, Any]], seeds: int, factors: Sequence[float], sizes: tuple[int, int, int]
) -> list[dict[str, Any]]:
    windows, neurons, steps = sizes
    return [
        {"gamma": 0.5, "noise": 0.1, "share": None}
        | law
        | {"seed": seed, "windows": windows, "neurons": neurons, "steps": steps, "factors": list(factors)}
        for law in laws
        for seed in range(seeds)
    ]


_SMALL, _LARGE = (256, 256, 600), (512, 512, 1500)
_TUNED, _ONE = (0.25, 1.0), (1.0,)
_FORMS = ("unit", "flat")
_BOTH = [
    {"form": form, "share": share, "gamma": 7 / 8 if form == "prop3" else 0.5}
    for form, share in (("unit", None), ("flat", None), ("prop3", None), ("unit", 0.0), ("flat", 0.0))
]
_GAMMAS = [{"form": "unit", "gamma": gamma} for gamma in (-0.7, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 0.9)]
_SHARES = [{"form": form, "share": share} for form in _FORMS for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
_NOISES = [{"form": form, "noise": noise} for form in _FORMS for noise in (0.4, 0.2, 0.1, 0.05)]
_MIX = {"shares": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]}

SPLIT = Experiment(
    "sign split", split, quick=_splits(_BOTH, 10, _TUNED, _SMALL), full=_splits(_BOTH, 10, _TUNED, _LARGE)
)
GAMMA = Experiment("gamma", split, quick=_splits(_GAMMAS, 7, _ONE, _SMALL), full=_splits(_GAMMAS, 10, _ONE, _LARGE))
TRAIN_MIX = Experiment(
    "training mix", split, quick=_splits(_SHARES, 4, _ONE, _SMALL), full=_splits(_SHARES, 8, _ONE, _LARGE)
)
NOISE = Experiment("noise", split, quick=_splits(_NOISES, 4, _ONE, _SMALL), full=_splits(_NOISES, 8, _ONE, _LARGE))
TEST_MIX = Experiment(
    "test mix",
    test_mix,
    quick=[
        {"form": form, "gamma": gamma, "seed": seed, **_MIX, "windows": 256, "neurons": 256, "steps": 600}
        for form, gamma in (("unit", 0.5), ("unit", -0.5), ("flat", 0.5))
        for seed in range(5)
    ],
    full=[
        {"form": form, "gamma": gamma, "seed": seed, **_MIX, "windows": 512, "neurons": 512, "steps": 1500}
        for form, gamma in (("unit", 0.5), ("unit", -0.5), ("flat", 0.5))
        for seed in range(10)
    ],
)
