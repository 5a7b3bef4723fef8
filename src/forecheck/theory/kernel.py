"""The neural tangent kernel of the two-layer network: finite and infinite width, its spectrum, and training by it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from forecheck.nn.chunks import pieces
from forecheck.theory.two_layer import Parameters, TwoLayer

_NEURONS = 512
"""Neurons taken at once: products of blocks so wide are as fast as they get, and the Jacobian is never whole."""
_STEPS_A_POLE = 6
"""Nodes a distance of the nearest pole: errors of the trapezoidal rule fall like exp(-2 pi _STEPS_A_POLE)."""


def jacobian(model: TwoLayer, parameters: Parameters, x: Float64[Tensor, "sample step"]) -> dict[str, Tensor]:
    """Derivatives of f with respect to what is learnt, (sample, parameters of that name)."""
    neurons = len(parameters["output"])
    scale = parameters["output"].new_full((neurons,), neurons**-0.5)
    return _jacobian(model, parameters, x, scale)


def tangent_kernel(
    model: TwoLayer,
    parameters: Parameters,
    x: Float64[Tensor, "sample step"],
    other: Float64[Tensor, "other step"] | None = None,
) -> Float64[Tensor, "sample other"]:
    r"""The kernel of gradient descent, the Jacobian's products; with `x` itself unless with other windows.

    .. math::
        H_{ij} = \sum_\theta \frac{\partial f(x_i)}{\partial \theta} \frac{\partial f(x_j)}{\partial \theta}
        \quad\Bigl(= \frac1m x_{i,d} x_{j,d} \sum_r v_{i,r} v_{j,r}, \; v_{i,r} = \mathrm{Var}_{S_{i,r}}(x_i)
        \text{ in the paper's form}\Bigr)

    Neurons are taken a block at a time, so memory is that of the kernel and of one block.

    Source: Ke et al. 2025 (arXiv 2412.06061), section 5.1; its H* is this at the start.
    """
    neurons = len(parameters["output"])
    return _kernel(model, parameters, x, other, parameters["output"].new_full((neurons,), neurons**-0.5))


def infinite_tangent_kernel(
    model: TwoLayer, x: Float64[Tensor, "sample step"], other: Float64[Tensor, "other step"] | None = None
) -> Float64[Tensor, "sample other"]:
    r"""The kernel at the start as the width grows without bound.

    .. math:: H^\infty_{ij} = x_{i,d} x_{j,d} \, \mathbb E_{w \sim N(0, 1)} [v_i(w) v_j(w)]

    and likewise for biases (at zero) and outputs. The expectation is a trapezoidal sum, which is exact but for terms of
    :math:`e^{-2 \pi \delta / h}` at steps h when the integrand is analytic within :math:`\delta` of the real line: and
    softmaxes are, within :math:`\delta = \pi / \max_i |x_{i,d}| (\max_k \rho_k x_{i,k} - \min_k \rho_k x_{i,k})`, since
    there all terms of their sums lie in one half-plane.

    Raises:
        ValueError: for the differential form, whose two weights would need a sum over both.

    Source: the limit of Ke et al. 2025, section 5.1; ours.
    """
    if model.differential:
        raise ValueError("the infinite width of the differential form is not at hand: take a wide finite one")
    both = x if other is None else torch.cat([x, other])
    step = min(0.5, pole_distance(model, both) / _STEPS_A_POLE)
    ends = math.ceil(9 / step)  # beyond 9 the density is below 1e-18
    weight = step * torch.arange(-ends, ends + 1, dtype=torch.float64)
    scale = (step / math.sqrt(2 * math.pi) * (-0.5 * weight.square()).exp()).sqrt()
    nodes = {"weight": weight, "output": torch.ones_like(weight)}
    if model.bias:
        nodes["bias"] = weight.new_zeros(x.shape[1], len(weight))
    return _kernel(model, nodes, x, other, scale)


def pole_distance(model: TwoLayer, x: Float64[Tensor, "sample step"]) -> float:
    r"""A distance from the real line within which means are analytic in a neuron's weight, on all windows."""
    keys = model.keys(x)
    reach = float((x[:, -1].abs() * (keys.amax(dim=1) - keys.amin(dim=1))).max())
    return math.pi / max(reach, 1e-300)


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


def _jacobian(model: TwoLayer, parameters: Parameters, x: Tensor, scale: Tensor) -> dict[str, Tensor]:
    """Derivatives of sum_r scale_r a_r (mu_r - lambda mu'_r); what is not of one neuron in rows of one number."""
    scaled, found = scale * parameters["output"], dict[str, list[Tensor]]()
    for (x_,) in pieces(model.rows(parameters, x), x):
        mixed = torch.zeros(())
        bias = torch.zeros(())
        for name, factor, (powers, total, mean, slope) in model.branches(parameters, x_):
            found.setdefault(name, []).append(factor * scaled * slope)
            mixed = mixed + factor * mean
            if name == "second":
                found.setdefault("mix", []).append(-(mean @ scaled)[:, None])
            if model.bias:
                bias = bias + factor * (x_[:, :, None] - mean[:, None]).mul_(powers.div_(total[:, None]))
        if model.train_output:
            found.setdefault("output", []).append(scale * mixed)
        if model.bias:
            found.setdefault("bias", []).append((scaled * bias).flatten(1))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _kernel(model: TwoLayer, parameters: Parameters, x: Tensor, other: Tensor | None, scale: Tensor) -> Tensor:
    """The kernel, summed over blocks of neurons."""
    kernel = x.new_zeros(len(x), len(x if other is None else other))
    # Lambda is of all neurons together, so its product comes last.
    mix, other_mix = kernel.new_zeros(len(kernel), 1), kernel.new_zeros(kernel.shape[1], 1)
    for start in range(0, len(scale), _NEURONS):
        block = slice(start, start + _NEURONS)
        part = {name: value[..., block] if value.ndim else value for name, value in parameters.items()}
        rows = _jacobian(model, part, x, scale[block])
        columns = rows if other is None else _jacobian(model, part, other, scale[block])
        for name, row in rows.items():
            if name != "mix":
                kernel.addmm_(row, columns[name].T)
        if "mix" in rows:
            mix += rows["mix"]
            other_mix += columns["mix"]
    return kernel.addmm_(mix, other_mix.T)
