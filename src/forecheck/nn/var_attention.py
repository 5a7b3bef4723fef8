"""A stack of linear attentions that is one vector autoregression (VAR) of its input, with coefficients of its own."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, NamedTuple

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.dropout import Dropout
from forecheck.nn.linear_attention import CausalLinearAttention
from forecheck.nn.normal_linear import NormalFeedForward, NormalLinear
from forecheck.nn.rms_norm import RMSNorm, rms_norm

Structure = Literal["direct", "inverse"]
Scale = Literal["none", "root", "width"]


class Coefficients(NamedTuple):
    r"""Queries and values of all layers, of which the VAR's matrices :math:`A^{(l)}_{t,i} = v_i q_t^\top` are made."""

    q: tuple[Float[Tensor, "series head token width"], ...]
    v: tuple[Float[Tensor, "series head token width"], ...]


class CoefficientSource(nn.Module):
    """Where a stack takes its coefficients from."""

    @abstractmethod
    def forward(self, observations: Float[Tensor, "series token features"]) -> Coefficients:
        """Queries and values of all layers."""


class DynamicCoefficients(CoefficientSource):
    r"""Coefficients from the observations: new at every token of every window.

    .. math:: q^{(l)} = s \, N_{head}(x W_q^{(l)} + b), \qquad v^{(l)} = N_{head}(x W_v^{(l)} + b)

    with an RMS norm of every head's d numbers, and s = 1 (`none`, the official code), :math:`1/\sqrt d` (`root`) or
    :math:`1/d` (`width`): without a scale the outputs grow with depth by a factor of about d a layer.

    Args:
        width: features a token.
        heads: their number.
        layers: L.
        scale: of queries.

    Source: Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), section 4, by the official code.
    """

    def __init__(self, width: int, heads: int, layers: int, scale: Scale = "none") -> None:
        super().__init__()
        self.heads, self.layers = heads, layers
        d = width // heads
        self.scale = {"none": 1.0, "root": d**-0.5, "width": 1 / d}[scale]
        self.project = NormalLinear(width, 2 * layers * width)  # queries and values of all layers in one product
        self.gain = nn.Parameter(torch.empty(2 * layers * heads, d))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gains of one."""
        nn.init.ones_(self.gain)

    def forward(self, observations: Float[Tensor, "series token features"]) -> Coefficients:
        """Queries and values of all layers."""
        # Features are rows and tokens columns in memory, the layout in which few tokens are mixed fastest.
        z = rearrange(self.project(observations).mT.contiguous(), "s (n d) t -> s n d t", n=len(self.gain))
        z = rms_norm(z, self.gain[..., None], dim=2, eps=1e-8)
        parts = rearrange(z, "s (p h) d t -> s p h d t", p=2 * self.layers).unbind(1)
        q, v = (tuple(part.mT for part in half) for half in (parts[: self.layers], parts[self.layers :]))
        return Coefficients(q if self.scale == 1 else tuple(one * self.scale for one in q), v)


class FixedCoefficients(CoefficientSource):
    """Coefficients that are free parameters, one set a channel and token: they do not depend on the data.

    Args:
        width: features a token.
        heads: their number.
        layers: L.
        channels: C.
        tokens: of every channel.

    Source: Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), the control FixedVAR, by the official code.
    """

    def __init__(self, width: int, heads: int, layers: int, channels: int, tokens: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.empty(2, layers, channels, heads, tokens, width // heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw them from N(0, 0.02²)."""
        nn.init.normal_(self.values, std=0.02)

    def forward(self, observations: Float[Tensor, "series token features"]) -> Coefficients:
        """Queries and values of all layers; series are windows times channels, channels innermost."""
        windows = observations.shape[0] // self.values.shape[2]
        q, v = repeat(self.values, "n l c h t d -> n l (b c) h t d", b=windows)
        return Coefficients(q.unbind(), v.unbind())


class StructuralMatrix(nn.Module):
    r"""One invertible matrix a head, by its triangular factors.

    .. math:: D = (I + \mathrm{strictlower}(P)) \, (\mathrm{strictupper}(P) + \mathrm{diag}(\mathrm{softplus}(P)))

    P starts as N(0, 0.02/√d), so D starts near ln 2 · I; its determinant is the product of the softplus terms, > 0.

    Source: Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), section 4 (structural form), by the official code.
    """

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.empty(heads, width, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the factors P anew."""
        nn.init.normal_(self.factors, std=(0.02 / self.factors.shape[-1] ** 0.5) ** 0.5)

    def triangles(self) -> tuple[Float[Tensor, "head width width"], Float[Tensor, "head width width"]]:
        """The lower factor (ones on its diagonal) and the upper."""
        lower = self.factors.tril(-1) + torch.eye(self.factors.shape[-1]).to(self.factors)
        diagonal = nn.functional.softplus(self.factors.diagonal(dim1=1, dim2=2))
        return lower, self.factors.triu(1) + torch.diag_embed(diagonal)

    def matrix(self) -> Float[Tensor, "head width width"]:
        """The matrix D of every head."""
        lower, upper = self.triangles()
        return torch.bmm(lower, upper)

    def forward(self, rows: Float[Tensor, "*batch head row width"]) -> Float[Tensor, "*batch head row width"]:
        """Rows times the matrix D of their head."""
        return _as(rows, torch.bmm(_by_head(rows), self.matrix()))

    def solve(self, rows: Float[Tensor, "*batch head row width"]) -> Float[Tensor, "*batch head row width"]:
        """Rows times the inverse of D, by two triangular solves."""
        lower, upper = self.triangles()
        half = torch.linalg.solve_triangular(upper, _by_head(rows), upper=True, left=False)
        return _as(rows, torch.linalg.solve_triangular(lower, half, upper=False, left=False, unitriangular=True))


class VarTrace(NamedTuple):
    """What went on in a stack: all that its coefficients are made of."""

    observations: Float[Tensor, "series head token width"]
    coefficients: Coefficients
    outputs: list[Tensor]


class VarAttention(nn.Module):
    r"""MLP blocks, then linear attentions chained through their keys.

    .. math::
        h \leftarrow h + \mathrm{MLP}(N(h)) \; (L \text{ times}), \qquad x = N(h), \qquad k^{(1)} = x, \\
        o^{(l)}_t = \sum_{i \le t} (q^{(l)}_t \cdot k^{(l)}_i) v^{(l)}_i, \qquad k^{(l+1)} = o^{(l)}, \qquad
        y_t = x_t + D \sum_l o^{(l)}_t

    With the structure `inverse`, the paper's form, the shortcut lies inside: :math:`y_t = D^{-1}(x_t + \sum_l o_t)`.
    Given q and v, y is linear in x: :math:`y_t = \sum_{j \le t} \Gamma_{t,j} x_j`; see `samovar_coefficients`.

    Args:
        source: of the coefficients.
        width: features a token.
        heads: their number.
        layers: L.
        dropout: rate in the MLP and on the layers' outputs.
        structure: `direct` or `inverse`.

    Source: Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), section 4, by the official code.
    """

    def __init__(
        self,
        source: CoefficientSource,
        width: int,
        heads: int,
        layers: int,
        dropout: float,
        structure: Structure = "direct",
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        self.heads = heads
        self.structure = structure
        self.norms = nn.ModuleList(RMSNorm(width) for _ in range(layers))
        self.blocks = nn.ModuleList(NormalFeedForward(width, layers, dropout) for _ in range(layers))
        self.norm = RMSNorm(width)
        self.source = source
        self.dropouts = nn.ModuleList(Dropout(dropout) for _ in range(layers))
        self.matrix = StructuralMatrix(heads, width // heads)
        self.attentions = nn.ModuleList(CausalLinearAttention() for _ in range(layers))

    def trace(self, tokens: Float[Tensor, "series token features"]) -> VarTrace:
        """Observations x, their coefficients, and the output of every layer."""
        for norm, block in zip(self.norms, self.blocks, strict=True):
            tokens = block(norm(tokens), tokens)
        flat = self.norm(tokens)
        coefficients = self.source(flat)
        x = rearrange(flat, "s t (h d) -> s h t d", h=self.heads)
        outputs, keys = list[Tensor](), x
        for q, v, attention, dropout in zip(*coefficients, self.attentions, self.dropouts, strict=True):
            # What is dropped is dropped from the next layer's keys too.
            keys = dropout(attention(q, keys, v).mT).mT
            outputs.append(keys)
        return VarTrace(x, coefficients, outputs)

    def combine(
        self,
        shortcut: Float[Tensor, "*batch head row width"],
        mixture: Float[Tensor, "*batch head row width"],
    ) -> Float[Tensor, "*batch head row width"]:
        """The output from x and the sum of the layers' outputs; linear in both together."""
        if self.structure == "direct":
            y: Tensor = shortcut + self.matrix(mixture)
            return y
        return self.matrix.solve(shortcut + mixture)

    def forward(self, tokens: Float[Tensor, "series token features"]) -> Float[Tensor, "series predicted features"]:
        """The output at every second token: those that hold a channel's own patch."""
        x, _, outputs = self.trace(tokens)
        mixture = torch.stack([o[:, :, 1::2] for o in outputs]).sum(dim=0)
        return rearrange(self.combine(x[:, :, 1::2], mixture), "s h t d -> s t (h d)")


def _by_head(rows: Tensor) -> Tensor:
    """(head, everything else, width): one product a head, not one a head and member of the batch."""
    return rows.movedim(-3, 0).flatten(1, -2)


def _as(like: Tensor, by_head: Tensor) -> Tensor:
    """What `_by_head` took apart, in its shape again."""
    return by_head.view(like.movedim(-3, 0).shape).movedim(0, -3)
