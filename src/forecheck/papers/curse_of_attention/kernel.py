"""E6: the tangent kernel's spectrum, its infinite-width limit, and how far training takes it from its start."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from forecheck.papers.curse_of_attention.gradients import distance
from forecheck.papers.curse_of_attention.theory.kernel import (
    Spectrum,
    infinite_tangent_kernel,
    kernel_descent,
    spectrum,
    tangent_kernel,
)
from forecheck.papers.curse_of_attention.theory.sign import fit_linear, linear_risk, order_blind_bound
from forecheck.papers.curse_of_attention.theory.tabulated import Table
from forecheck.papers.curse_of_attention.theory.training import Optimizer, train
from forecheck.papers.curse_of_attention.toy import MODEL, STEPS, log_times, network, windows
from forecheck.papers.experiment import Bench, Experiment

TEST = 1000
TIMES = 12
LEFT = 0.01
"""Epsilon of theorem 5.2, a part of the loss at the start."""


def spectra(bench: Bench, samples: int, steps: int, neurons: int | None, seeds: int) -> dict[str, Any]:
    """Eigenvalues of kernels at the start, by draw, and what theorem 5.2 makes of the smallest.

    Args:
        bench: not needed.
        samples: windows.
        steps: d, the length of a window.
        neurons: m; None for infinite width.
        seeds: draws of process, windows and weights, numbered from 0.

    Returns:
        A list by draw of every number: the 60 largest `eigenvalues`, both ends, ranks and `rounding`; `steps asked for`
        and `width asked for` by the theorem, None where the smallest eigenvalue is rounding.
    """
    del bench
    found: dict[str, list[Any]] = {}
    for seed in range(seeds):
        _, x, _ = windows("unit", 0.5, samples, seed, steps)
        kernel = (
            infinite_tangent_kernel(MODEL, x)
            if neurons is None
            else tangent_kernel(MODEL, network(neurons, seed, steps), x)
        )
        for name, value in _described(spectrum(kernel), samples, steps).items():
            found.setdefault(name, []).append(value)
    return found


def _described(found: Spectrum, samples: int, steps: int) -> dict[str, Any]:
    largest, smallest = float(found.eigenvalues[0]), float(found.eigenvalues[-1])
    return {
        "eigenvalues": found.eigenvalues[:60].tolist(),
        "smallest": smallest,
        "largest": largest,
        "rank": found.rank,
        "effective rank": found.effective_rank,
        "rounding": found.floor,
        # (eta lambda)^-1 log(1 / epsilon) at eta = 1 / lambda_max, and m without its constants and polynomials.
        "steps asked for": largest / smallest * math.log(1 / LEFT) if found.resolved else None,
        "width asked for": smallest**-3.0 * samples**7.0 * steps**2 if found.resolved else None,
    }


def limit(bench: Bench, samples: int, neurons: int, seeds: int) -> dict[str, Any]:
    """Relative distance of kernels at the start from that of infinite width, by draw.

    Args:
        bench: not needed.
        samples: windows.
        neurons: m.
        seeds: draws of process, windows and weights, numbered from 0.
    """
    del bench
    found = []
    for seed in range(seeds):
        _, x, _ = windows("unit", 0.5, samples, seed)
        found.append(distance(tangent_kernel(MODEL, network(neurons, seed), x), infinite_tangent_kernel(MODEL, x)))
    return {"distances": found}


def wide(bench: Bench, samples: int, neurons: int, paired: bool, seed: int, steps: int) -> dict[str, Any]:
    """How kernel and forecasts of a network leave those of its start and of infinite width while it is trained.

    Args:
        bench: not needed.
        samples: training windows.
        neurons: m.
        paired: whether neurons cancel in pairs, so that forecasts start from zero.
        seed: of process, windows and weights.
        steps: of gradient descent.

    Returns:
        At log-spaced `times`: `moved`, the largest change of a weight; relative distances of the kernel from that at
        the start (`left start`) and of forecasts from those of infinite width (`from infinite`); `risk` of both on
        fresh windows. Beside them the risks of references, and what the bounds need.
    """
    del bench
    process, x, y = windows("unit", 0.5, samples, seed)
    _, fresh, target = windows("unit", 0.5, TEST, seed, part=1)
    infinite, cross = infinite_tangent_kernel(MODEL, x), infinite_tangent_kernel(MODEL, fresh, x)
    rate = 1 / float(spectrum(infinite).eigenvalues[0])
    start, times = network(neurons, seed, paired=paired), log_times(steps, TIMES)
    run = train(MODEL, start, x, y, Optimizer(lr=rate), steps, keep=times)
    first = tangent_kernel(MODEL, start, x)
    limits = [kernel_descent(infinite, cross, y, rate, time) for time in times]
    kernels = [tangent_kernel(MODEL, run.kept[time], x) for time in times]
    table = Table(MODEL, fresh)
    forecasts = [table.gradient(run.kept[time], target)[0] for time in times]
    return {
        "times": times,
        "moved": [float((run.kept[time]["weight"] - start["weight"]).abs().max()) for time in times],
        "left start": [distance(kernel, first) for kernel in kernels],
        "norm at start": float(first.norm()),
        "reach": float(max(x.abs().max(), y.abs().max())),
        "smallest": float(spectrum(first).eigenvalues[-1]),
        "from infinite": [distance(ours, other) for ours, other in zip(forecasts, limits, strict=True)],
        "risk": [_risk(forecast, target) for forecast in forecasts],
        "risk of infinite": [_risk(forecast, target) for forecast in limits],
        "risk of zero": _risk(target * 0, target),
        "risk of least squares": linear_risk(process, fit_linear(x.numpy(), y.numpy())),
        "order-blind bound": order_blind_bound(process),
    }


def _risk(forecast: Tensor, target: Tensor) -> float:
    return float((forecast - target).square().mean())


SPECTRA = Experiment(
    "spectra",
    spectra,
    quick=[
        {"samples": samples, "steps": steps, "neurons": neurons, "seeds": 10}
        for steps, neurons in ((STEPS, 256), (STEPS, 4096), (STEPS, None), (4, None), (32, None))
        for samples in (2, 4, 8, 16, 32, 128)
    ],
)
LIMIT = Experiment(
    "limit of the kernel",
    limit,
    quick=[{"samples": 128, "neurons": 4**k, "seeds": 20} for k in range(3, 9)],
)
WIDE = Experiment(
    "training by width",
    wide,
    quick=[
        {"samples": 128, "neurons": neurons, "paired": paired, "seed": seed, "steps": 300}
        for neurons in (64, 256, 1024, 4096)
        for paired in (True, False)
        for seed in range(5)
    ]
    + [{"samples": 128, "neurons": 16384, "paired": True, "seed": seed, "steps": 300} for seed in range(5)],
    full=[
        {"samples": 128, "neurons": neurons, "paired": paired, "seed": seed, "steps": 1000}
        for neurons in (64, 256, 1024, 4096, 16384)
        for paired in (True, False)
        for seed in range(8)
    ],
)
