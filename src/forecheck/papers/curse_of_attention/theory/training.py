"""Full-batch training of the two-layer network, and how its weights part by the sign of their outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from forecheck.papers.curse_of_attention.theory.kernel import tangent_kernel
from forecheck.papers.curse_of_attention.theory.tabulated import Table
from forecheck.papers.curse_of_attention.theory.two_layer import Parameters, TwoLayer

_DECAYED = ("weight", "second")


@dataclass(frozen=True)
class Optimizer:
    r"""Gradient descent or Adam on the loss (a sum over windows), each with what is done to weights besides.

    .. math::
        \text{gd:}\; \theta \leftarrow \theta - \eta g, \qquad
        \text{adam:}\; \theta \leftarrow \theta - \eta \frac{\hat m}{\sqrt{\hat v} + 10^{-8}}, \quad
        m \leftarrow 0.9 m + 0.1 g, \; v \leftarrow 0.999 v + 0.001 g^2

    with m and v divided by :math:`1 - \beta^t`.

    Args:
        name: `gd` or `adam`.
        lr: eta.
        decay: added to the gradient times the attention weights; with `decoupled` weights are multiplied by
            1 - lr decay instead (AdamW).
        decoupled: see `decay`.
        drift: share of the common drift taken out,
            :math:`g_r \leftarrow g_r - \lambda a_r \sum_s a_s g_s / \sum_s a_s^2`.

    Source: Ke et al. 2025 (arXiv 2412.06061), sections 4.2 (gd) and 7.2 (the remedies, without formulas).
    """

    name: Literal["gd", "adam"] = "gd"
    lr: float = 0.02
    decay: float = 0.0
    decoupled: bool = False
    drift: float = 0.0

    def started(self) -> Callable[[Parameters, Parameters], Parameters]:
        """A function of parameters and gradients that gives the next parameters, and counts its calls."""
        first: Parameters = {}
        second: Parameters = {}
        count = 0

        def step(parameters: Parameters, gradient: Parameters) -> Parameters:
            nonlocal count
            count += 1
            found = dict(parameters)
            for name, gradient_ in gradient.items():
                value, slope = parameters[name], self._corrected(name, parameters, gradient_)
                if self.decoupled and name in _DECAYED:
                    value = value * (1 - self.lr * self.decay)
                if self.name == "adam":
                    old, old_square = (x.get(name, torch.zeros_like(slope)) for x in (first, second))
                    first[name], second[name] = 0.9 * old + 0.1 * slope, 0.999 * old_square + 0.001 * slope.square()
                    root = (second[name] / (1 - 0.999**count)).sqrt_()
                    slope = first[name] / (1 - 0.9**count) / root.add_(1e-8)
                found[name] = value - self.lr * slope
            return found

        return step

    def _corrected(self, name: str, parameters: Parameters, slope: Tensor) -> Tensor:
        if name not in _DECAYED:
            return slope
        if self.drift:
            output = parameters["output"]
            slope = slope - self.drift * output * (output @ slope) / (output @ output)
        return slope if self.decoupled else slope + self.decay * parameters[name]


class Trajectory(NamedTuple):
    """How training went.

    Attributes:
        errors: mean squared error on the training windows before every step, and after the last.
        kept: parameters by the number of steps taken; always at the start and at the end.
    """

    errors: Float64[Tensor, " time"]
    kept: dict[int, Parameters]

    @property
    def start(self) -> Parameters:
        """Parameters before the first step."""
        return self.kept[0]

    @property
    def end(self) -> Parameters:
        """Parameters after the last step."""
        return self.kept[max(self.kept)]


def train(
    model: TwoLayer,
    parameters: Parameters,
    x: Float64[Tensor, "sample step"],
    y: Float64[Tensor, " sample"],
    optimizer: Optimizer,
    steps: int,
    keep: Collection[int] = (),
    tabulated: bool | None = None,
    penalty: Callable[[Parameters], Parameters] | None = None,
) -> Trajectory:
    """Full-batch training.

    Args:
        model: the form.
        parameters: where to start; they stay as they are.
        x: training windows.
        y: their next steps.
        optimizer: with its step size.
        steps: how many.
        keep: after how many steps parameters are kept.
        tabulated: whether neurons are read off tables (`Table`, which errs by about 1e-10 a step); by default where
            that is less work.
        penalty: gives the gradient of what is added to the loss (`PatternPenalty.gradient`), of all or some of what is
            learnt.

    Raises:
        ValueError: if training diverges.
    """
    gradient = _gradient(model, parameters, x, y, tabulated)
    step = optimizer.started()
    errors, kept = [], {0: parameters}
    for count in range(steps + 1):
        out, slopes = gradient(parameters)
        errors.append(float((out - y).square().mean()))
        if not math.isfinite(errors[-1]):
            raise ValueError(
                f"training diverges: the error is {errors[-1]} after {count} steps of size {optimizer.lr:g}; "
                f"take a smaller one, 1 / lambda_max of the kernel at the start (`stable_step`) or less"
            )
        if count == steps or count in keep:
            kept[count] = parameters
        if count < steps:
            if penalty is not None:
                slopes = slopes | {name: slopes[name] + more for name, more in penalty(parameters).items()}
            parameters = step(parameters, slopes)
    return Trajectory(torch.tensor(errors, dtype=torch.float64), kept)


def stable_step(model: TwoLayer, parameters: Parameters, x: Float64[Tensor, "sample step"]) -> float:
    r"""Step size :math:`1 / \lambda_{max}(H)` of gradient descent, half of what the linearised network bears.

    Args:
        model: the form.
        parameters: at the start.
        x: training windows.
    """
    return 1 / float(torch.linalg.eigvalsh(tangent_kernel(model, parameters, x))[-1])


class Asymmetry(NamedTuple):
    r"""Weights by the sign of their outputs.

    Attributes:
        aligned: share of neurons whose weight has moved in the direction of its output's sign.
        drift: mean of :math:`\mathrm{sign}(a_r) \Delta w_r`.
        positive: share of weights above zero among positive outputs.
        negative: share of weights below zero among negative outputs.
        gain: :math:`A_1 = m^{-1/2} \sum_r a_r w_r`, the network's gain on the last step, times the window's variance.
        lazy: :math:`\Phi(A_1 / \sqrt m)`, both shares if all weights had moved alike to reach this gain.
        moved: the largest :math:`|\Delta w_r|`.
    """

    aligned: float
    drift: float
    positive: float
    negative: float
    gain: float
    lazy: float
    moved: float


def asymmetry(start: Parameters, now: Parameters) -> Asymmetry:
    r"""What theorem 5.2 is about: it claims that both conditional shares become 1.

    Source: Ke et al. 2025 (arXiv 2412.06061), theorem 5.2; the lazy prediction is ours.
    """
    sign, weight = now["output"].sign(), now["weight"]
    move = weight - start["weight"]
    gain = float(now["output"] @ weight) / len(weight) ** 0.5
    return Asymmetry(
        aligned=float((move.sign() == sign).double().mean()),
        drift=float((sign * move).mean()),
        positive=float((weight[sign > 0] > 0).double().mean()),
        negative=float((weight[sign < 0] < 0).double().mean()),
        gain=gain,
        lazy=0.5 * math.erfc(-gain / math.sqrt(2 * len(weight))),
        moved=float(move.abs().max()),
    )


def _gradient(
    model: TwoLayer, parameters: Parameters, x: Tensor, y: Tensor, tabulated: bool | None
) -> Callable[[Parameters], tuple[Tensor, Parameters]]:
    """The cheaper of the two ways, unless one is asked for."""
    if tabulated or (tabulated is None and not model.bias):
        table = Table(model, x)
        # A table's step reads every node twice; the other way exponentiates every neuron's scores.
        if tabulated or len(table.grid.nodes) < parameters["weight"].numel() * x.shape[1]:
            return lambda now: table.gradient(now, y)
    return lambda now: model.gradient(now, x, y)
