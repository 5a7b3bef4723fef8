"""The four matrices of every head, where it is known how a module lays them out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.attention import Attention
from forecheck.nn.placed import doubles


@dataclass(frozen=True)
class HeadMatrices:
    """What a head multiplies by, all heads of one attention; views, where memory allows.

    Attributes:
        q, k, v: what is made of tokens.
        out: what is made of mixed values.
    """

    q: Float[Tensor, "head query width"]
    k: Float[Tensor, "head query key_width"]
    v: Float[Tensor, "head value key_width"]
    out: Float[Tensor, "head width value"]


def head_matrices(module: nn.Module | None) -> HeadMatrices | None:
    """Of one of our attention modules or of `nn.MultiheadAttention`; None of others, whose layout is not known.

    Heads of our modules whose kernel cuts queries into parts are whole here.

    Args:
        module: that holds the attention.
    """
    if isinstance(module, Attention):
        q, k, v = module.project.weight.detach().chunk(3)
        return _cut(q, k, v, module.out.weight.detach(), module.heads)
    if isinstance(module, nn.MultiheadAttention):
        fused = getattr(module, "in_proj_weight", None)  # annotated as if it were always there
        parts = fused.chunk(3) if fused is not None else [getattr(module, f"{part}_proj_weight") for part in "qkv"]
        q, k, v = (each.detach() for each in parts)
        return _cut(q, k, v, module.out_proj.weight.detach(), module.num_heads)
    return None


def _cut(q: Tensor, k: Tensor, v: Tensor, out: Tensor, heads: int) -> HeadMatrices:
    q, k, v = (rearrange(each, "(head rows) width -> head rows width", head=heads) for each in (q, k, v))
    return HeadMatrices(q, k, v, rearrange(out, "width (head columns) -> head width columns", head=heads))


def stable_rank(
    left: Float[Tensor, "head rows inner"], right: Float[Tensor, "head inner columns"]
) -> Float[Tensor, " head"]:
    r"""Stable rank of the product of two matrices of every head, without forming it; NaN of a product that is zero.

    .. math:: \mathrm{sr}(W) = \lVert W \rVert_F^2 / \lVert W \rVert_2^2, \qquad W = L R

    With :math:`L = Q_1 R_1` and :math:`R^\top = Q_2 R_2` the singular values of W are those of :math:`R_1 R_2^\top`,
    which is as small as the head is wide.

    Args:
        left: L.
        right: R.
    """
    small = torch.linalg.qr(doubles(left)).R @ torch.linalg.qr(doubles(right).mT).R.mT
    values = torch.linalg.svdvals(small).square()
    return values.sum(dim=-1) / values.amax(dim=-1)
