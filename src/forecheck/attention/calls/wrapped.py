"""What adapters share about forecasting: whose object a model is, and its forecasts of plain windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.attention.sites import Subject, evaluating
from forecheck.errors import UsageError

SAMPLES = 20
"""Most sample paths that a point forecast of a sampling model is taken from."""


@dataclass(frozen=True)
class Wrapped:
    """How a library's model forecasts a plain window, in evaluation mode.

    Attributes:
        module: the module that does the work; its attention is what an adapter looks for.
        call: maps (batch, lookback, channel) to (batch, horizon, channel).
    """

    module: nn.Module
    call: Callable[[Tensor], Tensor]

    def __call__(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The forecast."""
        with evaluating(self.module):
            return self.call(x)


def module_of(subject: Subject) -> nn.Module | None:
    """The module inside a subject, also where only its forecast is known (a pipeline is no module)."""
    if subject.module is not None:
        return subject.module
    return subject.forward.module if isinstance(subject.forward, Wrapped) else None


def classes_of(model: object, library: str) -> set[str]:
    """Names of a model's classes that a library defines; the library is not imported for it."""
    return {each.__name__ for each in type(model).__mro__ if each.__module__.split(".")[0] == library}


def contains(module: nn.Module | None, library: str) -> bool:
    """Whether a module has one of a library's classes anywhere in it."""
    return module is not None and any(classes_of(each, library) for each in module.modules())


@contextmanager
def seeded() -> Iterator[None]:
    """Random numbers that are the same each time, and the global ones left as they were."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(0)
        yield


def one_by_one(call: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A forecast of (series, lookback) as one of windows: each channel is a series of its own."""

    def forecast(x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        y = call(rearrange(x, "batch lookback channel -> (batch channel) lookback"))
        return rearrange(y, "(batch channel) horizon -> batch horizon channel", channel=x.shape[-1])

    return forecast


def check_horizon(horizon: int, longest: int, model: object) -> None:
    """Refuse horizons that a model was not made for (UsageError).

    Args:
        horizon: steps that were asked for.
        longest: steps that the model forecasts at most.
        model: named in the message by its class.
    """
    if horizon > longest:
        raise UsageError(
            f"{type(model).__name__} forecasts {longest} steps, not {horizon}",
            f"Ask for a horizon of at most {longest}.",
        )


def last_steps(x: Float[Tensor, "batch lookback channel"], steps: int, model: object) -> Tensor:
    """The last steps of windows.

    Args:
        x: windows.
        steps: how many of their last steps the model takes.
        model: named in the message by its class.

    Raises:
        UsageError: if the windows are shorter.
    """
    if x.shape[1] < steps:
        raise UsageError(
            f"{type(model).__name__} looks back {steps} steps, but the window has {x.shape[1]}",
            f"Use a lookback of at least {steps}.",
        )
    return x[:, -steps:]
