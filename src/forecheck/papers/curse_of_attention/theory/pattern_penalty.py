"""Penalties on the attention patterns of the two-layer network: look at the last step, or do not look at too little."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from forecheck.nn.chunks import pieces
from forecheck.papers.curse_of_attention.theory.two_layer import Parameters, TwoLayer


@dataclass(frozen=True)
class PatternPenalty:
    r"""A penalty that is added to the loss, a sum over windows as that is.

    .. math::
        \Omega = \frac{\mu}{\sqrt m} \sum_i \sum_r p(S_{ir}), \qquad
        \text{local:}\; p(S) = \max(0, \tfrac1d - S_d)^2, \quad
        \text{entropy:}\; p(S) = \max(0, \phi \log d - H(S)), \; H(S) = -\sum_k S_k \log S_k

    With scores :math:`w z_k`, :math:`z = x_d \, \rho \circ x`, the softmax moves by
    :math:`\partial S_k / \partial w = S_k (z_k - \langle S, z \rangle)`, so

    .. math::
        \frac{\partial p}{\partial w} = -2 \max(0, \tfrac1d - S_d) \, S_d (z_d - \langle S, z \rangle), \qquad
        \frac{\partial p}{\partial w} = [H < \phi \log d] \sum_k S_k (z_k - \langle S, z \rangle) \log S_k

    Args:
        kind: see above.
        strength: mu.
        floor: phi, share of the largest entropy.

    Source: ours; candidates for the gradient correction that Ke et al. 2025 (arXiv 2412.06061), section 7.2, name
    without a formula. `forecheck.training.penalties` has them for whole forecasters.
    """

    kind: Literal["local", "entropy"]
    strength: float = 1.0
    floor: float = 0.5

    def value(self, model: TwoLayer, parameters: Parameters, x: Float64[Tensor, "sample step"]) -> float:
        """The penalty Omega.

        Args:
            model: a form with one softmax and no bias.
            parameters: of the network, of which the attention weights matter.
            x: windows.
        """
        total, least = 0.0, self.floor * math.log(x.shape[1])
        for (x_,) in pieces(model.rows(parameters, x), x):
            share = self._softmax(model, parameters, x_)
            if self.kind == "local":
                total += float((1 / x.shape[1] - share[:, -1]).relu().square().sum())
            else:
                total += float((least + torch.special.xlogy(share, share).sum(dim=1)).relu().sum())
        return self.strength * len(parameters["weight"]) ** -0.5 * total

    def gradient(self, model: TwoLayer, parameters: Parameters, x: Float64[Tensor, "sample step"]) -> Parameters:
        """Gradient of Omega with respect to the attention weights, by their name.

        Args:
            model: a form with one softmax and no bias.
            parameters: of the network, of which the attention weights matter.
            x: windows.

        Raises:
            ValueError: if the form has more than these weights in its patterns.
        """
        if model.bias or model.differential:
            raise ValueError("a penalty on patterns is for forms with one softmax and no bias")
        found, least = torch.zeros_like(parameters["weight"]), self.floor * math.log(x.shape[1])
        for (x_,) in pieces(model.rows(parameters, x), x):
            share = self._softmax(model, parameters, x_)
            unit = (x_[:, -1:] * model.keys(x_))[:, :, None]
            moved = share * (unit - (share * unit).sum(dim=1, keepdim=True))
            if self.kind == "local":
                found -= 2 * ((1 / x.shape[1] - share[:, -1]).relu() * moved[:, -1]).sum(dim=0)
            else:
                low = torch.special.xlogy(share, share).sum(dim=1) > -least
                # A share of 0 moves by 0, whatever its logarithm.
                fall = torch.where(share > 0, moved * share.clamp(min=1e-300).log(), 0.0).sum(dim=1)
                found += torch.where(low, fall, 0.0).sum(dim=0)
        return {"weight": self.strength * len(found) ** -0.5 * found}

    @staticmethod
    def _softmax(model: TwoLayer, parameters: Parameters, x: Tensor) -> Tensor:
        response = model.response(parameters["weight"], None, x)
        return response.powers / response.total[:, None]
