"""What a check is, and what it finds."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from forecheck.auditing.evidence import Evidence
from forecheck.auditing.setting import Request, Setting
from forecheck.statistics.inference import Comparison

Outcome = Literal["helps", "hurts", "no difference", "undecided", "pass", "fail", "not applicable"]
Severity = Literal["info", "warning", "error"]

_SIDES = ("greater", "less", "equivalent", "undecided")
# What it means for attention that replacing it makes the loss greater, and so on.
ATTENTION: dict[str, Outcome] = dict(zip(_SIDES, ("helps", "hurts", "no difference", "undecided"), strict=True))
PASSES: dict[str, Outcome] = dict(zip(_SIDES, ("pass", "fail", "no difference", "undecided"), strict=True))
"""Of a check that passes if what is compared with the raw model has a greater loss."""

Words = Mapping[str, tuple[Outcome, str, Severity]]
"""By outcome of a comparison: that of the check, the finding in a few words, and its severity."""


def worded(
    outcomes: Mapping[str, Outcome],
    titles: Sequence[str],
    severities: Sequence[Severity] = ("info", "warning", "warning", "info"),
) -> Words:
    """Words of a comparison, if its difference is greater, less, equivalent and undecided.

    Args:
        outcomes: of the check, by outcome of the comparison.
        titles: the finding in a few words, in that order.
        severities: in that order.
    """
    rows = zip(_SIDES, titles, severities, strict=True)
    return {side: (outcomes[side], title, severity) for side, title, severity in rows}


FAMILIES = {
    "FC1": "harness",
    "FC2": "references",
    "FC3": "post-hoc",
    "FC4": "retrained",
    "FC5": "positions",
    "FC6": "heads",
    "FC7": "representation",
    "FC8": "data",
    "FC9": "black-box",
}


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        code: of the check.
        family: of the check, see `FAMILIES`.
        title: the finding in a few words.
        outcome: the verdict of this check.
        meaning: one or two sentences with the numbers.
        severity: how much it should worry the user.
        advice: what to do.
        why: why undecided, failed or not applicable.
        comparison: the statistics, if there are any.
        details: further numbers (JSON types); `table` and `chart` in it are drawn by the reports.
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
            "p_values": {"greater": c.p_greater, "less": c.p_less, "equivalent": c.p_equivalent} if c else None,
            "seeds": c.seeds if c else None,
            "blocks": c.blocks if c else None,
        }


class Check(ABC):
    """One question with a stable code; its documentation page is made from the class.

    The docstring says what is asked and how it is measured; its first line is the question in a sentence.

    Attributes:
        code: FC and three digits; never reused.
        title: the question in a few words.
        text: what is asked and how it is measured, of a check that is a row of a table; else the docstring says it.
        severity: of a finding that should worry somebody.
        slow: run in the budgets standard and full, or when it is selected by name.
        white_box: needs to reach the model's attention.
        of_patterns: looks at attention patterns or edits them, which not every sublayer has.
        retrains: needs to train the model again.
        option: of the audit that asks for it; without it (or its whole code in a selection) it is not run.
        advice: what to do if it finds something.
        source: paper and section.
    """

    code: str
    title: str
    text: str = ""
    severity: Severity = "warning"
    slow: bool = False
    white_box: bool = False
    of_patterns: bool = False
    retrains: bool = False
    option: str = ""
    advice: str = ""
    source: str = ""

    @property
    def family(self) -> str:
        """What it belongs to, by its code."""
        return FAMILIES[self.code[:3]]

    @property
    def about(self) -> str:
        """What is asked and how it is measured."""
        return inspect.cleandoc(self.text or type(self).__doc__ or "")

    def requests(self, setting: Setting) -> Sequence[Request]:
        """What has to be run for it, besides the raw model and the references."""
        return ()

    def why_not(self, setting: Setting) -> str:
        """Why the question cannot be asked here; empty if it can."""
        if self.white_box and not setting.places:
            return setting.why_not or "the model has no attention that could be reached"
        without = [place for place in setting.places if place.no_pattern] if self.of_patterns else []
        if without:
            return f"{without[0].path} has no pattern: {without[0].no_pattern}"
        if self.retrains and setting.external:
            return "the model was trained elsewhere, so it cannot be trained again"
        if self.retrains and not setting.native:
            return "its attention is not forecheck's own, so it can be edited after training only"
        return ""

    def run(self, evidence: Evidence) -> Finding | None:
        """Look at the evidence; None if the audit did not run what this check is about."""
        why = self.why_not(evidence.setting)
        if not why:
            reasons = [evidence.why_not.get(_key(each, evidence), "") for each in self.requests(evidence.setting)]
            # One thing that could not be run is enough only if nothing else was.
            if reasons and all(reasons):
                why = reasons[0]
        found = self.not_applicable(why) if why else self.look(evidence)
        beside = evidence.setting.beside if self.white_box and evidence.setting.places else ""
        return _of_what_was_reached(found, beside) if found and beside else found

    @abstractmethod
    def look(self, evidence: Evidence) -> Finding | None:
        """Look at the evidence of a check that applies; None if what it is about was not run."""

    def not_applicable(self, why: str) -> Finding:
        """A finding that says why the question cannot be asked."""
        return Finding(self.code, self.family, self.title, "not applicable", "", why=why)

    def finding(
        self,
        outcome: Outcome,
        meaning: str,
        *,
        title: str = "",
        severity: Severity = "info",
        advice: str = "",
        why: str = "",
        comparison: Comparison | None = None,
        **details: Any,
    ) -> Finding:
        """A finding of this check; arguments are as the attributes of `Finding`.

        Args:
            outcome: of the check.
            meaning: one or two sentences with the numbers.
            title: the finding in a few words; that of the check if empty.
            severity: how much it should worry the user.
            advice: what to do.
            why: why it is undecided or failed.
            comparison: the statistics, if there are any.
            details: further numbers, as JSON types.
        """
        return Finding(
            self.code,
            self.family,
            title or self.title,
            outcome,
            meaning,
            severity,
            advice,
            why,
            comparison,
            details,
        )

    def passed(self, ok: bool, meaning: str, *, advice: str = "", **details: Any) -> Finding:
        """A finding of a check that passes or fails.

        Args:
            ok: whether it passes.
            meaning: one or two sentences with the numbers.
            advice: what to do if it fails; that of the check if empty.
            details: further numbers, as JSON types.
        """
        if ok:
            return self.finding("pass", meaning, **details)
        return self.finding("fail", meaning, severity=self.severity, advice=advice or self.advice, **details)

    def compared(
        self, c: Comparison, meaning: str, words: Words, *, advice: str | None = None, **details: Any
    ) -> Finding:
        """A finding that follows from the outcome of a comparison.

        Args:
            c: the comparison.
            meaning: one or two sentences with the numbers.
            words: what each outcome says.
            advice: what to do; None for that of the check, where the severity is not `info`.
            details: further numbers, as JSON types.
        """
        outcome, title, severity = words[c.outcome]
        return self.finding(
            outcome,
            meaning,
            title=title,
            severity=severity,
            advice=(self.advice if severity != "info" else "") if advice is None else advice,
            why=c.reason,
            comparison=c,
            **details,
        )


def _key(request: Request, evidence: Evidence) -> tuple[str, str]:
    """Under which the evidence says why something was not run."""
    if request.measure is None:
        return request.family, request.label
    return f"measure {request.measure}", evidence.setting.model


def _of_what_was_reached(found: Finding, beside: str) -> Finding:
    """A finding on attention that says that it is about a part of it."""
    if found.outcome == "not applicable":
        return found
    meaning = f"{found.meaning} This is about the attention that was reached, not about {beside}."
    return replace(found, title=f"{found.title}, as far as it was reached", meaning=meaning)


def percent(value: float) -> str:
    """A relative number as a signed percentage."""
    return f"{100 * value:+.1f} %"


def with_interval(c: Comparison) -> str:
    """Effect, interval and margin, as findings print them."""
    low, high = (100 * end for end in c.interval)
    return f"{percent(c.effect)} [{low:+.1f}, {high:+.1f}]; margin ±{100 * c.margin:g} %"
