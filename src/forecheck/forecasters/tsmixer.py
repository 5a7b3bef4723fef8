"""TSMixer: two linear maps over time and over channels, in turn, without attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.nn.dropout import Dropout
from forecheck.nn.norms import WindowNorm
from forecheck.training.recipe import Recipe, Schedule


@dataclass(frozen=True)
class TSMixerConfig(Recipe):
    """TSMixer's settings and its recipe; the defaults are those of the official code's `tsmixer_basic`.

    Attributes:
        layers: mixing blocks.
        hidden: features of the map over channels (ff_dim).
        dropout: rate after every map.
        norm: `batch` (over windows, of every step and channel) or `layer` (of a window).
        activation: of the maps inside a block.
        window_norm: normalise every window by its own mean and spread, and undo it (the `rev_in` variant, whose
            affine weights are left out).
    """

    layers: int = 2
    hidden: int = 2048
    dropout: float = 0.05
    norm: Literal["batch", "layer"] = "batch"
    activation: Literal["relu", "gelu"] = "relu"
    window_norm: bool = False
    epochs: int = 100
    batch: int = 32
    patience: int = 5
    schedule: Schedule = "constant"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("layers", "hidden")


_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


class StepChannelNorm(nn.Module):
    """Batch or layer normalisation of the window as one vector of L C features; numbers are those of Keras.

    Args:
        lookback: L, steps of the window.
        channels: C.
        kind: `batch` or `layer`.
    """

    def __init__(self, lookback: int, channels: int, kind: Literal["batch", "layer"]) -> None:
        super().__init__()
        size = lookback * channels
        batch = kind == "batch"
        self.norm = nn.BatchNorm1d(size, eps=1e-3, momentum=0.01) if batch else nn.LayerNorm(size, eps=1e-3)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch lookback channel"]:
        """The normalised windows; by running statistics outside training where the norm has them."""
        flat: Tensor = self.norm(x.flatten(1))
        return flat.view(x.shape)


class MixingBlock(nn.Module):
    r"""One step of mixing over time, one over channels.

    .. math:: u = x + D(\phi(W_1 N_1(x))), \qquad y = u + D(D(\phi(N_2(u) W_2)) W_3)

    W_1 acts on time and is shared by the channels; W_2 and W_3 act on channels and are shared by the steps.

    Source: Chen et al. 2023 (TSMixer), section 4.1.
    """

    def __init__(self, task: Task, config: TSMixerConfig) -> None:
        super().__init__()
        c, activation = config, _ACTIVATIONS[config.activation]
        self.time_norm = StepChannelNorm(task.lookback, task.channels, c.norm)
        self.time = nn.Sequential(nn.Linear(task.lookback, task.lookback), activation(), Dropout(c.dropout))
        self.channel_norm = StepChannelNorm(task.lookback, task.channels, c.norm)
        self.channel = nn.Sequential(
            nn.Linear(task.channels, c.hidden),
            activation(),
            Dropout(c.dropout),
            nn.Linear(c.hidden, task.channels),
            Dropout(c.dropout),
        )

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch lookback channel"]:
        """The mixed windows."""
        x = x + self.time(self.time_norm(x).mT).mT
        mixed: Tensor = x + self.channel(self.channel_norm(x))
        return mixed


class TSMixerModule(nn.Module):
    """The network: mixing blocks, then a linear map over time."""

    def __init__(self, task: Task, config: TSMixerConfig) -> None:
        super().__init__()
        self.window_norm = WindowNorm() if config.window_norm else None
        self.blocks = nn.ModuleList(MixingBlock(task, config) for _ in range(config.layers))
        self.head = nn.Linear(task.lookback, task.horizon)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast all channels together."""
        if self.window_norm is None:
            return self._mixed(x)
        z, mean, scale = self.window_norm(x)
        return self._mixed(z) * scale + mean

    def _mixed(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        for block in self.blocks:
            x = block(x)
        y: Tensor = self.head(x.mT)  # (batch, channel, horizon)
        return y.mT


@register
class TSMixer(NeuralForecaster):
    """Multi-layer perceptrons over time and over channels."""

    name = "tsmixer"
    summary = "perceptrons that mix time and channels in turn, with a linear head over time"
    mixes = "steps and channels in turn, by perceptrons"
    source = "Chen et al. 2023, TSMixer: An All-MLP Architecture for Time Series Forecasting, arXiv 2303.06053"
    rank = 30
    Config = TSMixerConfig
    usual_lookback = 512
    Module = TSMixerModule
