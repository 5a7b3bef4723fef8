"""Encoder and decoder layers around any way of mixing tokens, and the forecaster that they make up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.attention import Attention
from forecheck.nn.causal import CausalPart
from forecheck.nn.dropout import Dropout
from forecheck.nn.embeddings import StepEmbedding
from forecheck.nn.feedforward import FeedForward


class Sizes(NamedTuple):
    """Shapes and rates of an encoder and decoder over steps.

    Attributes:
        lookback: L, steps of input.
        horizon: H, steps of forecast.
        channels: C.
        label: l, last steps of the window that the decoder starts from; at most L.
        width: D, features a token.
        hidden: features of the feed-forward part.
        dropout: rate after embeddings, mixing and feed-forward.
    """

    lookback: int
    horizon: int
    channels: int
    label: int
    width: int
    hidden: int
    dropout: float


class Mixer(nn.Module):
    """Mixes tokens among themselves or, if there is a memory, takes them from there."""

    def forward(
        self, tokens: Float[Tensor, "batch token width"], memory: Float[Tensor, "batch key width"] | None = None
    ) -> Float[Tensor, "batch token width"]:
        """The mixed tokens."""
        raise NotImplementedError


class AttentionMixer(Mixer):
    """`Attention`, which audits can edit; causal: no token sees a later one."""

    def __init__(self, attention: Attention, *, causal: bool = False) -> None:
        super().__init__()
        self.attention = attention
        self.causal = causal

    def forward(
        self, tokens: Float[Tensor, "batch token width"], memory: Float[Tensor, "batch key width"] | None = None
    ) -> Float[Tensor, "batch token width"]:
        """The mixed tokens."""
        count = tokens.shape[1]
        mask = tokens.new_ones(count, count, dtype=torch.bool).tril() if self.causal else None
        mixed: Tensor = self.attention(tokens, mask, memory=memory)[0]
        return mixed


class EncoderLayer(nn.Module):
    r"""Post-norm: :math:`z' = N_1(z + D(\mathrm{Mix}(z))), \; z'' = N_2(z' + \mathrm{FF}(z'))`.

    Source: Vaswani et al. 2017, section 3.1; GELU in the feed-forward part as in Informer's code.
    """

    def __init__(self, mixer: Mixer, sizes: Sizes) -> None:
        super().__init__()
        self.mixer = mixer
        self.mixer_dropout = Dropout(sizes.dropout)
        self.mixer_norm = nn.LayerNorm(sizes.width)
        self.feed_forward = FeedForward(sizes.width, sizes.hidden, sizes.dropout)
        self.feed_forward_norm = nn.LayerNorm(sizes.width)

    def forward(self, tokens: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """The next tokens."""
        tokens = self.mixer_norm(self.mixer_dropout(self.mixer(tokens), tokens))
        result: Tensor = self.feed_forward_norm(self.feed_forward(tokens, tokens))
        return result


class DecoderLayer(nn.Module):
    r"""Post-norm, with a look at the memory m in between.

    .. math:: z' = N_1(z + D(\mathrm{Mix}(z))), \quad z'' = N_2(z' + D(\mathrm{Cross}(z', m))), \quad
        z''' = N_3(z'' + \mathrm{FF}(z''))

    Args:
        mixer: of the tokens among themselves.
        cross: takes from the memory.
        sizes: of the network.

    Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(self, mixer: Mixer, cross: Mixer, sizes: Sizes) -> None:
        super().__init__()
        self.mixer, self.cross = mixer, cross
        self.mixer_dropout, self.cross_dropout = Dropout(sizes.dropout), Dropout(sizes.dropout)
        self.mixer_norm, self.cross_norm = nn.LayerNorm(sizes.width), nn.LayerNorm(sizes.width)
        self.feed_forward = FeedForward(sizes.width, sizes.hidden, sizes.dropout)
        self.feed_forward_norm = nn.LayerNorm(sizes.width)

    def forward(
        self, tokens: Float[Tensor, "batch token width"], memory: Float[Tensor, "batch key width"]
    ) -> Float[Tensor, "batch token width"]:
        """The next tokens."""
        tokens = self.mixer_norm(self.mixer_dropout(self.mixer(tokens), tokens))
        tokens = self.cross_norm(self.cross_dropout(self.cross(tokens, memory), tokens))
        result: Tensor = self.feed_forward_norm(self.feed_forward(tokens, tokens))
        return result


class EncoderDecoderParts(nn.Module):
    """Embeddings, encoder, decoder, norms of both, and a linear head, for forecasts in one pass.

    What is decoded starts with the last `label` steps of the window and goes on over the horizon.

    Args:
        sizes: of the network.
        encoder: layers of tokens.
        decoder: layers of tokens and memory.
        positions: of steps by name, see `POSITIONS`.
        norm: after the encoder, and before the head.
    """

    def __init__(
        self,
        sizes: Sizes,
        encoder: Sequence[nn.Module],
        decoder: Sequence[nn.Module],
        *,
        positions: str = "sinusoidal",
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
    ) -> None:
        super().__init__()
        s = sizes
        self.label, self.horizon = s.label, s.horizon
        self.embed_window = StepEmbedding(s.channels, s.width, s.lookback, s.dropout, positions)
        self.embed_label = StepEmbedding(s.channels, s.width, s.label + s.horizon, s.dropout, positions)
        self.encoder = nn.Sequential(*encoder, norm(s.width))
        self.decoder = nn.ModuleList(decoder)
        self.norm = norm(s.width)
        self.head = nn.Linear(s.width, s.channels)


class EncoderDecoder(EncoderDecoderParts):
    r"""A forecaster that decodes its whole horizon in one pass.

    .. math:: m = N_e(\mathrm{enc}(\mathrm{embed}_e(x))), \qquad
        \hat y = W N_d(\mathrm{dec}(\mathrm{embed}_d([x_{L-l+1 \dots L}, 0_H]), m))_{l+1 \dots l+H} + b

    What is decoded starts with the last l steps of the window, the label part, and goes on with zeros.

    Source: Informer, section 3.3 (generative decoder).
    """

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast all channels together."""
        tokens, memory = self._embedded(x)
        forecast: Tensor = self.head(self.norm(self._decoded(tokens, memory)[:, self.label :]))
        return forecast

    def causal_part(self, x: Float[Tensor, "batch lookback channel"]) -> CausalPart:
        """The decoder, whose steps do not see later ones; all of them see the whole window."""
        tokens, memory = self._embedded(x)
        return CausalPart(tokens, lambda inputs: self._decoded(inputs, memory))

    def _embedded(
        self, x: Float[Tensor, "batch lookback channel"]
    ) -> tuple[Float[Tensor, "batch token width"], Float[Tensor, "batch key width"]]:
        """What the decoder starts from, and the memory that it looks at."""
        ahead = x.new_zeros(x.shape[0], self.horizon, x.shape[2])
        return self.embed_label(torch.cat([last(x, self.label), ahead], 1)), self.encoder(self.embed_window(x))

    def _decoded(
        self, tokens: Float[Tensor, "batch token width"], memory: Float[Tensor, "batch key width"]
    ) -> Float[Tensor, "batch token width"]:
        for layer in self.decoder:
            tokens = layer(tokens, memory)
        return tokens


def last(x: Float[Tensor, "batch time channel"], steps: int) -> Float[Tensor, "batch steps channel"]:
    """The last `steps` steps, which may be none."""
    return x[:, x.shape[1] - steps :]
