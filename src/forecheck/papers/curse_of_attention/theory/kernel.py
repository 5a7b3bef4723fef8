"""The neural tangent kernel of the two-layer network: finite and infinite width, its spectrum, and training by it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from forecheck.nn.chunks import pieces
from forecheck.papers.curse_of_attention.theory.interpolation import Grid
from forecheck.papers.curse_of_attention.theory.two_layer import Parameters, TwoLayer

_NEURONS = 512
"""Neurons taken at once: products of blocks so wide are as fast as they get, and the Jacobian is never whole."""
_STEPS_A_POLE = 6
"""Nodes a distance of the nearest pole: errors of the trapezoidal rule fall like exp(-2 pi _STEPS_A_POLE)."""


def jacobian(model: TwoLayer, parameters: Parameters, x: Float64[Tensor, "sample step"]) -> dict[str, Tensor]:
    """Derivatives of f with respect to what is learnt, (sample, parameters of that name); a bias's by step, neuron.

    Args:
        model: the form.
        parameters: where derivatives are taken.
        x: windows.
    """
    masses, neurons = _masses(parameters), len(parameters["output"])
    rows = _derivatives(model, parameters, x)
    for name, row in rows.items():
        if name == "mix":
            row.div_(neurons**0.5)
        else:
            sign = 1 if name == "output" else parameters["output"].sign()
            row.view(len(x), -1, neurons).mul_(masses[name].sqrt() * sign)
    return rows


def tangent_kernel(
    model: TwoLayer,
    parameters: Parameters,
    x: Float64[Tensor, "sample step"],
    other: Float64[Tensor, "other step"] | None = None,
    tabulated: bool | None = None,
) -> Float64[Tensor, "sample other"]:
    r"""The kernel of gradient descent, the Jacobian's products; with `x` itself unless with other windows.

    .. math::
        H_{ij} = \sum_\theta \frac{\partial f(x_i)}{\partial \theta} \frac{\partial f(x_j)}{\partial \theta}
        \quad\Bigl(= \frac1m x_{i,d} x_{j,d} \sum_r v_{i,r} v_{j,r}, \; v_{i,r} = \mathrm{Var}_{S_{i,r}}(x_i)
        \text{ in the paper's form}\Bigr)

    Neurons are taken a block at a time, so memory is that of the kernel and of one block. Where neurons have one
    weight, the sum over them may be one over the nodes of a `Grid`, at a cost that does not depend on the width.

    Args:
        model: the form.
        parameters: where derivatives are taken.
        x: windows.
        other: windows of the columns.
        tabulated: whether to sum over nodes (to about 1e-10); by default where that is less work.

    Raises:
        ValueError: if nodes are asked for and the form has more than one weight a neuron.

    Source: Ke et al. 2025 (arXiv 2412.06061), section 5.1; its H* is this at the start.
    """
    if tabulated and (model.bias or model.differential):
        raise ValueError("neurons of more than one weight cannot be tabulated: leave `tabulated` out")
    if tabulated is not False and not (model.bias or model.differential):
        weight = parameters["weight"]
        grid = Grid(model.pole_distance(_both(x, other)), float(weight.abs().max()))
        if tabulated or len(grid.nodes) < len(weight):
            placed = grid.around(weight)
            masses = {name: grid.gathered(*placed, mass) for name, mass in _masses(parameters).items()}
            return _kernel(model, {"weight": grid.nodes}, x, other, masses)
    return _kernel(model, parameters, x, other, _masses(parameters))


def infinite_tangent_kernel(
    model: TwoLayer, x: Float64[Tensor, "sample step"], other: Float64[Tensor, "other step"] | None = None
) -> Float64[Tensor, "sample other"]:
    r"""The kernel at the start as the width grows without bound.

    .. math:: H^\infty_{ij} = x_{i,d} x_{j,d} \, \mathbb E_{w \sim N(0, 1)} [v_i(w) v_j(w)]

    and likewise for biases (at zero) and outputs. The expectation is a trapezoidal sum, which is exact but for terms of
    :math:`e^{-2 \pi \delta / h}` at steps h, with :math:`\delta` that of `TwoLayer.pole_distance`.

    Args:
        model: the form.
        x: windows of the rows.
        other: windows of the columns; `x` if not given.

    Raises:
        ValueError: for the differential form, whose two weights would need a sum over both.

    Source: the limit of Ke et al. 2025, section 5.1; ours.
    """
    if model.differential:
        raise ValueError("the infinite width of the differential form is not at hand: take a wide finite one")
    step = min(0.5, model.pole_distance(_both(x, other)) / _STEPS_A_POLE)
    ends = math.ceil(9 / step)  # beyond 9 the density is below 1e-18
    weight = step * torch.arange(-ends, ends + 1, dtype=torch.float64)
    mass = step / math.sqrt(2 * math.pi) * (-0.5 * weight.square()).exp()
    nodes = {"weight": weight}
    if model.bias:
        nodes["bias"] = weight.new_zeros(x.shape[1], len(weight))
    return _kernel(model, nodes, x, other, dict.fromkeys(("weight", "output", "bias"), mass))


class Spectrum(NamedTuple):
    r"""Eigenvalues of a kernel, and what can be trusted of them.

    Attributes:
        eigenvalues: the largest first.
        floor: :math:`n \epsilon \lambda_{max}`; smaller ones are rounding, of either sign.
        rank: how many are larger.
        effective_rank: the exponential of the entropy of their shares (Roy & Vetterli 2007).
    """

    eigenvalues: Float64[Tensor, " sample"]
    floor: float
    rank: int
    effective_rank: float

    @property
    def resolved(self) -> bool:
        """Whether the smallest eigenvalue is more than rounding, as a rate of convergence must be."""
        return self.rank == len(self.eigenvalues)


def spectrum(kernel: Float64[Tensor, "sample sample"]) -> Spectrum:
    """The spectrum of a symmetric kernel."""
    values = torch.linalg.eigvalsh(kernel).flip(0)
    floor = len(values) * torch.finfo(values.dtype).eps * float(values[0])
    share = values[values > floor] / values[values > floor].sum()
    return Spectrum(values, floor, int((values > floor).sum()), float(torch.exp(-(share * share.log()).sum())))


def kernel_descent(
    kernel: Float64[Tensor, "sample sample"],
    cross: Float64[Tensor, "other sample"],
    y: Float64[Tensor, " sample"],
    lr: float,
    steps: int,
) -> Float64[Tensor, " other"]:
    r"""Forecasts after gradient descent on the linearised network from zero; with H-infinity, of infinite width.

    .. math:: \hat f_t(x) = H(x, X) \, \frac{I - (I - \eta H)^t}{H} \, y

    by the eigenvalues of H = H(X, X); nothing is inverted, so a kernel that is singular to rounding does no harm.

    Args:
        kernel: H(X, X) of the training windows.
        cross: H(x, X) of the windows that are forecast.
        y: next steps of the training windows.
        lr: eta.
        steps: t.

    Raises:
        ValueError: unless the step size is below 2 / lambda_max.
    """
    values, vectors = torch.linalg.eigh(kernel)
    if lr * float(values[-1]) >= 2:
        raise ValueError(f"descent at step size {lr:g} diverges: take less than {2 / float(values[-1]):g}")
    values = values.clamp(min=0)
    rate = (lr * values).clamp(min=1e-300)
    small = -torch.expm1(steps * torch.log1p(-rate.clamp(max=0.5)))
    grown = torch.where(rate < 0.5, small, 1 - (1 - rate) ** steps)
    return cross @ (vectors @ (lr * grown / rate * (vectors.T @ y)))


def _both(x: Tensor, other: Tensor | None) -> Tensor:
    return x if other is None else torch.cat([x, other])


def _masses(parameters: Parameters) -> dict[str, Tensor]:
    """What the derivatives by each neuron's own parameters count for in the kernel."""
    square = parameters["output"].square() / len(parameters["output"])
    return {"weight": square, "second": square, "bias": square, "output": torch.full_like(square, 1 / len(square))}


def _derivatives(model: TwoLayer, parameters: Parameters, x: Tensor) -> dict[str, Tensor]:
    """Derivatives of each neuron, without its output and the root of the width; that by lambda is of all of them."""
    found = dict[str, list[Tensor]]()
    for (x_,) in pieces(model.rows(parameters, x), x):
        mixed, bias = torch.zeros(()), torch.zeros(())
        for name, factor, (powers, total, mean, slope) in model.branches(parameters, x_):
            found.setdefault(name, []).append(slope if name == "weight" else factor * slope)
            if name == "second":
                found.setdefault("mix", []).append(-(mean @ parameters["output"])[:, None])
            if model.train_output:
                mixed = mixed + factor * mean
            if model.bias:
                bias = bias + factor * (x_[:, :, None] - mean[:, None]).mul_(powers.div_(total[:, None]))
        if model.train_output:
            found.setdefault("output", []).append(mixed)
        if model.bias:
            found.setdefault("bias", []).append(bias.flatten(1))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _kernel(
    model: TwoLayer, parameters: Parameters, x: Tensor, other: Tensor | None, masses: dict[str, Tensor]
) -> Tensor:
    """The kernel, summed over blocks of neurons."""
    kernel = x.new_zeros(len(x), len(x if other is None else other))
    neurons = len(parameters["weight"])
    # Lambda is of all neurons together, so its product comes last.
    mix, other_mix = kernel.new_zeros(len(kernel), 1), kernel.new_zeros(kernel.shape[1], 1)
    for start in range(0, neurons, _NEURONS):
        block = slice(start, start + _NEURONS)
        part = {name: value[..., block] if value.ndim else value for name, value in parameters.items()}
        rows = _derivatives(model, part, x)
        columns = rows if other is None else _derivatives(model, part, other)
        for name, row in rows.items():
            if name == "mix":
                mix += row
                other_mix += columns[name]
            else:
                mass = masses[name][block]
                kernel.addmm_((row.view(len(x), -1, len(mass)) * mass).flatten(1), columns[name].T)
    return kernel.addmm_(mix, other_mix.T, alpha=1 / neurons)
