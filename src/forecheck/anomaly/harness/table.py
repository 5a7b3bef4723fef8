"""`forecheck.anomaly.properties`: what a metric rewards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Bool

from forecheck.anomaly.harness.generators import PROPERTIES, draws
from forecheck.anomaly.metrics.registry import Metric, Needs, all_metrics, find_metric
from forecheck.errors import DataError, UsageError

Value = Callable[[Bool[np.ndarray, "time"], Bool[np.ndarray, "time"]], float]
_CLOSE = 1e-9


@dataclass(frozen=True)
class Answer:
    """Whether a metric has a property.

    Attributes:
        name: of the property.
        claim: what it says.
        draws: how many were tried.
        strict: in how many the better prediction has the higher value; the same value, for invariances.
        weak: in how many it has no lower one; the same value, for invariances.
        invariance: whether it is one.
    """

    name: str
    claim: str
    draws: int
    strict: int
    weak: int
    invariance: bool

    @property
    def word(self) -> str:
        """`Y` strict in every draw, `w` weak in every draw, else both shares in percent."""
        if self.strict == self.draws:
            return "Y"
        if self.invariance:
            return f"{100 * self.strict / self.draws:.0f}"
        if self.weak == self.draws:
            return "w"
        return f"{100 * self.strict / self.draws:.0f}/{100 * self.weak / self.draws:.0f}"


class Properties(Mapping[str, Answer]):
    """Answers by property.

    Args:
        metric: its name.
        answers: in their order.
    """

    def __init__(self, metric: str, answers: Sequence[Answer]) -> None:
        self.metric = metric
        self._answers = {each.name: each for each in answers}

    def __getitem__(self, name: str) -> Answer:
        return self._answers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def strict(self) -> int:
        """How many it has strictly."""
        return sum(each.word == "Y" for each in self.values())

    def __repr__(self) -> str:
        words = ", ".join(f"{name} {each.word}" for name, each in self.items())
        return f"<Properties {self.metric}: {self.strict} of {len(self)} strictly; {words}>"

    def _repr_html_(self) -> str:
        """A table for a notebook."""
        rows = "".join(f"<tr><td>{escape(e.name)}</td><td>{e.word}</td><td>{e.claim}</td></tr>" for e in self.values())
        return f"<table><caption>{escape(repr(self))}</caption>{rows}</table>"

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return {name: asdict(each) | {"word": each.word} for name, each in self.items()}


def properties(metric: str | Metric | Value, *, draws: int = 200, seed: int = 0, **options: Any) -> Properties:
    """Which of twelve properties a metric has, found by trying.

    A property that holds in every draw is likely, not proved; one that fails is refuted.

    Args:
        metric: the name of a metric of alarms, or your own: a function of labels and alarms (truth values) that gives a
            number, higher for better.
        draws: how often each property is tried.
        seed: of the draws.
        options: parameters of a metric by name.

    Raises:
        UsageError: if the metric needs scores, or there is no such metric or parameter.
        DataError: if your metric gives something that is not a number.
    """
    if draws < 1:
        raise UsageError(f"draws is {draws}", "It is at least 1.")
    known = find_metric(metric) if isinstance(metric, str) else metric
    if not isinstance(known, Metric):
        if options:
            raise UsageError(f"your own metric takes no {min(options)!r} here", "Bind it beforehand, with a lambda.")
        return _tried(getattr(known, "__name__", "metric"), _checked(known), draws, seed)
    if known.needs is not Needs.ALARMS:
        raise UsageError(f"{known.name} needs {known.needs}, and properties are of alarms", _of_alarms())
    sign = -1.0 if known.lower_is_better else 1.0
    return _tried(known.name, lambda y, p: sign * known(y, p, **options).value, draws, seed)


def _of_alarms() -> str:
    return f"Metrics of alarms: {', '.join(each.name for each in all_metrics() if each.needs is Needs.ALARMS)}."


def _checked(metric: Value) -> Value:
    def checked(y: Bool[np.ndarray, "time"], p: Bool[np.ndarray, "time"]) -> float:
        value = metric(y, p)
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise DataError(f"the metric gave {value!r}", "It gives one number, higher for better.") from error

    return checked


def _tried(name: str, value: Value, many: int, seed: int) -> Properties:
    answers = []
    for place, each in enumerate(PROPERTIES):
        strict = weak = 0
        for draw in draws(place, many, seed):
            good = value(draw.y, draw.good)
            bad = value(draw.y if draw.other is None else draw.other, draw.bad)
            close = abs(good - bad) <= _CLOSE * max(1.0, abs(good), abs(bad))
            strict += close if each.invariance else good > bad and not close
            weak += close or (good > bad and not each.invariance)
        answers.append(Answer(each.name, each.claim, many, strict, weak, each.invariance))
    return Properties(name, answers)
