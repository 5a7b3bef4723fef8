"""E0: the paper's formulas against central differences of the networks, written out with plain softmaxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from forecheck.papers.curse_of_attention.theory.kernel import tangent_kernel
from forecheck.papers.curse_of_attention.theory.matrix_attention import turn
from forecheck.papers.curse_of_attention.toy import MODEL, network, windows
from forecheck.papers.experiment import Bench, Experiment

_WIDTH = 1e-4
"""Of the differences; with two of them (Richardson) errors are of its fourth power, or rounding."""


def scalar(bench: Bench, samples: int, steps: int, neurons: int, seed: int) -> dict[str, Any]:
    """Gradient of the loss and tangent kernel of the two-layer network.

    Args:
        bench: not needed.
        samples: windows.
        steps: d, the length of a window.
        neurons: m.
        seed: of process, windows and weights.

    Returns:
        Relative distances to central differences: of the `gradient`, of the one that lemmas G.1 and G.2 print
        (`gradient with a plus`), and of the `kernel`.
    """
    del bench
    _, x, y = windows("unit", 0.5, samples, seed, steps)
    parameters = network(neurons, seed, steps, paired=False)
    output = parameters["output"]

    def forecast(weight: Tensor) -> Tensor:
        shares = torch.softmax(x[:, -1, None, None] * weight[:, None] * x[:, None], dim=-1)
        return (shares * x[:, None]).sum(-1) @ output / neurons**0.5

    weight = parameters["weight"]
    jacobian = differences(forecast, weight)
    slopes = differences(lambda w: (forecast(w) - y).square().sum() / 2, weight)
    printed = _printed(x, weight, output, forecast(weight) - y)
    return {
        "gradient": distance(MODEL.gradient(parameters, x, y)[1]["weight"], slopes),
        "gradient with a plus": distance(printed, slopes),
        "kernel": distance(tangent_kernel(MODEL, parameters, x), jacobian.T @ jacobian),
    }


def matrix(bench: Bench, tokens: int, width: int, seed: int) -> dict[str, Any]:
    """Gradient of the score matrix of attention on vectors.

    Args:
        bench: not needed.
        tokens: of the window.
        width: features a token.
        seed: of window, weights and upstream gradient.

    Returns:
        Its relative distance to central differences.
    """
    del bench
    generator = torch.Generator().manual_seed(seed)
    shapes = ((tokens, width), (width, width), (width, width), (tokens, width))
    x, scores, values, upstream = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)

    def loss(flat: Tensor) -> Tensor:
        attention = torch.softmax(x @ flat.view(width, width) @ x.T, dim=-1) @ x @ values
        return (upstream * attention).sum()

    slopes = differences(loss, scores.flatten())
    return {"score matrix": distance(turn(x, scores, values, upstream).gradient.flatten(), slopes)}


def differences(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Derivatives by each coordinate, (coordinate, *output): central differences at two widths, extrapolated."""
    rows = []
    for axis in torch.eye(len(at), dtype=at.dtype):
        far, near = (
            (function(at + width * axis) - function(at - width * axis)) / (2 * width) for width in (2 * _WIDTH, _WIDTH)
        )
        rows.append((4 * near - far) / 3)
    return torch.stack(rows)


def distance(found: Tensor, reference: Tensor) -> float:
    """Relative distance."""
    return float((found - reference).norm() / reference.norm())


def _printed(x: Tensor, weight: Tensor, output: Tensor, error: Tensor) -> Tensor:
    """The gradient if the square of the mean is added, as lemmas G.1 and G.2 print it, instead of subtracted."""
    shares = torch.softmax(x[:, -1, None, None] * weight[:, None] * x[:, None], dim=-1)
    mean, square = (shares * x[:, None]).sum(-1), (shares * x[:, None].square()).sum(-1)
    return output / len(output) ** 0.5 * ((error * x[:, -1]) @ (square + mean.square()))


SCALAR = Experiment(
    "formulas",
    scalar,
    quick=[
        {"samples": samples, "steps": steps, "neurons": neurons, "seed": seed}
        for samples, steps, neurons in ((5, 4, 6), (20, 8, 40))
        for seed in range(5)
    ],
)
MATRIX = Experiment(
    "score matrix",
    matrix,
    quick=[
        {"tokens": tokens, "width": width, "seed": seed} for tokens, width in ((3, 5), (12, 4)) for seed in range(5)
    ],
)
