"""Functions of one weight that are analytic near the real line, read off an equidistant grid."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

_POINTS = 12
"""Nodes of a local polynomial."""
_NODES_A_POLE = 16
"""Nodes a distance of the nearest pole."""


class Grid:
    r"""Nodes from -reach to reach, with those around a weight and what each of them counts for.

    .. math:: g(w) \approx \sum_{k=1}^p \ell_k(w) \, g(w_{j+k})

    with Lagrange polynomials of the p = 12 nodes around w. If g is analytic within :math:`\delta` of the real line and
    the nodes are :math:`h = \delta / 16` apart, the error is at most about
    :math:`(\tfrac12 \cdot \tfrac32 \cdots \tfrac{11}2)^2 / 16^{12} \approx 10^{-10}` of g near its pole.

    Sums over weights of any such function are sums over nodes, :math:`\sum_r q_r g(w_r) \approx \sum_j c_j g(w_j)`
    with `masses` c, whatever g is; so products of functions of one weight take one c.

    Args:
        distance: delta.
        reach: the largest weight in absolute value.
    """

    def __init__(self, distance: float, reach: float) -> None:
        self.step = min(0.25, distance / _NODES_A_POLE)
        self.reach = reach
        ends = math.ceil(reach / self.step) + _POINTS // 2
        self.nodes: Float64[Tensor, " node"] = self.step * torch.arange(-ends, ends + 1, dtype=torch.float64)
        self._place = torch.arange(_POINTS, dtype=torch.float64)[:, None]
        apart = self._place - self._place.T + torch.eye(_POINTS, dtype=torch.float64)
        self._factor = 1 / apart.prod(dim=1, keepdim=True)

    def around(
        self, weight: Float64[Tensor, " neuron"]
    ) -> tuple[Int64[Tensor, "point neuron"], Float64[Tensor, "point neuron"]]:
        """Indices of the nodes around each weight, and the polynomials' values there."""
        position = (weight - self.nodes[0]) / self.step
        first = position.floor() - (_POINTS // 2 - 1)
        apart = (position - first) - self._place
        # On a node both the product and its factor are zero; a tiny number in place of zero gives 1.
        apart = torch.where(apart == 0, 1e-200, apart)
        return (first + self._place).long(), self._factor * (apart.prod(dim=0) / apart)

    def masses(self, weight: Float64[Tensor, " neuron"], mass: Float64[Tensor, " neuron"]) -> Float64[Tensor, " node"]:
        """C, the masses at the nodes in place of those at the weights."""
        return self.gathered(*self.around(weight), mass)

    def gathered(
        self,
        index: Int64[Tensor, "point neuron"],
        share: Float64[Tensor, "point neuron"],
        mass: Float64[Tensor, " neuron"],
    ) -> Float64[Tensor, " node"]:
        """`masses` of weights that have been placed.

        Args:
            index: nodes around each weight, from `around`.
            share: the polynomials' values there, from `around`.
            mass: of each weight.
        """
        return torch.zeros_like(self.nodes).index_add_(0, index.flatten(), (share * mass).flatten())
