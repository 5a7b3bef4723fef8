"""Naive forecasters: the last value, the last season and the mean of the window."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.errors import UsageError
from forecheck.forecasters.base import FitReport, Forecaster, Task
from forecheck.forecasters.registry import register
from forecheck.progress import Progress


@dataclass(frozen=True)
class NaiveConfig:
    """Naive forecasters have no options."""


class _Naive(Forecaster):
    """A forecaster with nothing to fit."""

    Config = NaiveConfig
    source = "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 5.2"

    def fit(self, train: Windows, validation: Windows, seed: int = 0, progress: Progress | None = None) -> FitReport:
        """Take note of the time only: there is nothing to fit."""
        del train, validation, seed
        start = time.perf_counter()
        if progress is not None:
            progress(1.0, "nothing to fit")
        return FitReport(seconds=time.perf_counter() - start, parameters=self.parameters)

    def tensors(self) -> dict[str, Tensor]:
        """No tensors: nothing was fitted."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take nothing back."""


@register
class Last(_Naive):
    r"""The last value, repeated: :math:`\hat y_h = x_L`."""

    name = "last"
    summary = "repeats the last value"
    mixes = "nothing"
    rank = 0

    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Last row of every window, `horizon` times."""
        return x[:, -1:].repeat(1, self.task.horizon, 1)


@register
class Seasonal(_Naive):
    r"""The last season, repeated: :math:`\hat y_h = x_{L - P + 1 + (h - 1) \bmod P}`, for h = 1..H.

    With period 1 this is the last value.

    Raises:
        UsageError: if the lookback is shorter than the period.
    """

    name = "seasonal"
    summary = "repeats the last season"
    mixes = "nothing"
    rank = 1

    def __init__(self, task: Task, config: Any = None) -> None:
        super().__init__(task, config)
        if task.lookback < task.period:
            raise UsageError(
                f"seasonal repeats the last {task.period} steps, but the lookback is {task.lookback}",
                f"Use a lookback of at least {task.period}, or another forecaster.",
            )

    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Last season of every window, repeated and cut to `horizon`."""
        season = x[:, -self.task.period :]  # (batch, period, channel)
        return season[:, torch.arange(self.task.horizon) % self.task.period]


@register
class Mean(_Naive):
    r"""The mean of the window, repeated: :math:`\hat y_h = \frac{1}{L} \sum_t x_t`."""

    name = "mean"
    summary = "repeats the mean of the window"
    mixes = "steps of one channel, equally"
    rank = 2

    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Mean over the lookback, summed in float64."""
        mean = x.mean(dim=1, keepdim=True, dtype=torch.float64).to(x.dtype)
        return mean.repeat(1, self.task.horizon, 1)
