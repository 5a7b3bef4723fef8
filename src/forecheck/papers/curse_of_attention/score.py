"""E5: the attention that the last step gets from neurons by their weights, at random and in trained networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from forecheck.papers.curse_of_attention.theory.residual_ssm import Form
from forecheck.papers.curse_of_attention.theory.training import Optimizer, stable_step, train
from forecheck.papers.curse_of_attention.theory.two_layer import limits_of_last_share
from forecheck.papers.curse_of_attention.toy import MODEL, log_times, network, windows
from forecheck.papers.experiment import Bench, Experiment

WEIGHTS = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 1e4)
"""On both sides of zero; the last stands for infinity. Windows of variance s^2 would do the same at w / s^2."""
DOTS = 60
_TEST = 1 << 40
"""Seeds of white windows begin here."""


def by_weight(bench: Bench, steps: int, draws: int, seed: int) -> dict[str, Any]:
    """Mean attention of the last and of another step over white windows, by weight.

    Args:
        bench: not needed.
        steps: d, the length of a window.
        draws: windows.
        seed: of the windows.

    Returns:
        For every one of the `weights` what the `last` and what any `other` step gets, and the limits of the former.
    """
    del bench
    weights = [-w for w in reversed(WEIGHTS)] + [*WEIGHTS]
    last, other = _shares(torch.tensor(weights, dtype=torch.float64), _white(draws, steps, seed))
    lowest, highest = limits_of_last_share(steps)
    return {
        "weights": weights,
        "last": last.tolist(),
        "other": other.tolist(),
        "limit below": lowest,
        "limit above": highest,
    }


def trained(
    bench: Bench, form: Form, gamma: float, samples: int, neurons: int, seed: int, steps: int, draws: int
) -> dict[str, Any]:
    """The same of trained networks, by the sign of the output, over time.

    Args:
        bench: reports progress.
        form: of the process, see `residual_ssm`.
        gamma: covariance of the last and the next step.
        samples: training windows.
        neurons: m.
        seed: of process, windows and weights.
        steps: of gradient descent.
        draws: white windows that attention is averaged over.

    Returns:
        At `times`: `low`, share of neurons with negative output that look no more at the last step than at another one;
        the last step's attention from neurons of either sign. And at the end, for about 60 neurons, their `weights`,
        `outputs` and `excess` of attention to the last step over that to another.
    """
    _, x, y = windows(form, gamma, samples, seed)
    start = network(neurons, seed)
    rate = stable_step(MODEL, start, x)
    run = train(MODEL, start, x, y, Optimizer(lr=rate), steps, keep=log_times(steps, 8))
    fresh = _white(draws, x.shape[1], seed)
    negative = start["output"] < 0
    found: dict[str, list[float]] = {"low": [], "negative": [], "positive": []}
    weight, excess = run.end["weight"], torch.empty(0)
    for count, parameters in enumerate(run.kept.values()):
        weight = parameters["weight"]
        last, other = _shares(weight, fresh)
        excess = last - other
        found["low"].append(float((excess[negative] <= 0).double().mean()))
        found["negative"].append(float(last[negative].mean()))
        found["positive"].append(float(last[~negative].mean()))
        bench.progress((count + 1) / len(run.kept), "attention")
    every = slice(None, None, max(neurons // DOTS, 1))
    return {
        "times": [*run.kept],
        **found,
        "weights": weight[every].tolist(),
        "excess": excess[every].tolist(),
        "outputs": start["output"][every].tolist(),
    }


def _white(draws: int, steps: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(_TEST + seed)
    return torch.randn(draws, steps, generator=generator, dtype=torch.float64)


def _shares(weight: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """What neurons give to the last step, and to each of the others on average."""
    shares = MODEL.shares({"weight": weight, "output": torch.ones_like(weight)}, x)
    return shares[-1], shares[:-1].mean(dim=0)


BY_WEIGHT = Experiment(
    "attention by weight",
    by_weight,
    quick=[{"steps": steps, "draws": 40_000, "seed": seed} for steps in (2, 4, 8, 16, 32) for seed in range(5)],
    full=[{"steps": steps, "draws": 200_000, "seed": seed} for steps in (2, 4, 8, 16, 32) for seed in range(5)],
)


def _settings(forms: list[tuple[Form, float]], widths: tuple[int, ...], seeds: int, steps: int) -> list[dict[str, Any]]:
    return [
        {"form": form, "gamma": gamma, "samples": 128, "neurons": m, "seed": seed, "steps": steps, "draws": 4000}
        for form, gamma in forms
        for m in widths
        for seed in range(seeds)
    ]


TRAINED = Experiment(
    "attention of trained networks",
    trained,
    quick=_settings([("unit", 0.5), ("flat", 0.5)], (64, 512), 6, 2000),
    full=_settings([("unit", 0.5), ("flat", 0.5), ("prop3", 0.875), ("unit", -0.5)], (64, 512), 8, 3000),
)
