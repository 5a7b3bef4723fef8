"""A codebook that follows what it quantises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from forecheck.nn.quantise.kmeans import kmeans, nearest


def straight_through(
    z: Float[Tensor, "*rows width"], code: Float[Tensor, "*rows width"]
) -> Float[Tensor, "*rows width"]:
    r"""The code's value with the vector's gradient: :math:`z + \mathrm{sg}(e - z)`.

    Source: van den Oord et al. 2017 (VQ-VAE, arXiv 1711.00937), section 3.2.
    """
    return z + (code - z).detach()


def commitment_loss(z: Float[Tensor, "*rows width"], code: Float[Tensor, "*rows width"]) -> Float[Tensor, ""]:
    r"""How far vectors lie from their codes: mean over all numbers of :math:`(z - \mathrm{sg}(e))^2`."""
    return nn.functional.mse_loss(z, code.detach())


class Quantiser(nn.Module):
    r"""K codes; a vector is stood for by the nearest one, and codes are running means of what they stand for.

    With :math:`n_k` vectors of sum :math:`s_k` nearest to code k in a batch

    .. math:: N_k \leftarrow \lambda N_k + (1 - \lambda) n_k, \qquad m_k \leftarrow \lambda m_k + (1 - \lambda) s_k,
        \qquad e_k = m_k / N_k

    A code with :math:`N_k` below `revive` is dead: it moves to a random vector of the batch, with the count of an
    average code. So a batch should hold several times `revive` K vectors.

    Args:
        codes: K.
        width: numbers a code.
        decay: lambda.
        revive: count below which a code is dead.

    Attributes:
        codes: e, (K, width).
        counts: N, (K,).
        sums: m, (K, width).

    Source: van den Oord et al. 2017 (VQ-VAE, arXiv 1711.00937), appendix A.1; revival as in Dhariwal et al. 2020
    (Jukebox, arXiv 2005.00341), section 3.2.
    """

    codes: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, width: int, *, decay: float = 0.99, revive: float = 2.0) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), got {decay}")
        self.decay, self.revive = decay, revive
        self.register_buffer("codes", torch.empty(codes, width))
        self.register_buffer("counts", torch.empty(codes))
        self.register_buffer("sums", torch.empty(codes, width))
        self._random = np.random.default_rng(0)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw codes from the standard normal distribution, as if each had stood for one vector."""
        nn.init.normal_(self.codes)
        nn.init.ones_(self.counts)
        self.sums.copy_(self.codes)

    def reseed(self, *entropy: int) -> None:
        """Start the stream of revivals that belongs to these numbers (a module's seed and the step)."""
        self._random = np.random.default_rng(entropy)

    @torch.no_grad()
    def start(self, batches: Sequence[Float[Tensor, "_ width"]], random: np.random.Generator) -> None:
        """Put the codes where k-means puts them on the first batches."""
        vectors = torch.cat([*batches])
        self.codes.copy_(kmeans(vectors, len(self.codes), random))
        members = torch.bincount(nearest(vectors, self.codes), minlength=len(self.codes))
        self.counts.copy_(members / len(batches))
        self.sums.copy_(self.codes * self.counts[:, None])

    @torch.no_grad()
    def forward(self, z: Float[Tensor, "*rows width"]) -> Int64[Tensor, "*rows"]:
        """Number of the nearest code."""
        return nearest(z.reshape(-1, z.shape[-1]), self.codes).view(z.shape[:-1])

    @torch.no_grad()
    def update(self, z: Float[Tensor, "*rows width"], index: Int64[Tensor, "*rows"]) -> None:
        """One step of the running means, then revival."""
        vectors, index = z.reshape(-1, z.shape[-1]), index.flatten()
        counts = torch.bincount(index, minlength=len(self.codes)).to(vectors.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, index, vectors)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        # A code that nothing was near to for very long, where none is revived, stays where it was.
        alive = self.counts[:, None] > 1e-6
        self.codes.copy_(torch.where(alive, self.sums / self.counts[:, None].clamp(min=1e-6), self.codes))
        dead = self.counts < self.revive
        drawn = torch.from_numpy(self._random.integers(len(vectors), size=int(dead.sum())))
        self.codes[dead] = vectors[drawn]
        self.counts[dead] = max(self.revive, len(vectors) / len(self.codes))
        self.sums[dead] = self.codes[dead] * self.counts[dead, None]


def perplexity(counts: Int64[Tensor, " code"]) -> float:
    r"""How many codes would be as varied, used evenly: :math:`\exp(-\sum_k p_k \log p_k)` with shares p."""
    share = counts.double() / counts.sum()
    return float(torch.exp(torch.special.entr(share).sum()))
