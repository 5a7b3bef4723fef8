"""How a panel is cut, forecast and judged: one record that is handed down from the options to the last function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forecheck.data.panel import Panel
from forecheck.data.windows import Experiment, prepare
from forecheck.errors import UsageError


@dataclass(frozen=True)
class Protocol:
    """Windows, parts of the data, and the difference that counts.

    Attributes:
        horizon: H, steps to forecast.
        lookback: L, steps of input; None for what suits the model and the length of the data.
        split: notation of a split, or None for the panel's standard one.
        step: rows between two forecast origins.
        period: steps a season, or None for that of the panel's frequency.
        margin: relative difference of test MSE below which two forecasters count as equal.
        folds: rolling origins, the last of which is the split; None to choose by the data.

    Raises:
        UsageError: if a number lies outside its range, or the split is empty.
    """

    horizon: int
    lookback: int | None = None
    split: str | None = None
    step: int = 1
    period: int | None = None
    margin: float = 0.01
    folds: int | None = None

    def __post_init__(self) -> None:
        for name in ("horizon", "lookback", "step", "period", "folds"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, whole(name, value))
        if self.horizon < 1:
            raise UsageError(f"horizon must be positive, got {self.horizon}")
        if not 0 < self.margin < 1:
            raise UsageError(f"the margin must lie between 0 and 1 (0.01 is 1 %), got {self.margin:g}")
        if self.split == "":  # which is not to be passed over
            raise UsageError("the split is empty", "Write percent, as in 70/10/20, or leave it out.")
        if self.period is not None and self.period < 1:
            raise UsageError(f"the period must be positive, got {self.period}")

    def season(self, panel: Panel) -> int:
        """Steps a season of these data."""
        return panel.frequency.period if self.period is None else self.period

    def cut(self, panel: Panel, lookback: int | None = None, split: str | None = None) -> Experiment:
        """The panel's windows of all parts.

        Args:
            panel: the data.
            lookback: L, where it is not that of the protocol.
            split: of a fold; None for that of the protocol.

        Raises:
            DataError, UsageError: see `prepare`.
        """
        lookback = self.lookback if lookback is None else lookback
        if lookback is None:
            raise UsageError("a protocol without a lookback cuts nothing", "Name one.")
        return prepare(panel, lookback, self.horizon, split or self.split, self.step)


def whole(name: str, value: Any) -> int:
    """A whole number of any library's type, or written as a float.

    Raises:
        UsageError: if it is none.
    """
    try:
        if not isinstance(value, bool | str) and int(value) == value:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise UsageError(f"the {name} is a whole number, got {value!r}")
