"""One attention layer on a window of vectors: the gradient of its score matrix, and whether it turns from itself."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Turn(NamedTuple):
    r"""What a step of gradient descent does to each token's attention to itself.

    Attributes:
        pattern: S.
        gradient: of the loss with respect to W.
        naive: :math:`\langle G_i, W_V^\top X_i \rangle`; positive in the paper's case 1, negative in case 2.
        advantage: :math:`\langle G_i, W_V^\top X_i - \mathrm{Attn}_i \rangle`, the gradient with respect to the
            score of token i with itself, divided by :math:`S_{ii}`.
    """

    pattern: Float[Tensor, "*batch token token"]
    gradient: Float[Tensor, "*batch feature feature"]
    naive: Float[Tensor, "*batch token"]
    advantage: Float[Tensor, "*batch token"]

    @property
    def slips(self) -> Bool[Tensor, "*batch token"]:
        """Whether descent lowers the score of the token with itself: its advantage is positive.

        The sign of `naive` agrees only where the attended mean does not change it.
        """
        return self.advantage > 0


def turn(
    x: Float[Tensor, "*batch token feature"],
    scores: Float[Tensor, "feature feature"],
    values: Float[Tensor, "feature out"],
    upstream: Float[Tensor, "*batch token out"],
) -> Turn:
    r"""Attention, and what its gradient says.

    .. math::
        \mathrm{Attn} = S X W_V, \quad S = \mathrm{softmax}(X W X^\top), \qquad
        \frac{\partial L}{\partial W} = X^\top \bigl(
            S \circ (G W_V^\top X^\top - (\mathrm{Attn} \circ G) 1 1^\top) \bigr) X

    A step changes scores by :math:`-\eta X X^\top (\dots) X X^\top`; the sign of `Turn.advantage` is that of the middle
    factor's diagonal.

    Args:
        x: X.
        scores: W, that is :math:`W_Q W_K^\top / \sqrt{d}`.
        values: W_V.
        upstream: G, the gradient of the loss with respect to Attn.

    Source: Ke et al. 2025 (arXiv 2412.06061), section 7.1; its two cases leave out the mean that the softmax subtracts,
    which `advantage` has.
    """
    pattern = torch.softmax(x @ scores @ x.mT, dim=-1)
    own = x @ values
    out = pattern @ own
    inner = (out * upstream).sum(dim=-1)
    naive = (upstream * own).sum(dim=-1)
    middle = pattern * (upstream @ own.mT - inner[..., None])
    return Turn(pattern, x.mT @ middle @ x, naive, naive - inner)
