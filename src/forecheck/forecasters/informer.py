"""Informer: ProbSparse attention between steps, an encoder that halves its tokens, a decoder in one pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.forecasters.transformer import EncoderDecoderConfig
from forecheck.nn.attention import Attention
from forecheck.nn.embeddings import TimeConvolution
from forecheck.nn.encoder_decoder import AttentionMixer, DecoderLayer, EncoderDecoder, EncoderLayer
from forecheck.nn.kernels.base import Kernel, KernelOutput
from forecheck.nn.kernels.softmax import softmax_attention
from forecheck.nn.norms import TokenBatchNorm


@dataclass(frozen=True)
class InformerConfig(EncoderDecoderConfig):
    """Informer's settings and its recipe; the defaults are those of the official code.

    Attributes:
        heads: attention heads.
        factor: c of ProbSparse attention: c ln L queries are active, seen on c ln L keys.
        distil: halve the tokens between two encoder layers.
        attention_dropout: rate on the patterns of the decoder's attention to the encoder; ProbSparse has none, as in
            the official code.
    """

    heads: int = 8
    factor: int = 5
    distil: bool = True
    attention_dropout: float = 0.05
    epochs: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factor < 1:
            raise ValueError(f"factor must be positive, got {self.factor}")


class ProbSparse(Kernel):
    r"""An attention kernel in which few queries are active.

    .. math::
        M_i = \max_{j \in \Omega_i} s_{ij} - \frac{1}{K} \sum_{j \in \Omega_i} s_{ij}, \qquad s = Q K^\top / \sqrt d, \\
        A_i = \mathrm{softmax}(s_i) \text{ for the } c \lceil \ln T \rceil \text{ queries with the largest } M_i,
        \qquad A_i = 1 / K \text{ for the others}

    with :math:`\Omega_i` a sample of :math:`c \lceil \ln K \rceil` of the K keys, drawn with replacement. While
    training it is drawn anew at every step, from a stream set by `reseed`; a forecast uses one sample, drawn with the
    weights and saved with them, so that it repeats. Under a mask the others take the mean of what they may see, where
    the official code takes the sum; the sample ignores the mask, as there. The pattern is an ordinary one and can be
    edited. Scores are formed in full: at the lengths of windows one product is far cheaper than gathering keys.

    Args:
        queries: T.
        keys: K.
        factor: c.

    Source: Zhou et al. 2021 (Informer, arXiv 2012.07436), section 3.1 and algorithm 1; 1/K, where the paper has one
    over the sample's size, is the official code's.
    """

    sample: Tensor

    def __init__(self, queries: int, keys: int, factor: int) -> None:
        super().__init__()
        if factor < 1:
            raise ValueError(f"factor must be positive, got {factor}")
        self.active = min(queries, factor * math.ceil(math.log(queries)) or 1)
        self.register_buffer("sample", torch.empty(queries, min(keys, factor * math.ceil(math.log(keys)) or 1)).long())
        self.keys = keys
        self._bits = np.random.SFC64(0)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the sample of forecasts anew."""
        self.sample.copy_(torch.randint(self.keys, self.sample.shape))

    def reseed(self, *entropy: int) -> None:
        """Start the stream of samples that belongs to these numbers (a module's seed and the step)."""
        self._bits = np.random.SFC64(entropy)

    def forward(
        self,
        q: Float[Tensor, "batch head query width"],
        k: Float[Tensor, "batch head key width"],
        v: Float[Tensor, "batch head key width"],
        mask: Bool[Tensor, "query key"] | None = None,
        *,
        need_weights: bool = True,
    ) -> KernelOutput:
        """A V and A.

        Args:
            q, k, v, mask, need_weights: as in `Kernel.forward`.
        """
        top = self._most_selective(q, k)
        rows = top[..., None]
        chosen = q.gather(2, rows.expand(-1, -1, -1, q.shape[3]))
        let = None if mask is None else mask[top]
        out, weights = softmax_attention(chosen, k, v, let, need_weights=need_weights)
        if mask is None:
            mean = v.mean(dim=2, keepdim=True).expand(-1, -1, q.shape[2], -1)
        else:
            share = mask.to(v.dtype) / mask.sum(dim=-1, keepdim=True).clamp(min=1)
            mean = torch.matmul(share, v)
        mixed = mean.to(out.dtype).scatter(2, rows.expand_as(out), out)  # two precisions under autocast
        pattern = None
        if need_weights:
            assert weights is not None
            lazy = q.new_full((q.shape[2], k.shape[2]), 1 / k.shape[2]) if mask is None else share
            pattern = lazy.expand(*q.shape[:2], -1, -1).scatter(2, rows.expand_as(weights), weights)
        return KernelOutput(mixed, pattern)

    @torch.no_grad()
    def _most_selective(
        self, q: Float[Tensor, "batch head query width"], k: Float[Tensor, "batch head key width"]
    ) -> Int[Tensor, "batch head active"]:
        """The queries with the largest M."""
        sample = self.sample
        if self.training:
            drawn = np.random.Generator(self._bits).integers(self.keys, size=tuple(sample.shape))
            sample = torch.from_numpy(drawn).to(sample.device)
        scores = torch.matmul(q, k.mT).gather(3, sample.expand(*q.shape[:2], -1, -1))
        measure = scores.amax(dim=-1) - scores.sum(dim=-1) / k.shape[2]
        return measure.topk(self.active, dim=-1, sorted=False).indices


class Distilling(nn.Module):
    r"""Half of the tokens: :math:`z' = \mathrm{MaxPool}_{3, 2}(\mathrm{ELU}(N(\mathrm{conv}(z))))`.

    Source: Zhou et al. 2021 (Informer), equation 5; the batch norm is the official code's.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = TimeConvolution(width, width)
        self.norm = TokenBatchNorm(width)
        self.activation = nn.ELU()
        self.pool = nn.MaxPool1d(kernel_size=3, stride=2, padding=1)

    def forward(self, tokens: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch half width"]:
        """The larger of neighbours, at every second token."""
        kept: Tensor = self.pool(self.activation(self.norm(self.convolution(tokens))).mT)
        return kept.mT


@register
class Informer(NeuralForecaster):
    """A Transformer over steps in which few queries attend.

    Windows hold values only, so tokens carry their position and none of the official code's time features. Its
    decoder mixes up the axes of heads and steps (`mix`); here it does not.
    """

    name = "informer"
    summary = "Transformer over steps with ProbSparse attention and an encoder that halves its tokens"
    mixes = "steps, each of all channels, by attention of few queries"
    source = "Zhou et al. 2021, Informer: Beyond Efficient Transformer for Long Sequence Forecasting, arXiv 2012.07436"
    rank = 81
    Config = InformerConfig
    usual_lookback = 96

    def build(self) -> nn.Module:
        """The untrained network: ProbSparse attention in encoder and decoder, full from the decoder to the encoder."""
        c, sizes = self.config, self.config.sizes(self.task)

        def sparse(tokens: int, *, causal: bool = False) -> AttentionMixer:
            kernel = ProbSparse(tokens, tokens, c.factor)
            return AttentionMixer(Attention(c.width, c.heads, kernel=kernel), causal=causal)

        def decoder() -> DecoderLayer:
            across = AttentionMixer(Attention(c.width, c.heads, dropout=c.attention_dropout))
            return DecoderLayer(sparse(sizes.label + sizes.horizon, causal=True), across, sizes)

        encoder: list[nn.Module] = []
        tokens = sizes.lookback
        for layer in range(c.layers):
            encoder.append(EncoderLayer(sparse(tokens), sizes))
            if c.distil and layer < c.layers - 1:
                encoder.append(Distilling(c.width))
                tokens = (tokens - 1) // 2 + 1
        return EncoderDecoder(sizes, encoder, [decoder() for _ in range(c.decoder_layers)])
