"""Trained steps by depth, and where gradient flow ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.integrate import solve_ivp
from torch import Tensor

from forecheck.papers.cross_attention.theory import best_step, excess, trained_pair, trained_step
from forecheck.papers.experiment import Bench, Experiment

NODES, WEIGHTS = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(64))


def minimisers(bench: Bench, low: float, high: float, depth: int) -> dict[str, Any]:
    """The steps that minimise the error with unlimited context: alpha alone, and alpha with beta.

    Args:
        bench: not needed.
        low: lower bound of the eigenvalues m of M'M.
        high: their upper bound.
        depth: T, the number of layers.

    Returns:
        The steps, `limit`, the step that is best in the limit of depth, and the excess errors of all three.
    """
    del bench
    alpha = trained_step(depth, low, high)
    pair = trained_pair(depth, low, high) if depth > 1 else (alpha, -alpha)
    return {
        "alpha": alpha,
        "alpha of two": pair[0],
        "beta of two": pair[1],
        "limit": best_step(low, high),
        "excess": excess(depth, alpha, low, high),
        "excess at the limit": excess(depth, best_step(low, high), low, high),
        "excess of two": excess(depth, pair[0], low, high, pair[1]),
    }


def loss(pair: Float[Tensor, "2"], depth: int, low: float, high: float) -> Tensor:
    """`excess` of alpha and beta, to be differentiated.

    Args:
        pair: alpha and beta.
        depth: T, the number of layers.
        low: lower bound of the eigenvalues m of M'M.
        high: their upper bound.
    """
    m = low + (high - low) * (NODES + 1) / 2
    left, power = torch.ones_like(m), torch.ones_like(m)
    for _ in range(depth):
        left = left - pair[0] * (1 + m) * power
        power = power * (1 + pair[1] * (1 + m))
    return (WEIGHTS / 2 * m / (1 + m) * left.square()).sum()


def flow(bench: Bench, low: float, high: float, depth: int, time: float) -> dict[str, Any]:
    """Gradient flow of both parameters from (0.01, -0.01), integrated as a stiff equation.

    Args:
        bench: reports progress.
        low: lower bound of the eigenvalues m of M'M.
        high: their upper bound.
        depth: T, the number of layers.
        time: until when it is integrated, from 0.

    Returns:
        40 times from 0.01 on, evenly spread over their logarithms, with alpha and beta at each.
    """

    def slope(at: float, pair: np.ndarray) -> np.ndarray:
        bench.progress(at / time, f"time {at:.2g}")
        place = torch.from_numpy(pair).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(place, depth, low, high), place)
        return -gradient.numpy()

    instants = np.geomspace(1e-2, time, 40)
    found = solve_ivp(slope, (0.0, time), [0.01, -0.01], method="LSODA", t_eval=instants, rtol=1e-8, atol=1e-10)
    return {"times": found.t.tolist(), "alphas": found.y[0].tolist(), "betas": found.y[1].tolist()}


SPANS = ((1.0, 9.0), (0.5, 4.0))
"""Bounds of the eigenvalues m of M'M; the paper's were not found."""
MINIMISERS = Experiment(
    "minimisers",
    minimisers,
    quick=[
        {"low": low, "high": high, "depth": depth}
        for low, high in SPANS
        for depth in (1, 2, 3, 5, 8, 10, 14, 20, 28, 40)
    ],
)
FLOW = Experiment(
    "flow",
    flow,
    quick=[{"low": low, "high": high, "depth": depth, "time": 1e7} for low, high in SPANS for depth in (2, 5)],
    full=[{"low": low, "high": high, "depth": depth, "time": 1e9} for low, high in SPANS for depth in (2, 5, 10)],
)
