"""Autoformer: auto-correlation in the place of attention, season and trend apart all the way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.forecasters.transformer import EncoderDecoderConfig
from forecheck.nn.decomposed import DecomposedDecoderLayer, DecomposedEncoderDecoder, DecomposedEncoderLayer
from forecheck.nn.encoder_decoder import Mixer
from forecheck.nn.mixing import Mixing, everywhere
from forecheck.nn.spectrum import series, spectrum


@dataclass(frozen=True)
class AutoformerConfig(EncoderDecoderConfig):
    """Autoformer's settings and its recipe; the defaults are those of the official code.

    Attributes:
        factor: c of auto-correlation: c ln L lags are kept.
        moving_average: steps that make up the trend.
    """

    factor: int = 1
    moving_average: int = 25

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("factor", "moving_average")


def correlation(
    q: Float[Tensor, "batch time width"], k: Float[Tensor, "batch time width"]
) -> Float[Tensor, "batch time"]:
    r"""Circular correlation at every lag, the mean over features.

    .. math:: R_\tau = \frac{1}{D} \sum_d \sum_t q_{t+\tau,d} \, k_{t,d}
        = \mathcal F^{-1} \Bigl( \frac{1}{D} \sum_d \mathcal F(q_d) \overline{\mathcal F(k_d)} \Bigr)_\tau

    Source: Wu et al. 2021 (Autoformer, arXiv 2106.13008), equations 5 and 8.
    """
    return series((spectrum(q) * spectrum(k).conj()).mean(dim=-1), q.shape[1], like=q)


def rolled(
    v: Float[Tensor, "batch time width"], shares: Float[Tensor, "batch time"]
) -> Float[Tensor, "batch time width"]:
    r"""Weighted sum of rolled series, :math:`y_t = \sum_\tau w_\tau \, v_{(t + \tau) \bmod T}`.

    It is the correlation of v with w, so it is made by FFT, too.

    Args:
        v: the series.
        shares: w, weight of every lag; most are zero.
    """
    return series(spectrum(v) * spectrum(shares).conj()[..., None], v.shape[1], like=v)


def pattern(shares: Float[Tensor, "batch query"], keys: int) -> Float[Tensor, "batch query key"]:
    r"""The same sum as a matrix: :math:`A_{t,s} = w_{(s - t) \bmod T}`, rolled rows of one another.

    Args:
        shares: w, weight of every lag.
        keys: s goes up to here; what was filled up after that is zero.
    """
    steps = torch.arange(shares.shape[1], device=shares.device)
    return shares[:, (steps[:keys] - steps[:, None]) % len(steps)]


class AutoCorrelation(Mixing, Mixer):
    r"""What takes the place of attention.

    .. math:: \tau_{1 \dots n} = \mathrm{top}_n R(Q, K), \quad w = \mathrm{softmax}(R_{\tau_1}, \dots, R_{\tau_n}),
        \quad \mathrm{out} = W_o \sum_i w_i \, \mathrm{roll}(V, \tau_i), \qquad n = \lfloor c \ln T \rfloor

    A memory is cut to the length of the tokens, or filled up with zeros. As in the official code, R is the mean over
    heads and features, so there is no choice of heads: all agree on lags and weights. While training, that code also
    has all windows of a batch agree on the lags; here every window has its own at all times, as in its forecasts.

    The pattern that audits see and edit is that of steps looking at steps, of one head; where a memory is filled up its
    rows sum to less than one.

    Args:
        width: D.
        factor: c.

    Source: Wu et al. 2021 (Autoformer, arXiv 2106.13008), section 3.2.
    """

    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        if factor < 1:
            raise ValueError(f"factor must be positive, got {factor}")
        self.factor = factor
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(
        self, tokens: Float[Tensor, "batch token width"], memory: Float[Tensor, "batch key width"] | None = None
    ) -> Float[Tensor, "batch token width"]:
        """The mixed tokens."""
        time = tokens.shape[1]
        self.across = memory is not None
        memory = tokens if memory is None else memory[:, :time]
        keys = memory.shape[1]
        self.stochastic = keys == time
        # What is filled up comes after the projections: their biases do not count there.
        fill = (0, 0, 0, time - keys)
        v = self.value(memory)
        shares = cache(lambda: self._shares(self.query(tokens), nn.functional.pad(self.key(memory), fill)))
        mixed = self.mixed(
            lambda: rolled(nn.functional.pad(v, fill), shares())[:, None],
            lambda: pattern(shares(), keys)[:, None],
            lambda: everywhere(time, keys, v),
            v[:, None],
        )
        out: Tensor = self.out(mixed[:, 0])
        return out

    def _shares(
        self, q: Float[Tensor, "batch time width"], k: Float[Tensor, "batch time width"]
    ) -> Float[Tensor, "batch time"]:
        """Weight of every lag."""
        agreement = correlation(q, k)
        time = q.shape[1]
        values, lags = agreement.topk(min(time, max(1, int(self.factor * math.log(time)))), dim=1)
        return torch.zeros_like(agreement).scatter(1, lags, torch.softmax(values, dim=1))


@register
class Autoformer(NeuralForecaster):
    """A Transformer over steps that rolls whole series instead of weighing single steps.

    Windows hold values only, so tokens carry their position instead of the official code's time features. What a step
    takes from others is a pattern like that of attention, which audits edit, though nothing forms it otherwise.
    """

    name = "autoformer"
    summary = "encoder and decoder over steps with auto-correlation, trend taken out after every part"
    mixes = "steps, each of all channels, by autocorrelation"
    source = "Wu et al. 2021, Autoformer: Decomposition Transformers with Auto-Correlation, arXiv 2106.13008"
    rank = 82
    Config = AutoformerConfig
    usual_lookback = 96

    def build(self) -> nn.Module:
        """The untrained network: auto-correlation in encoder and decoder, and from the decoder to the encoder."""
        c, sizes = self.config, self.config.sizes(self.task)
        kernels = [c.moving_average]

        def mixer() -> AutoCorrelation:
            return AutoCorrelation(c.width, c.factor)

        encoder = [DecomposedEncoderLayer(mixer(), sizes, kernels) for _ in range(c.layers)]
        decoder = [DecomposedDecoderLayer(mixer(), mixer(), sizes, kernels) for _ in range(c.decoder_layers)]
        return DecomposedEncoderDecoder(sizes, kernels, encoder, decoder)
