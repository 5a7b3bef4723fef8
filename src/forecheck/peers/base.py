"""The protocol that every peer signs: fit on the training rows, forecast from the end of a history."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from forecheck.data.panel import Panel

Forecasts = Float[np.ndarray, "history horizon"]


@dataclass(frozen=True)
class Assignment:
    """What is to be forecast.

    Attributes:
        horizon: H.
        period: steps of the season, 1 if there is none.
        seasons: steps of all known seasons, the shortest first; empty if there is none.
        seed: of all that is drawn.
    """

    horizon: int
    period: int = 1
    seasons: tuple[int, ...] = ()
    seed: int = 0


@dataclass(frozen=True, eq=False)
class History:
    """One channel of one series up to a place, in its own units.

    Attributes:
        name: of the series, the same at every place.
        values: the earliest first, without missing ones.
        place: number of the place; histories with the same one end at the same time.
    """

    name: str
    values: Float[np.ndarray, " time"]
    place: int = 0


class Peer(ABC):
    """A model of another library, or one that forecasts whole panels.

    It is fitted once, on the rows that our forecasters are fitted on, and then forecasts from the end of every history
    it is given, of which it sees no later row.

    Args:
        model: its name in the library.
        task: what is to be forecast.
        options: keywords of the model, as values or as text.

    Attributes:
        failures: by series, why it could not be fitted or forecast; the forecast is NaN there.
        used: by part (`known`, `past`), of every place with such columns, whether they were used.
    """

    library: ClassVar[str]
    """Name of the package that is imported; empty for our own."""
    trained: ClassVar[bool] = False
    """Fitted by gradient descent, so that seeds matter."""
    uses_known: ClassVar[bool] = False
    """Whether it has a use for known columns; others see the channels alone."""
    together: ClassVar[int] = 512
    """About how many histories it is handed at once."""

    def __init__(self, model: str, task: Assignment, options: Mapping[str, Any]) -> None:
        self.model, self.task, self.options = model, task, options
        self.failures: dict[str, str] = {}
        self.used: dict[str, list[bool]] = {}

    @abstractmethod
    def fit(self, histories: Sequence[History]) -> None:
        """Fit on the training rows of every series."""

    @abstractmethod
    def forecast(self, histories: Sequence[History]) -> Forecasts:
        """Forecasts in the units of the series, a row a history; those of one place come together."""

    def forecast_beside(self, panel: Panel, histories: Sequence[History]) -> Forecasts:
        """Forecasts in the units of the series of one place, a row a channel within series, by known columns too.

        Args:
            panel: all rows before the place, with the known columns of the horizon.
            histories: the same without these columns.
        """
        raise NotImplementedError(f"{self.model} has no use for known columns")

    def tried(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, or None with the reason in `failures`."""
        try:
            return make()
        except Exception as error:  # noqa: BLE001  whatever a library raises concerns one series only
            self.failures.setdefault(name, f"{type(error).__name__}: {error}"[:200])
            return None
