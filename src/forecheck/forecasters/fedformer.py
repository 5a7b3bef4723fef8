"""FEDformer, Fourier version: steps are mixed in few frequencies, season and trend apart all the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.forecasters.transformer import EncoderDecoderConfig
from forecheck.nn.decomposed import DecomposedDecoderLayer, DecomposedEncoderDecoder, DecomposedEncoderLayer
from forecheck.nn.encoder_decoder import Mixer
from forecheck.nn.mixing import Mixing
from forecheck.nn.spectrum import series, single, spectrum

Selection = Literal["random", "lowest"]
Activation = Literal["tanh", "softmax"]


@dataclass(frozen=True)
class FEDformerConfig(EncoderDecoderConfig):
    """FEDformer's settings and its recipe; the defaults are those of the official code.

    Attributes:
        heads: heads whose features are mapped apart from each other.
        modes: frequencies kept.
        selection: `random` ones, drawn with the weights, or the `lowest`.
        activation: of the frequencies' attention.
        moving_average: steps that make up the trend; several are mixed by experts.
    """

    heads: int = 8
    modes: int = 64
    selection: Selection = "random"
    activation: Activation = "tanh"
    moving_average: tuple[int, ...] | list[int] = (24,)  # JSON has lists; kept as a tuple

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "moving_average", tuple(self.moving_average))
        if self.modes < 1:
            raise ValueError(f"modes must be positive, got {self.modes}")
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of {self.heads} heads")
        if not self.moving_average or min(self.moving_average) < 1:
            raise ValueError(f"moving_average must be positive, got {self.moving_average}")


class Modes(nn.Module):
    r"""Some of the :math:`\lfloor T/2 \rfloor + 1` frequencies of a series, chosen once and saved with the weights.

    Args:
        time: T.
        count: frequencies at most.
        selection: `random`, drawn with the weights, or the `lowest`.

    Source: Zhou et al. 2022 (FEDformer, arXiv 2201.12740), section 3.2; the official code never takes the last one.
    """

    index: Tensor

    def __init__(self, time: int, count: int, selection: Selection) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"modes must be positive, got {count}")
        self.time, self.selection = time, selection
        self.count = min(count, time // 2 + 1)
        self.register_buffer("index", torch.arange(self.count))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the frequencies anew, if they are drawn."""
        if self.selection == "random":
            self.index.copy_(torch.randperm(self.time // 2 + 1)[: self.count].sort().values)

    def take(self, x: Float[Tensor, "batch time width"]) -> Complex[Tensor, "batch mode width"]:
        """The series in these frequencies."""
        return spectrum(x)[:, self.index]

    @property
    def shares(self) -> Float[Tensor, " mode"]:
        """What these modes make up of the T frequencies of a series: each stands for two, but for the ends."""
        single = (self.index == 0) | (2 * self.index == self.time)
        return torch.where(single, 1.0, 2.0) / self.time

    def give(
        self, modes: Complex[Tensor, "batch mode width"], like: Float[Tensor, "..."]
    ) -> Float[Tensor, "batch time width"]:
        """The series that has these frequencies and no other, in the type of `like`."""
        full = modes.new_zeros(modes.shape[0], self.time // 2 + 1, modes.shape[2])
        return series(full.index_copy(1, self.index, modes), self.time, like)


class ModeMaps(nn.Module):
    r"""One complex map of features a head and mode: :math:`y_{mh} = x_{mh} W_{hm}`.

    Weights are drawn from :math:`(U(0, 1) + i U(0, 1)) / D^2`, as in the official code.

    Args:
        width: D, features of all heads together.
        heads: their number.
        modes: frequencies.
    """

    def __init__(self, width: int, heads: int, modes: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        self.heads = heads
        # Real and imaginary parts apart: files of weights hold real numbers.
        self.weight = nn.Parameter(torch.empty(modes, heads, width // heads, width // heads, 2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the maps anew."""
        nn.init.uniform_(self.weight, 0, 1 / (self.heads * self.weight.shape[2]) ** 2)

    def forward(self, spectrum: Complex[Tensor, "batch mode width"]) -> Complex[Tensor, "batch mode width"]:
        """Mapped features of every mode."""
        x = spectrum.view(*spectrum.shape[:2], self.heads, -1)
        return torch.einsum("bmhi,mhio->bmho", x, torch.view_as_complex(single(self.weight))).flatten(2)

    def own(
        self, tokens: Float[Tensor, "batch time width"], shares: Float[Tensor, " mode"]
    ) -> Float[Tensor, "batch time width"]:
        r"""What a step takes from itself alone, in the type of `tokens`.

        A step by itself is every frequency alike, so it gets its features by the mean map over all T of them:

        .. math:: y_t = x_t \frac{1}{T} \sum_m c_m \, \mathrm{Re} \, W_m

        Args:
            tokens: x.
            shares: :math:`c_m / T`, of `Modes.shares`.
        """
        real = single(self.weight)[..., 0]
        mean = torch.einsum("m,mhio->hio", shares.to(real), real).to(tokens.dtype)
        by_head = tokens.view(*tokens.shape[:2], self.heads, -1)
        return torch.einsum("bthi,hio->btho", by_head, mean).flatten(2)


class FourierBlock(Mixing, Mixer):
    r"""Frequency-enhanced block: :math:`\mathrm{out} = W_o \mathcal F^{-1}(\mathcal F(z W_q)_{\text{modes}} W)`.

    Modes go back to their own frequencies, where the official code moves random ones to the lowest.

    What a step takes from another is a matrix of features, not a weight, and the same for every window, so there is no
    pattern. Edits are `zero`, where :math:`W_o` is given zeros, and `identity`, where it is given what every step takes
    from itself alone, :math:`y_t = K_0 v_t` of :math:`y_t = \sum_s K_{t-s} v_s` (`ModeMaps.own`).

    Source: Zhou et al. 2022 (FEDformer, arXiv 2201.12740), equation 3.
    """

    stochastic = False
    no_pattern = "its tokens are frequencies, mixed by maps of features that are the same for every window"

    def __init__(self, time: int, config: FEDformerConfig) -> None:
        super().__init__()
        c = config
        self.query, self.out = nn.Linear(c.width, c.width), nn.Linear(c.width, c.width)
        self.modes = Modes(time, c.modes, c.selection)
        self.maps = ModeMaps(c.width, c.heads, self.modes.count)

    def forward(
        self, tokens: Float[Tensor, "batch token width"], memory: Float[Tensor, "batch key width"] | None = None
    ) -> Float[Tensor, "batch token width"]:
        """The mixed tokens; it looks at no memory."""
        values = self.query(tokens)
        mixed = self.whole(
            lambda: self.modes.give(self.maps(self.modes.take(values)), tokens),
            lambda: self.maps.own(values, self.modes.shares),
            self.maps.heads,
            tokens.shape[1],
        )
        out: Tensor = self.out(mixed)
        return out


class FourierCross(Mixing, Mixer):
    r"""Frequency-enhanced attention, whose queries and keys are modes; the keys are the values, too.

    .. math:: Q = \mathcal F(z W_q)_{\text{modes}}, \quad K = \mathcal F(m W_k)_{\text{modes}}, \quad
        \mathrm{out} = W_o \mathcal F^{-1}(\sigma(Q K^\top) K \, W)

    with :math:`\sigma` the hyperbolic tangent of real and imaginary part, each for itself (that of the complex number
    has poles), or the softmax of the absolute values.

    What it mixes are frequencies, whose features are then mapped each in its own way, so there is no pattern of steps.
    The only edit is `zero`.

    Args:
        time: steps of the tokens.
        memory_time: steps of the memory.
        config: of FEDformer.

    Source: Zhou et al. 2022 (FEDformer, arXiv 2201.12740), equation 5; keys as values are the official code's.
    """

    stochastic = False
    across = True
    no_pattern = "it mixes frequencies, not steps, and maps the features of each in a way of its own"

    def __init__(self, time: int, memory_time: int, config: FEDformerConfig) -> None:
        super().__init__()
        c = config
        self.heads, self.activation = c.heads, c.activation
        self.query, self.key, self.out = (nn.Linear(c.width, c.width) for _ in range(3))
        self.modes = Modes(time, c.modes, c.selection)
        self.memory_modes = Modes(memory_time, c.modes, c.selection)
        self.maps = ModeMaps(c.width, c.heads, self.modes.count)

    def forward(
        self, tokens: Float[Tensor, "batch token width"], memory: Float[Tensor, "batch key width"] | None = None
    ) -> Float[Tensor, "batch token width"]:
        """What the tokens take from a memory, or from themselves if there is none."""
        keys = self.key(tokens if memory is None else memory)
        mixed = self.whole(
            lambda: self._mixed(tokens, keys), lambda: torch.zeros_like(keys), self.heads, tokens.shape[1]
        )
        out: Tensor = self.out(mixed)
        return out

    def _mixed(
        self, tokens: Float[Tensor, "batch token width"], keys: Float[Tensor, "batch key width"]
    ) -> Float[Tensor, "batch token width"]:
        q = self._by_head(self.modes.take(self.query(tokens)))
        k = self._by_head(self.memory_modes.take(keys))
        scores = torch.einsum("bxhe,byhe->bhxy", q, k)
        if self.activation == "tanh":
            pattern = torch.complex(scores.real.tanh(), scores.imag.tanh())
        else:
            pattern = torch.softmax(scores.abs(), dim=-1).to(scores.dtype)
        taken = torch.einsum("bhxy,byhe->bxhe", pattern, k).flatten(2)
        return self.modes.give(self.maps(taken), tokens)

    def _by_head(self, spectrum: Complex[Tensor, "batch mode width"]) -> Complex[Tensor, "batch mode head head_width"]:
        return spectrum.view(*spectrum.shape[:2], self.heads, -1)


@register
class FEDformer(NeuralForecaster):
    """Autoformer's frame around maps of frequencies.

    Windows hold values only, so tokens carry their position instead of the official code's time features. Its
    attention is between frequencies, not steps, so it has no pattern: audits can take it out, but not change where it
    looks.
    """

    name = "fedformer"
    summary = "encoder and decoder over steps that are mixed in few frequencies, trend taken out after every part"
    mixes = "frequencies of all channels, by linear maps"
    source = "Zhou et al. 2022, FEDformer: Frequency Enhanced Decomposed Transformer, arXiv 2201.12740"
    rank = 83
    Config = FEDformerConfig
    usual_lookback = 96

    def build(self) -> nn.Module:
        """The untrained network: Fourier blocks, and frequencies' attention from the decoder to the encoder."""
        c, sizes = self.config, self.config.sizes(self.task)
        kernels, steps = c.moving_average, sizes.label + sizes.horizon

        def encoder() -> DecomposedEncoderLayer:
            return DecomposedEncoderLayer(FourierBlock(sizes.lookback, c), sizes, kernels)

        def decoder() -> DecomposedDecoderLayer:
            return DecomposedDecoderLayer(
                FourierBlock(steps, c), FourierCross(steps, sizes.lookback, c), sizes, kernels
            )

        encoders, decoders = [encoder() for _ in range(c.layers)], [decoder() for _ in range(c.decoder_layers)]
        return DecomposedEncoderDecoder(sizes, kernels, encoders, decoders)
