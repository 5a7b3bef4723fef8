"""What a contract suite checks: a forecaster, with the little data that it is checked on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.windows import Experiment, prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster, Task

_HOUR = 3_600_000_000  # microseconds
WINDOWS = 9
"""Windows that are forecast: a number that no batch divides."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A forecaster under check, with the little data that it is checked on.

    Attributes:
        forecaster: its class, or its name in the registry.
        options: that differ from the defaults; make training short.
        lookback: L of the task.
        horizon: H.
        channels: C, at least two.
        permutes: channels share their weights, so that exchanging inputs exchanges forecasts.
        expected: by name of a check, why this forecaster is known to fail it.
    """

    forecaster: type[Forecaster] | str
    options: Mapping[str, Any] = field(default_factory=dict)
    lookback: int = 48
    horizon: int = 12
    channels: int = 3
    permutes: bool = True
    expected: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> type[Forecaster]:
        """The class."""
        return registry.find(self.forecaster) if isinstance(self.forecaster, str) else self.forecaster

    @property
    def task(self) -> Task:
        """The shapes, with a daily season."""
        return Task(self.lookback, self.horizon, self.channels, period=24)

    @cached_property
    def experiment(self) -> Experiment:
        """Waves with noise, hourly: five times as many rows as a window has, in training."""
        rows = 7 * (self.lookback + self.horizon)
        step = np.arange(rows)[:, None]
        noise = np.random.default_rng(0).standard_normal((rows, self.channels))
        values = 5 + 2 * np.sin(2 * np.pi * step / 24 + np.arange(self.channels)) + 0.3 * noise
        time = np.datetime64("2024-01-01", "us") + _HOUR * np.arange(rows).astype("timedelta64[us]")
        names = tuple(f"c{channel}" for channel in range(self.channels))
        panel = Panel(values, np.array([0, rows]), time, ("0",), names, Frequency("us", _HOUR), "waves")
        return prepare(panel, self.lookback, self.horizon)

    @property
    def x(self) -> Float[Tensor, "batch lookback channel"]:
        """Input windows of the test part."""
        return self.experiment.test.gather(slice(0, WINDOWS))[0].clone()

    def new(self) -> Forecaster:
        """An unfitted forecaster."""
        return self.kind(self.task, registry.read_config(self.kind, self.options))

    def fit(self, seed: int = 0) -> Forecaster:
        """A new forecaster, fitted."""
        forecaster = self.new()
        forecaster.fit(self.experiment.train, self.experiment.validation, seed)
        return forecaster

    @cached_property
    def first_fit(self) -> tuple[Forecaster, Any, list[tuple[float, str]]]:
        """A fit with seed 0: the forecaster, its report, and its progress."""
        forecaster, progress = self.new(), list[tuple[float, str]]()
        report = forecaster.fit(
            self.experiment.train,
            self.experiment.validation,
            0,
            lambda fraction, word: progress.append((fraction, word)),
        )
        return forecaster, report, progress

    @property
    def fitted(self) -> Forecaster:
        """The forecaster fitted with seed 0; checks share it and must not change it."""
        return self.first_fit[0]

    def __str__(self) -> str:
        return self.forecaster if isinstance(self.forecaster, str) else self.forecaster.__name__


Check = Callable[[Subject], None]


def require(held: bool, message: str) -> None:
    """An assertion that `python -O` keeps."""
    if not held:
        raise AssertionError(message)
