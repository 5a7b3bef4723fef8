"""The protocol that every forecaster signs: fit, predict, save, load."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.errors import DataError, UsageError
from forecheck.forecasters.packed import pack, unpack
from forecheck.progress import Progress

F = TypeVar("F", bound="Forecaster")  # typing.Self is beyond the executed annotations of the tests


@dataclass(frozen=True)
class Task:
    """What is to be forecast: the shapes, and the season that seasonal members use.

    Attributes:
        lookback: L, steps of input.
        horizon: H, steps of forecast.
        channels: C.
        period: steps a season, 1 if there is none.
    """

    lookback: int
    horizon: int
    channels: int
    period: int = 1


@dataclass(frozen=True)
class FitReport:
    """What fitting did.

    Attributes:
        seconds: wall time of the fit, validation included.
        parameters: numbers that were fitted.
        details: what the forecaster chose or measured on the way (JSON types only).
    """

    seconds: float
    parameters: int
    details: dict[str, Any] = field(default_factory=dict)


class Forecaster(ABC):
    """A forecaster of windows: tensor in, tensor out, all in standardised units.

    A subclass names itself, its config (a frozen dataclass) and its source, and implements `fit`, `predict`,
    `tensors` and `restore`. Forecasts of one window never depend on the other windows of the batch.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    mixes: ClassVar[str]
    """What meets what on the way to a forecast, and by what means."""
    source: ClassVar[str]
    """Paper or book that defines it."""
    rank: ClassVar[int]
    """Order of simplicity: `auto` prefers the lowest rank that is not beaten beyond the margin."""
    Config: ClassVar[type[Any]]
    trained: ClassVar[bool] = False
    """Fitted by gradient descent (so seeds matter)."""
    moves: ClassVar[bool] = False
    """Computed on the device that was asked for; all others are computed on the CPU."""
    usual_lookback: ClassVar[int] = 336
    """L of its authors' defaults, where that is one for all horizons."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "predict" in vars(cls):
            cls.predict = _of_the_right_shape(cls.predict)  # type: ignore[assignment, method-assign]

    def __init__(self, task: Task, config: Any = None) -> None:
        self.task = task
        self.config = self.Config() if config is None else config

    @property
    def parameters(self) -> int:
        """Numbers that a fit makes, which task and options tell beforehand; none unless a subclass says so."""
        return 0

    @classmethod
    def natural_lookback(cls, horizon: int) -> int:
        """L, steps of input that suit it: the longest of its members where it has several, else its usual ones.

        The data may not allow it; see `forecheck.forecasting.selection.own_lookbacks`.
        """
        del horizon
        return max(getattr(cls.Config(), "lookbacks", (cls.usual_lookback,)))

    @classmethod
    def room(cls, task: Task, config: Any, free: int) -> float:
        """Bytes that building and fitting take at least, beside the data; counted no further than what is free.

        Args:
            task: lookback, horizon, channels and period.
            config: the forecaster's options; None for its defaults.
            free: bytes that are free; the count may stop there.
        """
        del task, config, free
        return 0.0

    @classmethod
    def check_weights(cls, described: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Refuse, before anything is built, a description that asks for more than its weights hold (ValueError)."""
        del described, weights

    @abstractmethod
    def fit(self, train: Windows, validation: Windows, seed: int = 0, progress: Progress | None = None) -> FitReport:
        """Fit on training windows; choices (strength, stopping) are made on validation windows alone.

        Args:
            train: windows to fit on.
            validation: windows for choices.
            seed: of all that is drawn.
            progress: called with the share that is done, and a word for the stage.
        """

    @abstractmethod
    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast from input windows, without gradient."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Everything that fitting made, by name."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave."""

    def described(self) -> dict[str, Any]:
        """All but the weights: name, task and config, as JSON types."""
        return {"name": self.name, "task": asdict(self.task), "config": asdict(self.config)}

    @classmethod
    def from_described(cls: type[F], described: Mapping[str, Any]) -> F:
        """An unfitted forecaster from what `described` gave."""
        return cls(Task(**described["task"]), cls.Config(**described["config"]))

    def save(self, folder: Path) -> None:
        """Write `forecaster.json` (name, task, config) and `weights.safetensors` into a folder."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "forecaster.json").write_text(json.dumps(self.described(), indent=1))
        save_file(pack(self.tensors()), folder / "weights.safetensors")

    @classmethod
    def load(cls: type[F], folder: Path) -> F:
        """Read what `save` wrote; safe on files from others (JSON and safetensors, no pickle).

        Raises:
            DataError: if the files are missing, damaged or of another forecaster.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            described = json.loads((folder / "forecaster.json").read_text())
            if described["name"] != cls.name:
                raise ValueError(f"it holds a {described['name']}")
            weights = unpack(load_file(folder / "weights.safetensors"))
            cls.check_weights(described, weights)
            forecaster = cls.from_described(described)
            forecaster.restore(weights)
        except (OSError, KeyError, TypeError, ValueError, SafetensorError, RuntimeError) as error:
            raise DataError(f"{folder} does not hold a saved {cls.name}: {error}") from error
        return forecaster


def _of_the_right_shape(predict: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """The same method, or an error where another shape comes out, which a loss would broadcast in silence."""

    @wraps(predict)
    def checked(self: Forecaster, x: Tensor) -> Any:
        forecast: Any = predict(self, x)
        shape = tuple(forecast.shape) if isinstance(forecast, Tensor) else None
        if shape != (expected := (len(x), self.task.horizon, x.shape[-1])):
            name = getattr(self, "name", type(self).__name__)
            gives = f"a {type(forecast).__name__}" if shape is None else f"shape {shape}"
            raise UsageError(
                f"{name} turns windows {tuple(x.shape)} into {gives}, expected {expected}",
                "predict gives (batch, horizon, channel); forecheck.testing.forecasters checks the whole protocol.",
            )
        return forecast

    return checked


def predict_all(forecaster: Forecaster, windows: Windows, batch: int = 256) -> Float[Tensor, "window horizon channel"]:
    """Forecasts of all windows; for few windows only, since they are held at once.

    Args:
        forecaster: fitted.
        windows: what is forecast, in order.
        batch: windows at once.
    """
    return torch.cat([forecaster.predict(x) for _, x, _ in windows.batches(batch)])
