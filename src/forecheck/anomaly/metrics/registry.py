"""Metrics by name: what each needs, its parameters, source and conventions."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from numbers import Integral, Real
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from forecheck.anomaly.pair import Pair, Ranked
from forecheck.anomaly.result import Measured, Result
from forecheck.anomaly.segments import segments
from forecheck.errors import DataError, UsageError


class Needs(StrEnum):
    """What a metric compares with the labels."""

    ALARMS = "alarms"
    SCORES = "scores"
    GRADED = "alarms, grades"


@dataclass(frozen=True)
class Metric:
    """A metric of detection.

    Attributes:
        name: as given to `evaluate`.
        title: what it is, in a line.
        needs: alarms or scores.
        measure: its function.
        source: where it is defined.
        edges: what it gives where its formula does not: no alarm, no normal point.
        warning: what one has to know before one reports it.
        lower_is_better: for distances and delays.
        without_anomalies: whether it is defined for labels without an anomaly.
        without_normal: whether it is defined for labels without a normal point.
    """

    name: str
    title: str
    needs: Needs
    measure: Callable[..., Measured]
    source: str
    edges: str = ""
    warning: str = ""
    lower_is_better: bool = False
    without_anomalies: bool = False
    without_normal: bool = True

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters with their defaults."""
        signature = inspect.signature(self.measure)
        return {
            name: each.default
            for name, each in signature.parameters.items()
            if each.kind is inspect.Parameter.KEYWORD_ONLY
        }

    @property
    def explanation(self) -> str:
        """What its function says of itself: formula first."""
        return inspect.getdoc(self.measure) or ""

    def __call__(
        self,
        labels: Bool[np.ndarray, "time"] | Int[np.ndarray, "time"],
        detections: Bool[np.ndarray, "time"] | Float[np.ndarray, "time"],
        **options: Any,
    ) -> Result:
        """Measure arrays that have been checked; `forecheck.anomaly.evaluate` checks.

        Args:
            labels: truth values, or graded labels where the metric needs them.
            detections: truth values where the metric needs alarms, else scores.
            options: parameters that differ from the defaults.

        Raises:
            DataError: if the metric is not defined for such labels.
            UsageError: if it has no such parameter, or a parameter has no such value.
        """
        if self.needs is Needs.GRADED:
            return self.of(Graded(labels, detections), options)
        y = labels.astype(bool)
        return self.of(Pair(y, detections) if detections.dtype == bool else Ranked(y, detections), options)

    def of(self, pair: Pair | Ranked | Graded, options: Mapping[str, Any]) -> Result:
        """Measure what may have been measured by others before."""
        known = self.parameters
        if unknown := options.keys() - known.keys():
            listed = ", ".join(known) or "none"
            raise UsageError(f"{self.name} has no parameter {min(unknown)!r}", f"Parameters: {listed}.")
        for name, value in options.items():
            _check_type(f"{self.name}.{name}", value, known[name])
        if not self.without_anomalies and not len(pair.truth):
            raise DataError(
                f"{self.name} is not defined for labels without an anomaly",
                "Leave these labels out, or measure what is defined there: "
                + ", ".join(each.name for each in all_metrics() if each.without_anomalies and each.needs is self.needs),
            )
        if not self.without_normal and len(pair.truth) == 1 and pair.truth.lengths[0] == pair.n:
            raise DataError(
                f"{self.name} is not defined where every point is anomalous",
                "It compares anomalous with normal points.",
            )
        found = self.measure(pair, **options)
        has_both = found.precision is not None and found.recall is not None
        return Result(
            self.name,
            float(found.value),
            found.precision,
            found.recall,
            float(found.value) if has_both else None,
            {**known, **options},
            found.details,
            pair.n,
            len(pair.truth),
            len(pair.alarms) if isinstance(pair, (Pair, Graded)) else None,
            self.warning,
        )


@dataclass(frozen=True, eq=False)
class Graded:
    """Graded labels and alarms.

    Attributes:
        grades: 0 normal, 1 early window, 2 anomaly, 3 late window of an event.
        p: at which points there is an alarm.
    """

    grades: Int[np.ndarray, "time"] | Bool[np.ndarray, "time"]
    p: Bool[np.ndarray, "time"]

    @property
    def n(self) -> int:
        """Points."""
        return len(self.p)

    @property
    def truth(self) -> Any:
        """The events: runs of any grade but 0."""
        return segments(self.grades > 0)

    @property
    def alarms(self) -> Any:
        """The alarms."""
        return segments(self.p)


_MODULES = (
    "pointwise",
    "ranking",
    "adjusted",
    "event",
    "ranges",
    "tapr",
    "tolerance",
    "distance",
    "affiliation",
    "pate",
    "volumes",
    "timing",
    "alarm",
    "net_event",
)
"""In the order in which they are listed."""
_REGISTRY: dict[str, Metric] = {}
EMPTY = {
    "larm": "its formula was not to be had: the text of arXiv 2510.17562 beyond its first page was not available. See "
    "`alarm` for the one that public code of the same group has, and `net_event` for ours."
}
"""Names that are kept free, and why."""


def metric(name: str, **about: Any) -> Callable[[Callable[..., Measured]], Callable[..., Measured]]:
    """Decorator: make a function known as a metric; see `Metric` for its description."""

    def register(function: Callable[..., Measured]) -> Callable[..., Measured]:
        _REGISTRY[name] = Metric(name=name, measure=function, **about)
        return function

    return register


def all_metrics() -> list[Metric]:
    """Every metric, family by family."""
    for module in _MODULES:
        import_module(f"forecheck.anomaly.metrics.{module}")
    order = [f"forecheck.anomaly.metrics.{module}" for module in _MODULES]
    return sorted(_REGISTRY.values(), key=lambda each: order.index(each.measure.__module__))


def find_metric(name: str) -> Metric:
    """The metric called `name`.

    Raises:
        UsageError: if there is none; the message names the nearest.
    """
    known = {each.name: each for each in all_metrics()}
    plain = name.lower().replace("-", "_")
    if plain in EMPTY:
        raise UsageError(f"there is no {plain} yet", EMPTY[plain])
    if plain not in known:
        near = difflib.get_close_matches(plain, known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"no metric is called {name!r}", f"{hint}`forecheck metrics` lists all.")
    return known[plain]


def _check_type(name: str, value: Any, usual: Any) -> None:
    """Refuse a parameter of another type than its default's; None stands for a whole number that is found."""
    if isinstance(usual, str):
        right, kind = isinstance(value, str), "text"
    elif isinstance(usual, float):
        right, kind = isinstance(value, Real) and not isinstance(value, bool), "a number"
    else:
        right, kind = isinstance(value, Integral) and not isinstance(value, bool), "a whole number"
        right = right or (value is None and usual is None)
    if not right:
        raise UsageError(f"{name} is {value!r}", f"It is {kind}.")


def within(name: str, value: float, low: float, high: float = np.inf) -> None:
    """Refuse a parameter outside its bounds.

    Args:
        name: of the parameter, for the message.
        value: what it was set to.
        low: the least that is allowed.
        high: the greatest that is allowed.

    Raises:
        UsageError: naming it and its bounds.
    """
    if not low <= value <= high:
        bounds = f"at least {low:g}" if high == np.inf else f"from {low:g} to {high:g}"
        raise UsageError(f"{name} is {value}", f"It is {bounds}.")
