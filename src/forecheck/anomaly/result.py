"""What a metric gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measured:
    """What the function of a metric gives.

    Attributes:
        value: the metric.
        precision, recall: where it has them; not a number where they are not defined.
        details: numbers beside, by name, and parameters that were chosen for want of one.
    """

    value: float
    precision: float | None = None
    recall: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A metric of a series.

    Attributes:
        metric: its name.
        value: the metric; F where it has precision and recall.
        precision, recall, f: where it has them.
        parameters: those it was measured with.
        details: numbers beside, by name.
        n, anomalies, alarms: points, true segments, predicted segments (None for scores).
        warning: what one has to know before one reports it.
    """

    metric: str
    value: float
    precision: float | None
    recall: float | None
    f: float | None
    parameters: Mapping[str, Any]
    details: Mapping[str, float]
    n: int
    anomalies: int
    alarms: int | None
    warning: str = ""

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        parts = [f"{self.value:.6g}"]
        if self.precision is not None and self.recall is not None:
            parts.append(f"precision {self.precision:.4g}, recall {self.recall:.4g}")
        parts.extend(f"{name} {value}" for name, value in self.parameters.items())
        warned = f"; warning: {self.warning}" if self.warning else ""
        return f"<Result {self.metric}: {', '.join(parts)}{warned}>"

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        return asdict(self) | {"parameters": dict(self.parameters), "details": dict(self.details)}


def f_score(precision: float, recall: float, beta: float = 1.0) -> float:
    r"""The weighted harmonic mean of precision and recall, 0 if both are 0 or one is not defined.

    .. math:: F_\beta = \frac{(1 + \beta^2) P R}{\beta^2 P + R}

    Args:
        precision: P, in 0..1, or NaN where it is not defined.
        recall: R, likewise.
        beta: weight of recall; above 1 recall counts more.
    """
    if not precision > 0 or not recall > 0:
        return 0.0
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def ratio(part: float, whole: float, empty: float = 0.0) -> float:
    """`part / whole`; `empty` if the whole is 0.

    Args:
        part: numerator.
        whole: denominator.
        empty: what the ratio counts as if there is nothing to divide by.
    """
    return float(part / whole) if whole else empty


def measured(precision: float, recall: float, beta: float = 1.0, **details: float) -> Measured:
    """The F of a precision and a recall.

    Args:
        precision: P, in 0..1, or NaN where it is not defined.
        recall: R, likewise.
        beta: weight of recall in F.
        **details: numbers to be reported beside it, by name.
    """
    precision, recall = float(precision), float(recall)
    return Measured(f_score(precision, recall, beta), precision, recall, details)
