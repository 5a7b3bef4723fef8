"""Errors of k steps of thought by covariance of training and test, lengths of training and test prompts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.test_time_scaling.theory import (
    chain,
    chain_error,
    direct_bound,
    embed,
    hardness,
    layer_weights,
    scaling_law,
    top_eigenvalue,
    trained_matrix,
)

WIDTH = 10
"""d; the paper's was not found."""
STEPS = 20
SPECTRA = {
    "flat": [1.0] * WIDTH,
    "mild": [0.3 + 0.7 * i / (WIDTH - 1) for i in range(WIDTH)],
    "skewed": [1 / i for i in range(1, WIDTH + 1)],
    **{f"least {least:g}": [1.0] * (WIDTH - 1) + [least] for least in (0.3, 0.1, 0.03)},
}
"""Eigenvalues of Lambda."""


def covariance(spectrum: str, scaled: bool = False) -> Tensor:
    """Lambda, diagonal; with trace d if scaled."""
    eigenvalues = torch.tensor(SPECTRA[spectrum], dtype=torch.float64)
    return torch.diag(eigenvalues * (WIDTH / eigenvalues.sum() if scaled else 1))


def draw_inputs(second: Tensor, prompts: int, length: int, seed: int) -> Tensor:
    """Inputs of prompts, (prompt, width, length).

    Args:
        second: their covariance, positive definite.
        prompts: how many.
        length: examples a prompt.
        seed: of all prompts.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(prompts, len(second), length, generator=generator, dtype=second.dtype)
    return torch.linalg.cholesky(second) @ drawn


def thoughts(
    bench: Bench, spectrum: str, scaled: bool, test: str, train: int, prompt: int, prompts: int, repeats: int
) -> dict[str, Any]:
    """Errors of 1 to 20 steps over d, weights integrated out: mean and median over prompts, a list a repeat.

    Args:
        bench: not needed.
        spectrum: of training inputs, one of `SPECTRA`.
        scaled: whether their covariance is scaled to trace d.
        test: spectrum of test inputs, not scaled.
        train: n, examples a training prompt.
        prompt: m, examples a test prompt.
        prompts: a repeat.
        repeats: how many; a repeat's number is its seed.

    Returns:
        The errors by number of steps; the share of prompts whose top eigenvalue is above 2; both for prompts without
        limit (`unlimited`); and over d too, what theory says: the scaling `law` by number of steps, and the direct
        `bound`.
    """
    del bench
    trained, target = covariance(spectrum, scaled), covariance(test)
    matrix = trained_matrix(trained, train)
    means, medians, above = [], [], []
    for seed in range(repeats):
        x = draw_inputs(target, prompts, prompt, seed)
        second = x @ x.mT / prompt
        errors = chain_error(matrix, second, STEPS) / WIDTH
        means.append(errors.mean(dim=0).tolist())
        medians.append(errors.median(dim=0).values.tolist())
        above.append((top_eigenvalue(matrix, second) > 2).double().mean().item())
    return {
        "means": means,
        "medians": medians,
        "share above 2": above,
        "unlimited": (chain_error(matrix, target, STEPS) / WIDTH).tolist(),
        "unlimited top": top_eigenvalue(matrix, target).item(),
        "law": [scaling_law(trained, train, k) / WIDTH for k in range(1, STEPS + 1)],
        "bound": direct_bound(trained, train, prompt) / WIDTH,
        "hardness": hardness(trained),
    }


def recursion(bench: Bench, spectrum: str, train: int, prompt: int, seed: int, steps: int) -> dict[str, Any]:
    """The layer on a prompt to which its outputs are appended, against the powers of the recursion.

    Args:
        bench: not needed.
        spectrum: of training and test inputs, one of `SPECTRA`.
        train: n, examples a training prompt.
        prompt: m, examples of the prompt.
        seed: of inputs and weights.
        steps: k.

    Returns:
        Their largest relative difference over all steps.
    """
    del bench
    second = covariance(spectrum)
    matrix = trained_matrix(second, train)
    x = draw_inputs(second, 1, prompt, seed)[0]
    w = torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    value, key_query = layer_weights(matrix)
    columns = embed(x, w @ x)
    left = torch.eye(WIDTH, dtype=torch.float64) - torch.linalg.solve(matrix, x @ x.mT / prompt)
    worst = 0.0
    for step in range(1, steps + 1):
        made = (columns + value @ columns @ (columns.mT @ key_query @ columns) / prompt)[:, -1:]
        columns = torch.cat([columns, made], dim=1)
        expected = w - torch.linalg.matrix_power(left, step) @ w
        worst = max(worst, ((made[WIDTH + 1 : -1, 0] - expected).norm() / expected.norm()).item())
    return {"difference": worst}


def detector(
    bench: Bench, spectrum: str, scaled: bool, train: int, prompt: int, prompts: int, seed: int
) -> dict[str, Any]:
    """How often the top eigenvalue says what becomes of thoughts about real prompts; isotropic test inputs.

    Thoughts diverge if their error is larger after 2000 than after 1000 steps and no rounding; they overthink if 20
    steps leave more than 1.01 times the error of the best number of them.

    Args:
        bench: not needed.
        spectrum: of training inputs, one of `SPECTRA`.
        scaled: whether their covariance is scaled to trace d.
        train: n, examples a training prompt.
        prompt: m, examples a test prompt.
        prompts: how many are thought about.
        seed: of inputs and weights.

    Returns:
        Numbers of prompts: that `diverged`, `converged` or `overthought`, how many of them the detector put on the
        right side, and its `alarms`.
    """
    del bench
    matrix = trained_matrix(covariance(spectrum, scaled), train)
    x = draw_inputs(covariance("flat"), prompts, prompt, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    w = torch.randn(prompts, WIDTH, generator=generator, dtype=torch.float64)
    made = chain(x, torch.einsum("td,tdm->tm", w, x), matrix, 2000)
    # Infinite terms of both signs cancel to nan: what has overflowed once has diverged.
    errors = (made - w[:, None]).square().sum(dim=2).nan_to_num(nan=torch.inf)
    diverged = (errors[:, -1] > errors[:, 999].clamp(min=1e-20)) | errors[:, -1].isinf()
    alarm = top_eigenvalue(matrix, x @ x.mT / prompt) > 2
    overthought = errors[:, STEPS - 1] > 1.01 * errors[:, :STEPS].min(dim=1).values
    return {
        "diverged": int(diverged.sum()),
        "predicted": int((alarm & diverged).sum()),
        "converged": int((~diverged).sum()),
        "cleared": int((~alarm & ~diverged).sum()),
        "overthought": int(overthought.sum()),
        "overthought and predicted": int((alarm & overthought).sum()),
        "alarms": int(alarm.sum()),
    }


def _cases(prompts: int, repeats: int, *cases: tuple[str, bool, str, int, int]) -> list[dict[str, Any]]:
    names = ("spectrum", "scaled", "test", "train", "prompt")
    return [dict(zip(names, case, strict=True)) | {"prompts": prompts, "repeats": repeats} for case in cases]


def _both(name: str, *cases: tuple[str, bool, str, int, int]) -> Experiment:
    """An experiment of `thoughts`: 200 prompts 5 times, and 500 prompts 8 times."""
    return Experiment(name, thoughts, _cases(200, 5, *cases), _cases(500, 8, *cases))


LONG = 1000
ALIGNED = _both("aligned", *(("flat", False, "flat", n, LONG) for n in (5, 10, 20, 30, 50, 100)))
HARDNESS = _both("hardness", *((s, False, s, 30, 2000) for s in ("flat", "least 0.3", "least 0.1", "least 0.03")))
BOUND = _both(
    "bound", *((s, False, s, n, m) for s in ("flat", "mild", "skewed") for n in (20, 50) for m in (20, 50, LONG))
)
SKEWED = _both(
    "skewed",
    *(("skewed", True, "flat", n, LONG) for n in (10, 20, 30, 60, 80)),
    *(("skewed", False, "flat", n, LONG) for n in (5, 7, 10, 20, 30)),
)
SHORT = _both("short", *(("flat", False, "flat", 20, m) for m in (12, 20, 40, 100, LONG)))
RECURSION = Experiment(
    "recursion",
    recursion,
    quick=[
        {"spectrum": spectrum, "train": 20, "prompt": 40, "seed": seed, "steps": 20}
        for spectrum in ("flat", "mild", "skewed")
        for seed in range(3)
    ],
)
DETECTOR = Experiment(
    "detector",
    detector,
    quick=[
        {"spectrum": spectrum, "scaled": True, "train": train, "prompt": prompt, "prompts": 500, "seed": seed}
        for spectrum, train, prompt in (("flat", 20, 12), ("flat", 20, 20), ("flat", 20, 40), ("skewed", 60, 200))
        for seed in range(3)
    ],
)
