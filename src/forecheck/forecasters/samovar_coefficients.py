r"""The exact coefficients of a stack of linear attentions, whole and path by path.

With :math:`A^{(l)}_{t,i} = v^{(l)}_i q^{(l)\top}_t`, zero for i > t, and :math:`B^{(0)}_{i,j} = I [i = j]`:

.. math:: B^{(l)}_{t,j} = \sum_{i=j}^{t} A^{(l)}_{t,i} B^{(l-1)}_{i,j}, \qquad
    o^{(l)}_t = \sum_{j \le t} B^{(l)}_{t,j} x_j, \qquad C_{t,j} = \sum_l B^{(l)}_{t,j}

Vectors are columns here. Source: Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), section 4.1.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecheck.nn.var_attention import Coefficients

PATHS_AT_MOST = 200_000


def layer_coefficients(
    coefficients: Coefficients,
) -> Float[Tensor, "layer series head target source row column"]:
    r"""All :math:`B^{(l)}_{t,j}` by the recurrence; time :math:`O(L T^3 d^2)`, for small windows."""
    like = coefficients.q[0]
    tokens, width = like.shape[2:]
    eye = torch.eye(width).to(like)
    below = torch.einsum("ij,ab->ijab", torch.eye(tokens).to(eye), eye)
    below = below.expand(*like.shape[:2], *below.shape)
    past = torch.ones(tokens, tokens).to(eye).tril()
    layers = []
    for q, v in zip(*coefficients, strict=True):
        inner = torch.einsum("shta,shijab,ti->shtijb", q, below, past)
        below = torch.einsum("shia,shtijb->shtjab", v, inner)
        layers.append(below)
    return torch.stack(layers)


def mixture_row(coefficients: Coefficients) -> Float[Tensor, "series head source row column"]:
    r"""The mixture :math:`C_{t,j}` of the last token t, all layers at once; time :math:`O(L T d^3)`.

    From the top layer down, with G a sum over all tokens not before j (Horner's scheme):

    .. math:: C_j \leftarrow v^{(L)}_j q^{(L)\top}_t, \qquad
        C_j \leftarrow \sum_{i \ge j} C_i \, v^{(m)}_j q^{(m)\top}_i + v^{(m)}_j q^{(m)\top}_t, \quad m = L-1 \dots 1
    """
    row = torch.zeros(())
    for level, (q, v) in enumerate(zip(*(x[::-1] for x in coefficients), strict=True)):
        direct = torch.einsum("shja,shb->shjab", v, q[:, :, -1])
        if level:
            each = torch.einsum("shiab,shic->shiabc", row, q)
            after = each.flip(2).cumsum(dim=2).flip(2)
            direct = direct + torch.einsum("shjabc,shjb->shjac", after, v)
        row = direct
    return row


class Paths(NamedTuple):
    r"""Temporal influence paths into the last token.

    The matrix of a path in a head is :math:`w \, u r^\top`, of rank one.

    Attributes:
        nodes: tokens from the target down to the source, not increasing; -1 after the source of a shorter path.
        weight: w.
        left: u, the top layer's value at the second node.
        right: r, the bottom layer's query at the last node but one.
    """

    nodes: Int[Tensor, "series path node"]
    weight: Float[Tensor, "series head path"]
    left: Float[Tensor, "series head path width"]
    right: Float[Tensor, "series head path width"]

    def norms(self) -> Float[Tensor, "series path"]:
        """Frobenius norm of a path's matrix over all heads."""
        single = self.weight.abs() * self.left.norm(dim=-1) * self.right.norm(dim=-1)
        return single.norm(dim=1)

    def matrices(self) -> Float[Tensor, "series head path row column"]:
        """A path's matrix in every head."""
        return torch.einsum("shp,shpa,shpb->shpab", *self[1:])


def path_count(tokens: int, length: int) -> int:
    r"""Paths of `length` layers into the last of `tokens`: :math:`\sum_j \binom{T-j+l-1}{l-1} = \binom{T+l-1}{l}`."""
    return comb(tokens + length - 1, length)


def paths_of_length(coefficients: Coefficients, length: int) -> Paths:
    r"""All paths through the first `length` layers.

    With nodes :math:`p_0 = t \ge p_1 \ge \dots \ge p_l = j`, a path's matrix is

    .. math:: P = A^{(l)}_{p_0,p_1} \cdots A^{(1)}_{p_{l-1},p_l} = \left( \prod_{s=0}^{l-2} q^{(l-s)}_{p_s} \cdot
        v^{(l-s-1)}_{p_{s+2}} \right) v^{(l)}_{p_1} q^{(1)\top}_{p_{l-1}}

    Raises:
        ValueError: if there are too many.
    """
    q, v = coefficients
    series, heads, tokens, _ = q[0].shape
    if path_count(tokens, length) > PATHS_AT_MOST:
        raise ValueError(f"{path_count(tokens, length)} paths of {length} layers over {tokens} tokens are too many")
    chains = list(combinations_with_replacement(range(tokens - 1, -1, -1), length))
    nodes = torch.tensor([(tokens - 1, *chain) for chain in chains], device=q[0].device)
    weight = torch.ones(series, heads, len(nodes)).to(q[0])
    for s in range(length - 1):
        pairs = torch.matmul(q[length - s - 1], v[length - s - 2].mT)
        weight = weight * pairs[:, :, nodes[:, s], nodes[:, s + 2]]
    left, right = v[length - 1][:, :, nodes[:, 1]], q[0][:, :, nodes[:, length - 1]]
    return Paths(nodes.expand(series, -1, -1), weight, left, right)


def strongest_paths(coefficients: Coefficients, count: int) -> Paths:
    """The `count` paths of largest norm in every series, of all lengths, the largest first."""
    layers = len(coefficients.q)
    every = [paths_of_length(coefficients, length) for length in range(1, (layers if count else 1) + 1)]
    padded = [nn.functional.pad(paths.nodes, (0, layers + 1 - paths.nodes.shape[2]), value=-1) for paths in every]
    factors = zip(*(paths[1:] for paths in every), strict=True)
    whole = Paths(torch.cat(padded, dim=1), *(torch.cat(parts, dim=2) for parts in factors))
    top = whole.norms().topk(min(count, whole.nodes.shape[1]), dim=1).indices

    def pick(x: Tensor) -> Tensor:
        index = top[:, None].expand(-1, x.shape[1], -1)
        return x.gather(2, index if x.dim() == 3 else index[..., None].expand(-1, -1, -1, x.shape[3]))

    nodes = whole.nodes.gather(1, top[..., None].expand(-1, -1, layers + 1))
    return Paths(nodes, *(pick(x) for x in whole[1:]))
