"""What is measured on regression tasks with a prior mean."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.in_context.theory.heads import Moments, fit_heads, relaxed_optimum, tensor_of
from forecheck.papers.in_context.theory.linear_self_attention import gram
from forecheck.papers.initialisation.theory import (
    Tasks,
    best_step,
    draw_tasks,
    gradient_step_weights,
    predict,
    step_error,
)

WIDTH = CONTEXT = 10
"""d and C, section 5."""
TEST = 60_000
HEADS = (1, 2, 3, 5, 8, 11)
MEANS = (0.0, 0.5, 1.0, 2.0, 5.0)


def heads(bench: Bench, mean: float, seed: int, tasks: int, sweeps: int) -> dict[str, Any]:
    """Error of the best weights of H heads on fresh tasks, and that of one step of gradient descent.

    Args:
        bench: reports progress.
        mean: every coordinate of the prior mean.
        seed: of tasks and random starts.
        tasks: that the weights are fitted to.
        sweeps: of alternating least squares, see `fit_heads`.

    Returns:
        `errors` by number of `heads`, that of `any number` of them, and those of a step from the prior mean and from
        zero.
    """
    centre = torch.full((WIDTH,), mean, dtype=torch.float64)
    moments = _moments(draw_tasks(tasks, CONTEXT, centre, seed=2 * seed))
    fresh = _moments(draw_tasks(TEST, CONTEXT, centre, seed=2 * seed + 1))
    found = []
    for k, count in enumerate(HEADS):
        fitted = fit_heads(moments, count, sweeps=sweeps, starts=1, seed=seed)
        found.append(fresh.loss(tensor_of(fitted.values, fitted.key_queries)))
        bench.progress((k + 1) / len(HEADS), f"{count} heads")
    return {
        "heads": list(HEADS),
        "errors": found,
        "any number": fresh.loss(relaxed_optimum(moments)[0]),
        "step from the mean": step_error(WIDTH, WIDTH, CONTEXT),
        "step from zero": step_error(WIDTH * (1 + mean**2), WIDTH, CONTEXT),
    }


def trained(bench: Bench, mean: float, guess: bool, seed: int, steps: int) -> dict[str, Any]:
    """One head trained by Adam from small random weights, with or without a linear guess in the label slot.

    Args:
        bench: reports progress.
        mean: every coordinate of the prior mean.
        guess: whether the guess is learnt; else it is zero.
        seed: of initial weights and tasks.
        steps: of Adam, on 1024 fresh tasks each.

    Returns:
        The `error` on fresh tasks and that of a step from the prior mean, in theory and on the same tasks; what was
        learnt beside what makes that step; and the training `curve`.
    """
    torch.manual_seed(seed)
    centre = torch.full((WIDTH,), mean)
    values = (0.1 * torch.randn(1, WIDTH + 1)).requires_grad_()
    key_queries = (0.1 * torch.randn(1, WIDTH + 1, WIDTH)).requires_grad_()
    start = torch.zeros(WIDTH, requires_grad=guess)
    learnt = [values, key_queries, *([start] if guess else [])]
    optimiser = torch.optim.Adam(learnt, lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    curve: list[tuple[int, float]] = []
    for step in range(steps):
        tasks = draw_tasks(1024, CONTEXT, centre, seed=seed * 1_000_003 + step)
        loss = _error(tasks, start, values, key_queries)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        if step % max(steps // 60, 1) == 0:
            curve.append((step + 1, loss.item()))
            bench.progress(step / steps, f"step {step}")
    with torch.no_grad():
        fresh = draw_tasks(TEST, CONTEXT, centre, seed=seed + 10**9)
        error = _error(fresh, start, values, key_queries).item()
        descended = gradient_step_weights(centre, best_step(WIDTH, WIDTH, CONTEXT))
        scale = float(values[0, -1])
        return {
            "error": error,
            "step on the same tasks": _error(fresh, *descended).item(),
            "step from the mean": step_error(WIDTH, WIDTH, CONTEXT),
            "best step": best_step(WIDTH, WIDTH, CONTEXT),
            "learnt guess": float(start.mean()),
            "value ratio": float(values[0, :-1].mean()) / scale,
            "learnt step": scale * float(key_queries[0, :-1].diagonal().mean()),
            "curve": curve,
        }


def exact(bench: Bench, mean: float, seed: int) -> dict[str, Any]:
    """The explicit weights against a step of gradient descent that is written out, task by task.

    Args:
        bench: not needed.
        mean: about which every coordinate of the prior mean, where descent starts, is drawn.
        seed: of start and tasks.

    Returns:
        Their largest difference, relative to the largest prediction.
    """
    del bench
    generator = torch.Generator().manual_seed(seed)
    start = mean + torch.randn(WIDTH, generator=generator, dtype=torch.float64)
    tasks = draw_tasks(2000, CONTEXT, start, seed=seed)
    step = best_step(WIDTH, WIDTH, CONTEXT)
    x, y = tasks.prompt[:, :-1, :-1], tasks.prompt[:, -1, :-1]
    descended = start + step / CONTEXT * torch.einsum("tc,tdc->td", y - torch.einsum("d,tdc->tc", start, x), x)
    by_hand = torch.einsum("td,td->t", descended, tasks.prompt[:, :-1, -1])
    by_attention = predict(tasks.prompt, *gradient_step_weights(start, step))
    return {"difference": float((by_hand - by_attention).abs().max() / by_hand.abs().max())}


def _moments(tasks: Tasks) -> Moments:
    """Of tasks whose query is normal: it is integrated out."""
    return Moments.of_weights(gram(tasks.prompt), tasks.weights)


def _error(tasks: Tasks, guess: Tensor, values: Tensor, key_queries: Tensor) -> Tensor:
    return (predict(tasks.prompt, guess, values, key_queries) - tasks.target).square().mean()


HEAD_COUNT = Experiment(
    "heads",
    heads,
    # The mean of zero, where nothing is claimed, is shown by one seed.
    quick=[
        {"mean": mean, "seed": seed, "tasks": 30_000, "sweeps": 30}
        for mean, seeds in ((0.0, 1), (1.0, 3), (2.0, 3))
        for seed in range(seeds)
    ],
    full=[{"mean": mean, "seed": seed, "tasks": 200_000, "sweeps": 60} for mean in MEANS for seed in range(5)],
)
TRAINED = Experiment(
    "trained",
    trained,
    # Training without a guess is reported beside it, not judged: one seed.
    quick=[
        {"mean": 1.0, "guess": guess, "seed": seed, "steps": 3000}
        for guess, seeds in ((True, 3), (False, 1))
        for seed in range(seeds)
    ],
    full=[
        {"mean": mean, "guess": guess, "seed": seed, "steps": 6000}
        for mean in (0.0, 1.0, 2.0)
        for guess in (True, False)
        for seed in range(5)
    ],
)
EXACT = Experiment("exact", exact, quick=[{"mean": mean, "seed": seed} for mean in (0.0, 2.0) for seed in range(5)])
assert math.isclose(step_error(10, 10, 10), 10 * 11 / 21)  # d(d+1)/(C+d+1): what the tables are read against
