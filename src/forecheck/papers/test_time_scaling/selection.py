"""Which kinds of tasks the quadratic programme chooses to train on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.test_time_scaling.theory import select_tasks

SKILLS = 100
KINDS = {"Easy-Short": (0.2, 20), "Hard-Short": (0.8, 20), "Easy-Long": (0.2, 100), "Hard-Long": (0.8, 100)}
"""Decay of the spectrum and number of skills, as the paper names them; that they mean this is inferred."""
TARGETS = {"isotropic": 0.0, "decaying": 0.5, "hard": 0.8, "harder": 1.2}
"""Decay of the target's spectrum; the paper's target was not found."""


def decaying(decay: float, skills: Tensor) -> Tensor:
    """Diagonal of a covariance of trace 100 with i^-decay on these skills, and nothing on the others."""
    diagonal = torch.zeros(SKILLS, dtype=torch.float64)
    strengths = torch.arange(1, len(skills) + 1, dtype=torch.float64) ** -decay
    diagonal[skills] = strengths * SKILLS / strengths.sum()
    return diagonal


def selection(bench: Bench, target: str, order: str, each: int, repeats: int) -> dict[str, Any]:
    """Shares of the four kinds, `each` tasks of every one, for a target on all skills; a list a repeat.

    The strongest skill is the same in all tasks (`order` shared), or every task has an order of its own (own).

    Args:
        bench: not needed.
        target: one of `TARGETS`.
        order: of the skills, `shared` or `own`.
        each: tasks of a kind.
        repeats: how many; each draws skills of its own.
    """
    del bench
    found = []
    for seed in range(repeats):
        generator = torch.Generator().manual_seed(seed)

        def skills(count: int, generator: torch.Generator = generator) -> Tensor:
            chosen = torch.randperm(SKILLS, generator=generator)[:count]
            return chosen.sort().values if order == "shared" else chosen

        tasks = [decaying(decay, skills(count)) for decay, count in KINDS.values() for _ in range(each)]
        wanted = decaying(TARGETS[target], skills(SKILLS))
        shares = select_tasks(torch.diag_embed(torch.stack(tasks)), torch.diag(wanted))
        found.append(shares.view(len(KINDS), each).sum(dim=1).tolist())
    return {"kinds": list(KINDS), "shares": found}


SELECTION = Experiment(
    "selection",
    selection,
    quick=[
        {"target": target, "order": order, "each": 10, "repeats": 5}
        for target in TARGETS
        for order in ("shared", "own")
    ],
    full=[
        {"target": target, "order": order, "each": each, "repeats": 10}
        for target in TARGETS
        for order in ("shared", "own")
        for each in (5, 10, 20)
    ],
)
