"""Windows, networks and times that the experiments on the two-layer network share."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from forecheck.papers.curse_of_attention.theory.residual_ssm import Form, ResidualSSM, residual_ssm
from forecheck.papers.curse_of_attention.theory.two_layer import Parameters, TwoLayer, as_tensors

MODEL = TwoLayer()
"""The paper's own form."""
STEPS = 8
"""d of the windows."""
_WEIGHTS = 1000
"""Seeds of weights begin here, so that no stream serves both data and weights."""


def windows(
    form: Form, gamma: float, samples: int, seed: int, steps: int = STEPS, part: int = 0
) -> tuple[ResidualSSM, Tensor, Tensor]:
    """A process, and windows x (sample, step) with next steps y (sample) of it.

    Args:
        form: of the process, see `residual_ssm`.
        gamma: covariance of the last and the next step.
        samples: windows.
        seed: of process and windows.
        steps: d, the length of a window.
        part: 0 for training, 1 for windows of other streams.

    Raises:
        UsageError: if the form has no such gamma.
    """
    process = residual_ssm(form, steps, gamma, seed=seed)
    drawn = process.sample(samples, seed=2 * seed + part)
    x, y = as_tensors(drawn.x, drawn.y)
    return process, x, y


def network(neurons: int, seed: int, steps: int = STEPS, paired: bool = True) -> Parameters:
    """The network at the start.

    Args:
        neurons: m, even if they are paired.
        seed: of weights and signs.
        steps: d, the length of a window.
        paired: whether they cancel in pairs, see `TwoLayer.initial`.

    Raises:
        ValueError: if neurons are to be paired and their number is odd.
    """
    return MODEL.initial(neurons, steps, _WEIGHTS + seed, paired)


def log_times(last: int, count: int) -> list[int]:
    """Whole numbers from 1 to `last`, evenly spread over their logarithms, at most so many."""
    return sorted({round(time) for time in np.geomspace(1, last, count)})
