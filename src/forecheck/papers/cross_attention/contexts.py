"""Errors beyond Bayes in prompts of finite length, by depth."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.papers.cross_attention.steps import SPANS
from forecheck.papers.cross_attention.theory import Factors, best_step, diverges, draw_factors, excess, trained_step
from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.in_context.theory.linear_self_attention import gram

WIDTH = 10
DEPTHS = (1, 2, 3, 5, 10, 20, 50)


def deep_weights(
    eigenvalues: Float[Tensor, "task width"],
    vectors: Float[Tensor, "task width width"],
    labels: Float[Tensor, "task width"],
    step: Float[Tensor, "task 1"],
    depth: int,
) -> Float[Tensor, "task width"]:
    r"""`theory.learnt_weights` of any depth at once, with a step of its own for every prompt.

    .. math:: Q \, \mathrm{diag} \Big( \frac{1 - (1 - \alpha \lambda)^T}{\lambda} \Big) Q^\top \frac1L \sum_i y_i x_i

    Args:
        eigenvalues: lambda of S, the second moments of the context's x; none of them zero.
        vectors: Q, the eigenvectors as columns, in the order of the eigenvalues.
        labels: mean of y x over the context.
        step: alpha of every prompt.
        depth: T, the number of layers.
    """
    kept = (1 - (1 - step * eigenvalues) ** depth) / eigenvalues
    return torch.einsum("tij,tj,tkj,tk->ti", vectors, kept, vectors, labels)


def best_scalar(tasks: Factors, sums: Float[Tensor, "task width"]) -> Float[Tensor, " task"]:
    """Excess of one layer, its scalar fitted to the other half of the tasks.

    Directions are isotropic, and G_xy'q is the only product of Gram matrix and query that no rotation changes, so a
    scalar is all that one layer can use, with any number of heads.
    """
    zero, plus, minus = (tasks.excess(scale * sums) for scale in (0.0, 1.0, -1.0))
    slope, bend = (plus - minus) / 2, (plus + minus) / 2 - zero
    half = len(sums) // 2
    scale = torch.empty_like(zero)
    scale[:half] = -slope[half:].sum() / (2 * bend[half:].sum())
    scale[half:] = -slope[:half].sum() / (2 * bend[:half].sum())
    return zero + slope * scale + bend * scale.square()


def contexts(bench: Bench, low: float, high: float, length: int, tasks: int, repeats: int) -> dict[str, Any]:
    """Mean and median excess over tasks, a list a repeat; errors are taken over all queries of a prompt.

    Args:
        bench: reports progress.
        low: lower bound of the eigenvalues m of M'M.
        high: their upper bound.
        length: L, labelled examples a prompt.
        tasks: prompts a repeat, each of a task of its own.
        repeats: how many; a repeat's number is its seed.

    Returns:
        `means` and `medians` by depth (`depths`) with the step that is best without limit, `safe`, means with the step
        of every prompt's own spectrum; means of `single`, the best single layer, and `regression`, least squares in the
        prompt; `diverging`, share of prompts whose errors grow with depth. Without limit of context, `floor`, the
        excess of one layer, and `explained`, that of predicting zero.
    """
    found: dict[str, list[Any]] = {key: [] for key in ("means", "medians", "safe", "single", "regression", "diverging")}
    step = best_step(low, high)
    for seed in range(repeats):
        drawn = draw_factors(tasks, WIDTH, low, high, seed=seed)
        known = gram(drawn.prompts(length, seed=1000 + seed)[0])
        second, labels = known[:, :-1, :-1], known[:, :-1, -1]
        eigenvalues, vectors = torch.linalg.eigh(second)
        best = torch.full_like(eigenvalues[:, :1], step)
        safe = 2 / (eigenvalues[:, :1] + eigenvalues[:, -1:])
        errors, safely = (
            torch.stack([drawn.excess(deep_weights(eigenvalues, vectors, labels, each, k)) for k in DEPTHS])
            for each in (best, safe)
        )
        found["means"].append(errors.mean(dim=1).tolist())
        found["medians"].append(errors.median(dim=1).values.tolist())
        found["safe"].append(safely.mean(dim=1).tolist())
        found["single"].append(best_scalar(drawn, labels).mean().item())
        found["regression"].append(drawn.excess(torch.linalg.solve(second, labels)).mean().item())
        found["diverging"].append(diverges(second, step).double().mean().item())
        bench.progress((seed + 1) / repeats, f"repeat {seed}")
    floor = excess(1, trained_step(1, low, high), low, high)
    return found | {"depths": list(DEPTHS), "floor": floor, "explained": _explained(low, high)}


def _explained(low: float, high: float) -> float:
    """What the best predictor explains, E[m / (1 + m)]: the excess of predicting zero."""
    return excess(1, 0.0, low, high)


def _cases(tasks: int, repeats: int, lengths: tuple[int, ...]) -> list[dict[str, Any]]:
    return [
        {"low": low, "high": high, "length": length, "tasks": tasks, "repeats": repeats}
        for low, high in SPANS
        for length in lengths
    ]


CONTEXTS = Experiment(
    "contexts",
    contexts,
    quick=_cases(200, 5, (50, 200, 1000, 5000)),
    full=_cases(500, 10, (20, 50, 100, 200, 500, 1000, 2000, 5000)),
)
