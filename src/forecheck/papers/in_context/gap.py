"""Excess errors of one layer over the best linear predictor, by number of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.in_context.series import (
    BURN_IN,
    PROCESSES,
    draw_prompts,
    in_context_regression,
    process,
    variance,
)
from forecheck.papers.in_context.theory.autoregressive import (
    EXCESS_KURTOSIS,
    Autoregression,
    Law,
    rejected_coefficients,
)
from forecheck.papers.in_context.theory.heads import Moments, fit_heads, relaxed_optimum, tensor_of
from forecheck.papers.in_context.theory.linear_self_attention import read
from forecheck.papers.in_context.theory.optimum import closed_form, gap, preconditioner

SERIES = 40_000
"""Steps of the one series that the paper's regression is fitted to."""


def gaps(bench: Bench, process_name: str, law: Law, columns: int, windows: int, repeats: int) -> dict[str, Any]:
    """Excess over the best linear predictor, as a share of the variance that it explains; a list a repeat.

    The optimum of any number of heads is given on the windows that it was fitted to ("relaxed", no larger than the true
    one) and on others; the fitted head and all else on others.

    Args:
        bench: reports progress.
        process_name: one of `PROCESSES`.
        law: of the innovations.
        columns: n, complete columns of a prompt.
        windows: prompts to fit to, and as many others.
        repeats: how many; each draws windows of its own.

    Returns:
        The lists by name; `predicted`, the share that the closed form leaves in theory, and `in context, first order`,
        that which regression in the prompt leaves, to first order in 1/n; `explained`, the variance that these are
        shares of; and the `order` of the process.
    """
    keys = ("relaxed", "relaxed on others", "fitted head", "closed form", "in context", "on the series")
    found: dict[str, list[float]] = {key: [] for key in keys}
    phi = torch.tensor(PROCESSES[process_name], dtype=torch.float64)
    kurtosis = EXCESS_KURTOSIS[law]
    explained = variance(process(process_name)) - 1
    weights = closed_form(phi, 1.0, columns, kurtosis)
    for seed in range(repeats):
        train, test = (draw_prompts(process_name, columns, windows, 2 * seed + k, law) for k in (0, 1))
        moments = Moments.of(train.gram, train.query, train.best)
        others = Moments.of(test.gram, test.query, test.best)
        tensor, least = relaxed_optimum(moments)
        head = fit_heads(moments, 1, sweeps=30, starts=1, seed=seed, start=weights[0])
        errors = {
            "relaxed": least,
            "relaxed on others": others.loss(tensor),
            "fitted head": others.loss(tensor_of(head.values, head.key_queries)),
            "closed form": (read(test.gram, *weights, test.query) - test.best).square().mean().item(),
            "in context": (in_context_regression(test) - test.best).square().mean().item(),
            "on the series": _regression_excess(process_name, law, seed),
        }
        for key in keys:
            found[key].append(errors[key] / explained)
        bench.progress((seed + 1) / repeats, f"repeat {seed}")
    return found | {
        "predicted": gap(1.0, columns, kurtosis),
        "explained": explained,
        "order": len(phi),
        "in context, first order": len(phi) / columns / explained,
    }


def _regression_excess(name: str, law: Law, seed: int) -> float:
    """Of regression on one long series, over all windows."""
    made = process(name).simulate(np.array([10**6 + seed]), SERIES, seed=seed, law=law, burn_in=BURN_IN)[0, :, 0]
    order = len(PROCESSES[name])
    lagged = np.stack([made[order - k : len(made) - k] for k in range(1, order + 1)], axis=1)
    missed = np.linalg.lstsq(lagged, made[order:])[0] - np.array(PROCESSES[name])
    return float(missed @ process(name).state_covariance()[0] @ missed)


def many(bench: Bench, order: int, scaled: bool, processes: int, repeats: int) -> dict[str, Any]:
    """Excess of the best layer for many processes at once, without limit of context; shares of what they explain.

    Args:
        bench: reports progress.
        order: p.
        scaled: whether every process is divided by its standard deviation.
        processes: stable ones a repeat, coefficients uniform.
        repeats: how many; each draws processes of its own.
    """
    found = []
    for seed in range(repeats):
        drawn = rejected_coefficients(np.arange(processes), order, radius=0.95, seed=seed)[..., 0, 0]
        covariances = torch.from_numpy(Autoregression.scalar(drawn).autocovariances(order + 1)[..., 0, 0])
        covariances = covariances / covariances[:, :1] if scaled else covariances
        found.append(preconditioner(torch.from_numpy(drawn), covariances)[1])
        bench.progress((seed + 1) / repeats, f"repeat {seed}")
    return {"shares": found}


NAMES = ("AR(1) 0.8", "AR(2)", "AR(3)")


def _cases(windows: int, repeats: int, lengths: tuple[int, ...], *laws: Law) -> list[dict[str, Any]]:
    return [
        {"process_name": name, "law": law, "columns": n, "windows": windows, "repeats": repeats}
        for law in laws
        for name in NAMES
        for n in lengths
    ]


GAPS = Experiment(
    "gaps",
    gaps,
    quick=_cases(6000, 4, (5, 10, 25, 50, 100, 200), "normal"),
    full=_cases(12_000, 6, (5, 10, 25, 50, 100, 200), "normal"),
)
LONG = Experiment(
    "long", gaps, quick=_cases(1500, 4, (400, 1600), "normal"), full=_cases(6000, 5, (400, 1600), "normal")
)
LAPLACE = Experiment(
    "laplace", gaps, quick=_cases(6000, 4, (50, 200), "laplace"), full=_cases(12_000, 6, (50, 100, 200), "laplace")
)
MANY = Experiment(
    "many",
    many,
    quick=[
        {"order": order, "scaled": scaled, "processes": 3000, "repeats": 4}
        for order in (1, 2, 3)
        for scaled in (False, True)
    ],
    full=[
        {"order": order, "scaled": scaled, "processes": 20_000, "repeats": 5}
        for order in (1, 2, 3)
        for scaled in (False, True)
    ],
)
