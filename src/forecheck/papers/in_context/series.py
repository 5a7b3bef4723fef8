"""Prompts of autoregressive series, and the processes that they are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.papers.in_context.theory.autoregressive import Autoregression, Law
from forecheck.papers.in_context.theory.linear_self_attention import gram, hankel

PROCESSES = {
    "AR(1) 0.8": (0.8,),
    "AR(2)": (0.6, -0.3),
    "AR(3)": (0.5, 0.2, -0.4),
    "AR(1) 0.9": (0.9,),
    "AR(1) 0.5": (0.5,),
    "AR(3) slow": (1.2, -0.5, 0.2),
}
BURN_IN = 100


def process(name: str) -> Autoregression:
    """A process with innovations of variance 1."""
    return Autoregression.scalar(np.array([PROCESSES[name]]))


def variance(of: Autoregression) -> float:
    """gamma_0."""
    return float(of.autocovariances(1)[0, 0, 0, 0])


@dataclass(frozen=True, eq=False)
class Prompts:
    """What one layer sees of windows, the best linear forecast, and what came next."""

    gram: Float[Tensor, "window row row"]
    query: Float[Tensor, "window lag"]
    best: Float[Tensor, " window"]
    target: Float[Tensor, " window"]


def prompts_of(windows: Float[Tensor, "window time"], coefficients: Float[Tensor, " lag"]) -> Prompts:
    """Of windows whose last step is the target."""
    order = len(coefficients)
    prompt = hankel(windows[:, :-1], order)
    query = prompt[:, :-1, -1]
    return Prompts(gram(prompt), query, query @ coefficients.flip(0), windows[:, -1])


def draw_prompts(name: str, columns: int, windows: int, seed: int, law: Law = "normal") -> Prompts:
    """Independent windows of a process with n complete columns.

    Args:
        name: of the process, one of `PROCESSES`.
        columns: n.
        windows: how many.
        seed: of all windows.
        law: of the innovations.
    """
    coefficients = torch.tensor(PROCESSES[name], dtype=torch.float64)
    steps = len(coefficients) + columns + 1
    burn_in = 0 if law == "normal" else BURN_IN
    made = process(name).simulate(np.arange(windows), steps, seed=seed, law=law, burn_in=burn_in)
    return prompts_of(torch.from_numpy(made[..., 0]), coefficients)


def in_context_regression(prompts: Prompts) -> Float[Tensor, " window"]:
    """Forecasts of least squares on each prompt's own columns; without an inverse the shortest solution."""
    inverse = torch.linalg.pinv(prompts.gram[:, :-1, :-1], hermitian=True)
    return torch.einsum("wi,wij,wj->w", prompts.query, inverse, prompts.gram[:, :-1, -1])
