"""Causal linear attention without softmax, feature map or normaliser; exact in both forms."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.mixing import Mixing, everywhere
from forecheck.nn.plain import plain

_CHUNK = 64  # tokens taken at once in the chunked form


class _Masked(torch.autograd.Function):
    r"""out = S V with S = tril(Q K^T), its gradient by hand.

    .. math:: \bar V = S^\top \bar{out}, \quad \bar S = \mathrm{tril}(\bar{out} V^\top), \quad
        \bar Q = \bar S K, \quad \bar K = \bar S^\top Q

    Triangles are cut in place, which autograd would copy: at a few tokens copies cost as much as products. In memory
    features are rows and tokens columns, as in `SoftmaxAttention`.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = torch.bmm(k, q.mT).triu_()  # (member, key, query)
        ctx.save_for_backward(q, k, v, scores)
        return torch.bmm(v.mT, scores).mT

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, scores = ctx.saved_tensors
        d_out = grads[0].mT
        d_scores = torch.bmm(v, d_out).triu_()
        return torch.bmm(k.mT, d_scores).mT, torch.bmm(q.mT, d_scores.mT).mT, torch.bmm(d_out, scores.mT).mT


def masked_linear_attention(
    q: Float[Tensor, "series head token width"],
    k: Float[Tensor, "series head token width"],
    v: Float[Tensor, "series head token width"],
) -> Float[Tensor, "series head token width"]:
    r"""Linear attention by its scores: quadratic in the tokens.

    .. math:: O = \mathrm{tril}(Q K^\top) V

    Args:
        q, k, v: as in `causal_linear_attention`.
    """
    if plain(q.device):
        return torch.matmul(torch.matmul(q, k.mT).tril(), v)
    out: Tensor = _Masked.apply(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1))  # type: ignore[no-untyped-call]
    return out.view(v.shape)


def chunked_linear_attention(
    q: Float[Tensor, "series head token width"],
    k: Float[Tensor, "series head token width"],
    v: Float[Tensor, "series head token width"],
    size: int = _CHUNK,
) -> Float[Tensor, "series head token width"]:
    r"""Linear attention, `size` tokens at once: linear in the tokens.

    .. math:: O_c = Q_c S_c + \mathrm{tril}(Q_c K_c^\top) V_c, \qquad S_{c+1} = S_c + K_c^\top V_c, \qquad S_1 = 0

    Args:
        q, k, v: as in `causal_linear_attention`.
        size: tokens at once.
    """
    tokens = q.shape[2]
    # Zero keys and values add nothing, and rows of zero queries are cut off again.
    padded = (nn.functional.pad(x, (0, 0, 0, -tokens % size)) for x in (q, k, v))
    q, k, v = (rearrange(x, "s h (n c) d -> s h n c d", c=size) for x in padded)
    sums = torch.matmul(k.mT, v)
    before = sums.cumsum(dim=2) - sums
    inside = masked_linear_attention(q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2)).view(v.shape)
    return (torch.matmul(q, before) + inside).flatten(2, 3)[:, :, :tokens]


def causal_linear_attention(
    q: Float[Tensor, "series head token width"],
    k: Float[Tensor, "series head token width"],
    v: Float[Tensor, "series head token width"],
) -> Float[Tensor, "series head token width"]:
    r"""Attention as a vector autoregression whose coefficients are made of queries and values.

    .. math:: o_t = \sum_{i \le t} (q_t \cdot k_i) v_i = \sum_{i \le t} A_{t,i} k_i, \qquad A_{t,i} = v_i q_t^\top

    Masked where tokens are few beside the head width, else chunked; the same numbers, other memory and time.

    Args:
        q: queries.
        k: keys.
        v: values.

    Source: Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), section 3; Katharopoulos et al. 2020 without a feature map.
    """
    few = q.shape[2] <= max(_CHUNK, 2 * q.shape[3])
    return masked_linear_attention(q, k, v) if few else chunked_linear_attention(q, k, v)


class LinearMixing(Mixing):
    r"""A sublayer around `causal_linear_attention`, whose pattern can be seen and edited.

    .. math:: A = \mathrm{tril}(Q K^\top), \qquad O = A V

    Where nobody sees or edits it, the pattern is not formed. Its rows do not sum to one.
    """

    stochastic = False

    def mix(
        self,
        q: Float[Tensor, "series head token width"],
        k: Float[Tensor, "series head token width"],
        v: Float[Tensor, "series head token width"],
    ) -> Float[Tensor, "series head token width"]:
        """O.

        Args:
            q, k, v: as in `causal_linear_attention`.
        """
        return self.mixed(
            lambda: causal_linear_attention(q, k, v),
            lambda: torch.matmul(q, k.mT).tril(),
            lambda: everywhere(q.shape[2], k.shape[2], q).tril(),
            v,
        )


class CausalLinearAttention(LinearMixing):
    """The bare mixing: what it gives is what its sublayer gives."""

    def forward(
        self,
        q: Float[Tensor, "series head token width"],
        k: Float[Tensor, "series head token width"],
        v: Float[Tensor, "series head token width"],
    ) -> Float[Tensor, "series head token width"]:
        """Mixed values.

        Args:
            q, k, v: as in `causal_linear_attention`.
        """
        return self.mix(q, k, v)
