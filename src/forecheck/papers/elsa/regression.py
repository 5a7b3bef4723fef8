r"""Sparse linear regression: a convex loss, a known support, and the condition that ELSA is said to converge to."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.papers.experiment import Bench, Experiment
from forecheck.sparsity.elsa import Penalty, Projection
from forecheck.sparsity.masks import largest
from forecheck.sparsity.methods import Goal
from forecheck.sparsity.prune import Steps, prune_network

INPUTS, SUPPORT, ROWS, NOISE = 100, 10, 200, 0.5
STEPS, RATE = 400, 0.03


def draw(correlation: float, seed: int) -> tuple[Float[np.ndarray, "row input"], Float[np.ndarray, " input"]]:
    r"""Inputs that are correlated by :math:`\rho^{|i - j|}`, and weights of size 0.5 to 1.5, most of them zero."""
    rng = np.random.default_rng([seed, 2510])
    x = rng.standard_normal((ROWS, INPUTS))
    for j in range(1, INPUTS):
        x[:, j] = correlation * x[:, j - 1] + np.sqrt(1 - correlation**2) * x[:, j]
    weights = np.zeros(INPUTS)
    weights[rng.choice(INPUTS, SUPPORT, replace=False)] = rng.uniform(0.5, 1.5, SUPPORT) * rng.choice([-1, 1], SUPPORT)
    return x, weights


def regression(bench: Bench, correlation: float, strength: float, projection: Projection, seed: int) -> dict[str, Any]:
    r"""How far the end is from what was to be found, and from a stationary point.

    A point of the sparse set is stationary where :math:`w \in \Pi_S(w - \nabla f(w) / \lambda)`: no gradient on its
    support, and elsewhere :math:`|\nabla_i f| / \lambda` at most the smallest weight.

    Args:
        bench: its `progress` is called as parts of the experiment finish.
        correlation: of neighbouring inputs.
        strength: of the pull, lambda.
        projection: of ELSA.
        seed: of the draw.
    """
    inputs, truth = draw(correlation, seed)
    noise = NOISE * np.random.default_rng([seed, 1]).standard_normal(ROWS)
    x, y = (torch.from_numpy(each).float() for each in (inputs, inputs @ truth + noise))
    least_squares = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    network = nn.Linear(INPUTS, 1, bias=False)
    network.weight.data[0] = least_squares

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return (model(x)[:, 0] - y).square().mean()

    found = prune_network(
        network,
        loss,
        lambda _: (x, y),
        lambda model: float(loss(model, x, y).detach()),
        Goal(1 - SUPPORT / INPUTS, None, None, STEPS, 8, Penalty(strength, "constant"), projection),
        method="elsa",
        training=Steps(STEPS, RATE, clip=None, seed=seed),
    )
    weights = network.weight.detach()[0]
    gradient = -2 / ROWS * x.T @ (y - x @ weights)
    kept, asked = found.masks["weight"][0], torch.from_numpy(truth != 0)
    bench.progress(1.0, f"correlation {correlation}, {projection}")
    return {
        "support": int((kept & asked).sum()) / SUPPORT,
        "one shot": int((largest(least_squares.abs(), SUPPORT) & asked).sum()) / SUPPORT,
        "residual": found.trace[-1]["residual"],
        "gradient": float(gradient[kept].norm() / (2 / ROWS * x.T @ y).norm()),
        "gap": float(gradient[~kept].abs().max() / strength / weights[kept].abs().min()),
    }


REGRESSION = Experiment(
    "regression",
    regression,
    quick=[
        {"correlation": correlation, "strength": strength, "projection": projection, "seed": seed}
        for correlation in (0.0, 0.5, 0.9)
        for strength in (0.1, 1.0, 10.0)
        for projection in ("plain", "aware")
        for seed in range(3)
    ],
)
