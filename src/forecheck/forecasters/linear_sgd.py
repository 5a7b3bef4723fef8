"""DLinear and NLinear by gradient descent, as their paper trains them; `linear` has their closed forms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.linear import check_kernel
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.nn.decomposition import SeriesDecomposition
from forecheck.training.recipe import Recipe, Schedule


@dataclass(frozen=True)
class LinearSGDConfig(Recipe):
    """The recipe of the official code, with the learning rate of its ETTh1 script.

    Attributes:
        per_channel: give every channel its own weights instead of shared ones (`individual`).
    """

    per_channel: bool = False
    epochs: int = 10
    batch: int = 32
    lr: float = 0.005
    patience: int = 3
    schedule: Schedule = "halving"


@dataclass(frozen=True)
class DLinearSGDConfig(LinearSGDConfig):
    """Options of DLinear.

    Attributes:
        kernel: odd number of steps that the moving average runs over.
    """

    kernel: int = 25

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kernel(self.kernel)


class TimeLinear(nn.Module):
    r"""A linear map over time: :math:`y_c = W_{g(c)}^\top x_c + b_{g(c)}`, one group or one a channel.

    Args:
        groups: 1, or the number of channels.
        lookback: L, steps of input.
        horizon: H, steps of forecast.
    """

    def __init__(self, groups: int, lookback: int, horizon: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, lookback, horizon))
        self.bias = nn.Parameter(torch.empty(groups, horizon))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw from U(-1, 1) / sqrt(L), as torch's linear layers do."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Map every channel."""
        if len(self.weight) == 1:
            return (x.mT @ self.weight[0] + self.bias).mT
        return (torch.einsum("blc,clh->bch", x, self.weight) + self.bias).mT


class NLinearModule(nn.Module):
    r""":math:`\hat y = x_L + W^\top (x - x_L) + b`."""

    def __init__(self, task: Task, config: LinearSGDConfig) -> None:
        super().__init__()
        self.map = TimeLinear(task.channels if config.per_channel else 1, task.lookback, task.horizon)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast every channel by itself."""
        last = x[:, -1:]
        return self.map(x - last) + last


class DLinearModule(nn.Module):
    r""":math:`\hat y = W_s^\top (x - \mathrm{MA}_k x) + b_s + W_t^\top \mathrm{MA}_k x + b_t`."""

    def __init__(self, task: Task, config: DLinearSGDConfig) -> None:
        super().__init__()
        groups = task.channels if config.per_channel else 1
        self.decomposition = SeriesDecomposition([config.kernel])
        self.remainder = TimeLinear(groups, task.lookback, task.horizon)
        self.trend = TimeLinear(groups, task.lookback, task.horizon)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast every channel by itself."""
        remainder, trend = self.decomposition(x)
        return self.remainder(remainder) + self.trend(trend)


@register
class NLinearSGD(NeuralForecaster):
    """NLinear as its paper trains it: early stopping instead of ridge, and seeds that matter."""

    name = "nlinear-sgd"
    summary = "linear map of the window less its last value, by gradient descent"
    mixes = "steps of one channel, by one linear map"
    source = "Zeng et al., AAAI 2023, Are Transformers Effective for Time Series Forecasting?, arXiv 2205.13504"
    rank = 20
    Config = LinearSGDConfig
    Module = NLinearModule


@register
class DLinearSGD(NeuralForecaster):
    """DLinear as its paper trains it."""

    name = "dlinear-sgd"
    summary = "linear maps of the window's moving average and remainder, by gradient descent"
    mixes = "steps of one channel, by two linear maps"
    source = "Zeng et al., AAAI 2023, Are Transformers Effective for Time Series Forecasting?, arXiv 2205.13504"
    rank = 21
    Config = DLinearSGDConfig
    Module = DLinearModule
