"""What a check is, and what it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from forecheck.checks.evidence import Evidence
from forecheck.evaluation.inference import Comparison

Outcome = Literal["helps", "hurts", "no difference", "undecided", "pass", "fail", "not applicable"]
Severity = Literal["info", "warning", "error"]

# What it means for attention that replacing it makes the loss greater, and so on.
ATTENTION: dict[str, Outcome] = {
    "greater": "helps",
    "less": "hurts",
    "equivalent": "no difference",
    "undecided": "undecided",
}


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        code: of the check.
        family: harness, references, post-hoc or retrained.
        title: the finding in a few words.
        outcome: the verdict of this check.
        meaning: one or two sentences with the numbers.
        severity: how much it should worry the user.
        advice: what to do.
        why: why undecided, failed or not applicable.
        comparison: the statistics, if there are any.
        details: further numbers (JSON types).
    """

    code: str
    family: str
    title: str
    outcome: Outcome
    meaning: str
    severity: Severity = "info"
    advice: str = ""
    why: str = ""
    comparison: Comparison | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; statistics are null where there are none."""
        plain = {key: value for key, value in asdict(self).items() if key != "comparison"}
        c = self.comparison
        return plain | {
            "effect": c.effect if c else None,
            "interval": list(c.interval) if c else None,
            "margin": c.margin if c else None,
            "smallest_margin": c.smallest_margin if c else None,
            "p": min(c.p_greater, c.p_less, c.p_equivalent) if c else None,
            "p_values": {"greater": c.p_greater, "less": c.p_less, "equivalent": c.p_equivalent} if c else None,
            "seeds": c.seeds if c else None,
            "blocks": c.blocks if c else None,
            "cross_check": list(c.cross_check) if c else None,
        }


class Check(ABC):
    """One question with a stable code.

    Attributes:
        code: FC and three digits; never reused.
        family: harness, references, post-hoc or retrained.
        title: the question in a few words.
    """

    code: str
    family: str
    title: str

    @abstractmethod
    def run(self, evidence: Evidence) -> Finding | None:
        """Look at the evidence; None if the audit did not run what this check is about."""

    def passed(self, ok: bool, meaning: str, *, advice: str = "", **details: Any) -> Finding:
        """A finding of a check that passes or fails."""
        return Finding(
            self.code,
            self.family,
            self.title,
            "pass" if ok else "fail",
            meaning,
            "info" if ok else "error",
            "" if ok else advice,
            details=details,
        )


def percent(value: float) -> str:
    """A relative number as a signed percentage."""
    return f"{100 * value:+.1f} %"


def with_interval(c: Comparison) -> str:
    """Effect, interval and margin, as findings print them."""
    low, high = (100 * end for end in c.interval)
    return f"{percent(c.effect)} [{low:+.1f}, {high:+.1f}]; margin ±{100 * c.margin:g} %"
