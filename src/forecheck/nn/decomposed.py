"""Encoder and decoder layers that take the trend out after every step, and the forecaster that they make up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.decomposition import SeriesDecomposition
from forecheck.nn.dropout import Dropout
from forecheck.nn.embeddings import TimeConvolution
from forecheck.nn.encoder_decoder import EncoderDecoderParts, Mixer, Sizes, last
from forecheck.nn.feedforward import FeedForward


class SeasonalNorm(nn.Module):
    r"""Layer normalisation less its mean over time: :math:`N(z) - \frac{1}{T} \sum_t N(z)_t`.

    Source: the official code of Autoformer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """Normalised tokens whose mean over time is zero."""
        normalised: Tensor = self.norm(tokens)
        return normalised - normalised.mean(dim=1, keepdim=True)


class DecomposedEncoderLayer(nn.Module):
    r"""With S the remainder: :math:`z' = S(z + D(\mathrm{Mix}(z))), \; z'' = S(z' + \mathrm{FF}(z'))`.

    Args:
        mixer: of the tokens.
        sizes: of the network.
        kernels: of the moving averages that make the trend.

    Source: Wu et al. 2021 (Autoformer, arXiv 2106.13008), equation 3.
    """

    def __init__(self, mixer: Mixer, sizes: Sizes, kernels: Sequence[int]) -> None:
        super().__init__()
        self.mixer = mixer
        self.mixer_dropout = Dropout(sizes.dropout)
        self.feed_forward = FeedForward(sizes.width, sizes.hidden, sizes.dropout)
        self.decompositions = nn.ModuleList(SeriesDecomposition(kernels) for _ in range(2))

    def forward(self, tokens: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """The next tokens; trends are left out."""
        tokens, _ = self.decompositions[0](self.mixer_dropout(self.mixer(tokens), tokens))
        tokens, _ = self.decompositions[1](self.feed_forward(tokens, tokens))
        return tokens


class DecomposedDecoderLayer(nn.Module):
    r"""Like the encoder's layer, with a look at the memory m in between; trends are kept.

    .. math:: z', t_1 = S(z + D(\mathrm{Mix}(z))), \; z'', t_2 = S(z' + D(\mathrm{Cross}(z', m))), \;
        z''', t_3 = S(z'' + \mathrm{FF}(z'')), \quad t = \mathrm{conv}(t_1 + t_2 + t_3)

    Args:
        mixer: of the tokens among themselves.
        cross: takes from the memory.
        sizes: of the network.
        kernels: of the moving averages that make the trend.

    Source: Wu et al. 2021 (Autoformer, arXiv 2106.13008), equation 4.
    """

    def __init__(self, mixer: Mixer, cross: Mixer, sizes: Sizes, kernels: Sequence[int]) -> None:
        super().__init__()
        self.mixer, self.cross = mixer, cross
        self.mixer_dropout, self.cross_dropout = Dropout(sizes.dropout), Dropout(sizes.dropout)
        self.feed_forward = FeedForward(sizes.width, sizes.hidden, sizes.dropout)
        self.decompositions = nn.ModuleList(SeriesDecomposition(kernels) for _ in range(3))
        self.trend = TimeConvolution(sizes.width, sizes.channels)

    def forward(
        self, tokens: Float[Tensor, "batch token width"], memory: Float[Tensor, "batch key width"]
    ) -> tuple[Float[Tensor, "batch token width"], Float[Tensor, "batch token channel"]]:
        """The next tokens, and the trend that was taken out on the way, in channels."""
        tokens, first = self.decompositions[0](self.mixer_dropout(self.mixer(tokens), tokens))
        tokens, second = self.decompositions[1](self.cross_dropout(self.cross(tokens, memory), tokens))
        tokens, third = self.decompositions[2](self.feed_forward(tokens, tokens))
        return tokens, self.trend(first + second + third)


class DecomposedEncoderDecoder(EncoderDecoderParts):
    r"""A forecaster that decodes season and trend side by side.

    .. math:: s, t = S(x), \quad m = N(\mathrm{enc}(\mathrm{embed}_e(x))), \quad
        z, t' = \mathrm{dec}(\mathrm{embed}_d([s_{L-l+1 \dots L}, 0_H]), m), \\
        \hat y = (W N(z) + b + [t_{L-l+1 \dots L}, \bar x_H] + t')_{l+1 \dots l+H}

    The trend goes on as the mean of the window, the season as zeros; the decoder adds to both.

    Args:
        sizes: of the network.
        kernels: of the moving averages that make the trend.
        encoder: layers of tokens.
        decoder: layers of tokens and memory.

    Source: Wu et al. 2021 (Autoformer, arXiv 2106.13008), section 3.1.
    """

    def __init__(
        self,
        sizes: Sizes,
        kernels: Sequence[int],
        encoder: Sequence[DecomposedEncoderLayer],
        decoder: Sequence[DecomposedDecoderLayer],
    ) -> None:
        super().__init__(sizes, encoder, decoder, norm=SeasonalNorm)
        self.decomposition = SeriesDecomposition(kernels)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast all channels together."""
        memory = self.encoder(self.embed_window(x))
        season, trend = (last(part, self.label) for part in self.decomposition(x))
        mean = x.mean(dim=1, keepdim=True).expand(-1, self.horizon, -1)
        trend = torch.cat([trend, mean], dim=1)
        tokens = self.embed_label(torch.cat([season, torch.zeros_like(mean)], dim=1))
        for layer in self.decoder:
            tokens, more = layer(tokens, memory)
            trend = trend + more
        forecast: Tensor = self.head(self.norm(tokens)) + trend
        return forecast[:, self.label :]
