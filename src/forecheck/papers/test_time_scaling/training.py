"""Gradient descent on direct answers, and the weights it ends with."""

from __future__ import annotations

from typing import Any

import torch

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.test_time_scaling.theory import layer_weights, trained_matrix
from forecheck.papers.test_time_scaling.thinking import WIDTH, covariance, draw_inputs

X, Y, W, ONE = slice(0, WIDTH), WIDTH, slice(WIDTH + 1, 2 * WIDTH + 1), 2 * WIDTH + 1
"""Rows of a prompt."""
STEP = 0.02
"""Of descent; the steepest direction is that of the labels' own Gram entry, of curvature about 60."""


def descent(bench: Bench, spectrum: str, train: int, seed: int, steps: int, batch: int) -> dict[str, Any]:
    r"""The whole layer by gradient descent with a constant step on fresh prompts.

    It begins with the key-query matrix of the theorem and small random numbers beside it, and small random values; the
    map that is learnt, V_{w,x} W_{y,1}, is the mean over the second half of the steps.

    Args:
        bench: reports progress.
        spectrum: of the inputs, one of `SPECTRA`.
        train: n, examples a prompt.
        seed: of initial weights and prompts.
        steps: of descent.
        batch: prompts a step.

    Returns:
        Relative distances of the learnt map from the inverses of Gamma and Lambda, how far the key-query weights on the
        weight slot moved, and the diagonals of what is learnt and of Gamma's inverse.
    """
    second = covariance(spectrum)
    generator = torch.Generator().manual_seed(seed)
    rows = 2 * WIDTH + 2
    value, key_query = 0.01 * torch.randn(2, rows, rows, generator=generator, dtype=torch.float64)
    key_query = key_query + layer_weights(torch.eye(WIDTH, dtype=torch.float64))[1]
    begun = key_query[X, W].clone()
    value.requires_grad_()
    key_query.requires_grad_()
    optimiser = torch.optim.SGD([value, key_query], lr=STEP)
    learnt = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    for step in range(steps):
        x = draw_inputs(second, batch, train, seed * 1_000_003 + step)
        w = torch.randn(batch, WIDTH, generator=generator, dtype=torch.float64)
        prompt = torch.zeros(batch, rows, train + 1, dtype=torch.float64)
        prompt[:, X, :-1], prompt[:, Y, :-1] = x, torch.einsum("bd,bdn->bn", w, x)
        prompt[:, ONE, -1] = 1
        asked = prompt.mT @ (prompt[:, :, -1] @ key_query.mT)[:, :, None]
        made = prompt[:, :, -1] + (prompt @ asked)[:, :, 0] @ value.mT / train
        target = prompt[:, :, -1].clone()
        target[:, W] = w
        loss = (made - target).square().sum(dim=1).mean() / 2
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if step >= steps // 2:
            learnt += value.detach()[W, X] * key_query.detach()[Y, ONE] / (steps - steps // 2)
        if step % 50 == 0:
            bench.progress(step / steps, f"step {step}")
    expected, plain = torch.linalg.inv(trained_matrix(second, train)), torch.linalg.inv(second)
    return {
        "from the inverse of Gamma": ((learnt - expected).norm() / expected.norm()).item(),
        "from the inverse of Lambda": ((learnt - plain).norm() / plain.norm()).item(),
        "weight slot moved": (key_query.detach()[X, W] - begun).abs().max().item(),
        "learnt": learnt.diagonal().tolist(),
        "expected": expected.diagonal().tolist(),
    }


DESCENT = Experiment(
    "descent",
    descent,
    quick=[{"spectrum": "mild", "train": 20, "seed": seed, "steps": 2000, "batch": 100} for seed in range(3)],
    full=[
        {"spectrum": "mild", "train": train, "seed": seed, "steps": 4000, "batch": 100}
        for train in (10, 30)
        for seed in range(3)
    ],
)
