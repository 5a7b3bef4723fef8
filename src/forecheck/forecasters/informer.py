"""Informer: ProbSparse attention between steps, an encoder that halves its tokens, a decoder in one pass."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.forecasters.transformer import EncoderDecoderConfig
from forecheck.nn.embeddings import TimeConvolution
from forecheck.nn.encoder_decoder import AttentionMixer, DecoderLayer, EncoderDecoder, EncoderLayer
from forecheck.nn.norms import TokenBatchNorm
from forecheck.nn.prob_sparse import ProbSparse


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


def informer(task: Task, config: InformerConfig) -> EncoderDecoder:
    """The network: ProbSparse attention in encoder and decoder, full attention from the decoder to the encoder."""
    c = config
    label = min(c.label, task.lookback)

    def sparse(tokens: int, *, causal: bool = False) -> AttentionMixer:
        return AttentionMixer(c.width, c.heads, kernel=ProbSparse(tokens, tokens, c.factor), causal=causal)

    encoder: list[nn.Module] = []
    tokens = task.lookback
    for layer in range(c.layers):
        encoder.append(EncoderLayer(sparse(tokens), c.width, c.hidden, c.dropout))
        if c.distil and layer < c.layers - 1:
            encoder.append(Distilling(c.width))
            tokens = (tokens - 1) // 2 + 1
    decoder = [
        DecoderLayer(
            sparse(label + task.horizon, causal=True),
            AttentionMixer(c.width, c.heads, dropout=c.attention_dropout),
            c.width,
            c.hidden,
            c.dropout,
        )
        for _ in range(c.decoder_layers)
    ]
    return EncoderDecoder(
        task.lookback,
        task.horizon,
        task.channels,
        label=label,
        width=c.width,
        dropout=c.dropout,
        encoder=encoder,
        decoder=decoder,
    )


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
        """The untrained network."""
        return informer(self.task, self.config)
