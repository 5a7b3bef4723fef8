"""Edits: interventions as data. What to change, and where; serialisable, so a trial can hold them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from forecheck.attention.sites import Attached, Forward, Subject, attach_sites
from forecheck.errors import UsageError

E = TypeVar("E", bound="Edit")

# Modules are imported on first use.
_MODULES = ("replace", "perturb", "outputs", "positions", "feed_forward")
_EDITS: dict[str, type[Edit]] = {}


class Edit(ABC):
    """An intervention: a frozen dataclass of JSON types, known by its `kind`.

    Attributes:
        kind: name in `to_dict`.
        draws: passes with different random numbers that a score is averaged over; 1 where nothing is drawn.
    """

    kind: ClassVar[str]
    draws: ClassVar[int] = 1

    def __init_subclass__(cls) -> None:
        """Make the edit known by its kind."""
        if "kind" in cls.__dict__:
            _EDITS[cls.kind] = cls

    @property
    @abstractmethod
    def label(self) -> str:
        """A short name for tables."""

    @abstractmethod
    @contextmanager
    def applied(self, attached: Attached, example: Tensor, calibration: Iterable[Tensor]) -> Iterator[Attached]:
        """Put the edit on an attached model for the time of a `with` block; yields what forecasts with it.

        Args:
            attached: the model.
            example: an input batch (batch, lookback, channel), for shapes.
            calibration: batches of training inputs, read only by edits that put a mean in place of something.

        Raises:
            UsageError: if it cannot be put on this model; the reason stands in findings as *not applicable*.
        """
        yield attached

    @contextmanager
    def on(
        self, model: Subject | nn.Module | Forward, example: Tensor, calibration: Iterable[Tensor] = ()
    ) -> Iterator[Attached]:
        """Edit a trained model for the time of a `with` block (the post-hoc arm); nothing of it stays.

        Args:
            model: a trained forecaster.
            example: an input batch, for shapes.
            calibration: batches of training inputs; edits that put a mean in place of something average over them.

        Yields:
            The model with the edit: call it to forecast.

        Raises:
            UsageError: if the model has no such place, or the edit can only be retrained.
        """
        with attach_sites(model, example) as attached, self.applied(attached, example, calibration) as edited:
            yield edited

    def install(self, module: nn.Module, example: Tensor) -> None:
        """Make the edit part of the architecture, before training (the retrained arm).

        Raises:
            UsageError: if the edit means nothing before training.
        """
        raise UsageError(f"{self.label} is an edit of a trained model: it is a post-hoc edit only")

    def drawn(self: E, draw: int) -> E:
        """The same edit with the random numbers of another draw."""
        return replace(self, seed=getattr(self, "seed", 0) + draw) if draw else self  # type: ignore[type-var]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"kind": self.kind} | asdict(self)  # type: ignore[call-overload]


def edit_from_dict(described: Mapping[str, Any]) -> Edit:
    """The edit that `to_dict` described.

    Raises:
        UsageError: if there is no such edit, or its options are wrong.
    """
    for module in _MODULES:
        import_module(f"forecheck.attention.{module}")
    options: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in described.items()
    }
    kind = options.pop("kind", None)
    if kind not in _EDITS:
        raise UsageError(f"no edit is called {kind!r}", f"Known: {', '.join(sorted(_EDITS))}.")
    try:
        return _EDITS[kind](**options)
    except TypeError as error:
        raise UsageError(f"{kind}: {error}") from error
