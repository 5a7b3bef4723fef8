"""Free-running forecasts of the closed-form head beside those of the process itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.in_context.series import PROCESSES, process, variance
from forecheck.papers.in_context.theory.linear_self_attention import gram, hankel, read
from forecheck.papers.in_context.theory.optimum import (
    closed_form,
    collapse_step,
    divergence_share,
    median_decay,
    roll_out,
)

STEPS = 60


def rollouts(bench: Bench, process_name: str, begun: int, histories: int, repeats: int) -> dict[str, Any]:
    """Sizes, errors, collapse and divergence over 60 steps; a list a repeat. Errors in units of gamma_0.

    Args:
        bench: reports progress.
        process_name: one of `PROCESSES`.
        begun: steps of a history, before its forecast begins.
        histories: a repeat.
        repeats: how many; each draws histories of its own.

    Returns:
        By step, `sizes` (medians, in standard deviations) and `errors` of the head's forecasts, and those of the
        process's `own`. Errors are means over the histories whose forecast by the head does not diverge, `whole errors`
        over all of them. `collapse` is the median step from which forecasts stay near zero; of the `compared`
        histories, where head and process differ in it, so many collapse `earlier` by the head.
    """
    phi = torch.tensor(PROCESSES[process_name], dtype=torch.float64)
    order, source = len(phi), process(process_name)
    scale = variance(source) ** 0.5
    values, key_queries = closed_form(phi, 1.0, begun - order)

    def predict(history: Tensor) -> Tensor:
        return read(gram(hankel(history, order)), values, key_queries, history[:, -order:])

    found: dict[str, list[Any]] = {
        key: []
        for key in (
            *("sizes", "own sizes", "errors", "own errors", "whole errors"),
            *("earlier", "compared", "diverging", "collapse", "own collapse"),
        )
    }
    for seed in range(repeats):
        paths = torch.from_numpy(source.simulate(np.arange(histories), begun + STEPS, seed=seed)[..., 0])
        history, future = paths[:, :begun], paths[:, begun:]
        rolled = roll_out(predict, history, STEPS)
        own = torch.from_numpy(source.forecast(history[..., None].numpy(), STEPS)[..., 0])
        whole = ~(rolled.abs() > 50 * scale).any(dim=1)
        missed, own_missed = ((each - future).square() / scale**2 for each in (rolled, own))
        steps, own_steps = collapse_step(rolled, scale), collapse_step(own, scale)
        found["sizes"].append(median_decay(rolled, scale).tolist())
        found["own sizes"].append(median_decay(own, scale).tolist())
        found["errors"].append(missed[whole].mean(dim=0).tolist())
        found["own errors"].append(own_missed[whole].mean(dim=0).tolist())
        # A mean over all histories overflows: the share that diverges stands for them.
        found["whole errors"].append([min(each, 1e300) for each in missed.mean(dim=0).tolist()])
        found["earlier"].append(int((steps < own_steps).sum()))
        found["compared"].append(int((steps != own_steps).sum()))
        found["diverging"].append(divergence_share(rolled, scale))
        found["collapse"].append(_finite(steps))
        found["own collapse"].append(_finite(own_steps))
        bench.progress((seed + 1) / repeats, f"repeat {seed}")
    floor = source.bayes_error(STEPS)[0, :, 0] / scale**2
    return found | {"own error, expected": floor.tolist()}


def _finite(steps: Tensor) -> float:
    """The median step; the number of steps if most never collapse."""
    middle = steps.median().item()
    return middle if math.isfinite(middle) else float(STEPS)


_CASES = (("AR(1) 0.9", 20), ("AR(1) 0.9", 100), ("AR(1) 0.5", 20), ("AR(3) slow", 100))
ROLLOUTS = Experiment(
    "rollouts",
    rollouts,
    quick=[{"process_name": name, "begun": begun, "histories": 1000, "repeats": 4} for name, begun in _CASES],
    full=[
        {"process_name": name, "begun": begun, "histories": 2000, "repeats": 8}
        for name, begun in (*_CASES, ("AR(1) 0.9", 400))
    ],
)
