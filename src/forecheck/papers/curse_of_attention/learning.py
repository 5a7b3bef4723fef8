"""E4: training of the two-layer network over time and width, and its infinite-width limit for long times."""

from __future__ import annotations

from typing import Any

import torch

from forecheck.papers.curse_of_attention.theory.kernel import (
    infinite_tangent_kernel,
    kernel_descent,
    spectrum,
    tangent_kernel,
)
from forecheck.papers.curse_of_attention.theory.residual_ssm import Form
from forecheck.papers.curse_of_attention.theory.sign import fit_linear
from forecheck.papers.curse_of_attention.theory.training import Asymmetry, Optimizer, asymmetry, train
from forecheck.papers.curse_of_attention.toy import MODEL, log_times, network, windows
from forecheck.papers.experiment import Bench, Experiment

TIMES = 40
RESOLVED = 1e-8
"""Smallest bound on the fall of the loss a step that exceeds rounding (tables err by about 1e-10)."""


def learning(
    bench: Bench, form: Form, gamma: float, samples: int, neurons: int, seed: int, steps: int
) -> dict[str, Any]:
    """Errors and weights by the sign of their outputs, at log-spaced times of one training.

    Args:
        bench: not needed.
        form: of the process, see `residual_ssm`.
        gamma: covariance of the last and the next step.
        samples: training windows.
        neurons: m.
        seed: of process, windows and weights.
        steps: of gradient descent.

    Returns:
        At `times` the training `errors` and the fields of `Asymmetry`; errors of references; and `excess`, by how much
        the slowest step missed lemma H.1's `bound` on the fall of the error, None where that is rounding.
    """
    del bench
    process, x, y = windows(form, gamma, samples, seed)
    start = network(neurons, seed)
    kernel = spectrum(tangent_kernel(MODEL, start, x))
    rate = 1 / float(kernel.eigenvalues[0])
    times = log_times(steps, TIMES)
    run = train(MODEL, start, x, y, Optimizer(lr=rate), steps, keep=times)
    found = [asymmetry(start, run.kept[time]) for time in times]
    fall = rate * float(kernel.eigenvalues[-1]) / 2
    return {
        "times": times,
        "errors": run.errors[times].tolist(),
        "zero": float(run.errors[0]),
        "least squares": _training_error(x, y) if samples > 2 * x.shape[1] else 0.0,
        "noise floor": process.linear_error,
        "step size": rate,
        "smallest eigenvalue": float(kernel.eigenvalues[-1]),
        "bound": fall if kernel.resolved and fall > RESOLVED else None,
        "excess": _excess(run.errors, fall),
        **{name: [getattr(each, name) for each in found] for name in Asymmetry._fields},
    }


def _training_error(x: torch.Tensor, y: torch.Tensor) -> float:
    weights = torch.from_numpy(fit_linear(x.numpy(), y.numpy()))
    return float((x @ weights - y).square().mean())


def _excess(errors: torch.Tensor, fall: float) -> float:
    """Largest ratio of a step's errors less 1 - fall: positive where lemma H.1's bound is broken."""
    large = errors[:-1] > 1e-12 * errors[0]  # below, rounding decides
    return float((errors[1:] / errors[:-1])[large].max()) - (1 - fall)


def endless(bench: Bench, form: Form, gamma: float, samples: int, seeds: int) -> dict[str, Any]:
    """Training error of infinite width after up to 1e10 steps, in closed form, over that of zero; by draw and time.

    Args:
        bench: not needed.
        form: of the process, see `residual_ssm`.
        gamma: covariance of the last and the next step.
        samples: training windows.
        seeds: draws of process and windows, numbered from 0.
    """
    del bench
    times, left = [10**k for k in range(11)], []
    for seed in range(seeds):
        _, x, y = windows(form, gamma, samples, seed)
        kernel = infinite_tangent_kernel(MODEL, x)
        rate = 1 / float(spectrum(kernel).eigenvalues[0])
        ends = [kernel_descent(kernel, kernel, y, rate, time) for time in times]
        left.append([float((end - y).square().mean() / y.square().mean()) for end in ends])
    return {"times": times, "left": left}


def _settings(
    form: Form, gamma: float, samples: int, neurons: int, seeds: int, steps: int
) -> list[dict[str, str | float]]:
    return [
        {"form": form, "gamma": gamma, "samples": samples, "neurons": neurons, "seed": seed, "steps": steps}
        for seed in range(seeds)
    ]


LEARNING = Experiment(
    "learning",
    learning,
    quick=[
        *_settings("unit", 0.5, 128, 16, 10, 3000),
        *_settings("unit", 0.5, 128, 128, 10, 3000),
        *_settings("unit", 0.5, 128, 1024, 10, 3000),
        *_settings("unit", 0.5, 128, 16384, 4, 500),
        *_settings("flat", 0.5, 128, 1024, 8, 2000),
        *_settings("prop3", 0.875, 128, 1024, 8, 2000),
        *_settings("unit", -0.5, 128, 1024, 8, 2000),
        *_settings("unit", 0.5, 2, 1024, 8, 10_000),
        *_settings("unit", 0.5, 2, 16384, 4, 500),
    ],
    full=[
        *(each for neurons in (16, 128, 1024) for each in _settings("unit", 0.5, 128, neurons, 12, 10_000)),
        *_settings("unit", 0.5, 128, 16384, 6, 1000),
        *_settings("flat", 0.5, 128, 1024, 12, 3000),
        *_settings("prop3", 0.875, 128, 1024, 12, 3000),
        *_settings("unit", -0.5, 128, 1024, 12, 3000),
        *_settings("unit", 0.9, 128, 1024, 12, 3000),
        *_settings("unit", 0.5, 2, 1024, 12, 20_000),
        *_settings("unit", 0.5, 2, 16384, 6, 2000),
    ],
)
ENDLESS = Experiment(
    "infinite width",
    endless,
    quick=[
        {"form": form, "gamma": 0.5, "samples": samples, "seeds": 10}
        for form in ("unit", "flat")
        for samples in (2, 8, 32, 128)
    ],
)
