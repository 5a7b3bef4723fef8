"""The verdict: all arms of a question in one word, one sentence and one interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from forecheck.checks.evidence import LINEAR, Arm, Evidence
from forecheck.checks.protocol import ATTENTION, Outcome, percent, with_interval
from forecheck.checks.setting import Family
from forecheck.evaluation.inference import AS_FORECASTER, Comparison

Question = Literal["architecture", "checkpoint"]
_FAMILIES: dict[Question, Family] = {"architecture": "retrained", "checkpoint": "post-hoc"}


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        outcome: helps, hurts, no difference or undecided.
        arm: the replacement that decides it.
        comparison: that arm against the raw forecaster.
        why: why undecided.
    """

    outcome: Outcome
    arm: str
    comparison: Comparison
    why: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        c = self.comparison
        return {
            "outcome": self.outcome,
            "arm": self.arm,
            "effect": c.effect,
            "interval": list(c.interval),
            "margin": c.margin,
            "smallest_margin": c.smallest_margin,
            "seeds": c.seeds,
            "blocks": c.blocks,
            "why": self.why,
        }


def answer(evidence: Evidence, question: Question) -> Answer | None:
    """Does attention earn its keep: is it better than *every* cheaper replacement?

    - helps: every replacement is worse beyond the margin (an intersection-union test: no correction needed, yet the
      arms' p-values are Holm-adjusted all the same).
    - hurts: some replacement is better beyond the margin.
    - no difference: otherwise, if some replacement is equivalent within the margin.
    - undecided: otherwise.

    The deciding arm is the one with the lowest loss among those with that outcome; None if no arm was run.
    """
    arms = evidence.family(_FAMILIES[question])
    if not arms:
        return None
    found = [(arm, evidence.comparisons[arm.family, arm.label]) for arm in arms]
    for outcome in ("less", "equivalent", "undecided", "greater"):
        deciding = [(arm, c) for arm, c in found if c.outcome == outcome]
        if deciding:
            arm, c = min(deciding, key=lambda pair: pair[1].effect)
            return Answer(ATTENTION[outcome], arm.label, c, c.reason)
    raise AssertionError("a comparison has one of four outcomes")


def verdict(evidence: Evidence) -> dict[str, Any]:
    """The verdict as a plain dict: about the architecture if arms were retrained, else about the checkpoints."""
    architecture = answer(evidence, "architecture")
    checkpoint = answer(evidence, "checkpoint")
    main, question = (architecture, "architecture") if architecture else (checkpoint, "checkpoint")
    linear = evidence.best_reference(LINEAR)
    if main is None:
        return _not_applicable(evidence, linear)
    c = main.comparison
    return {
        "outcome": main.outcome,
        "sentence": _sentence(evidence, main, "architecture" if architecture else "checkpoint"),
        "question": question,
        "effect": c.effect,
        "interval": list(c.interval),
        "margin": c.margin,
        "smallest_margin": c.smallest_margin,
        "architecture": architecture.to_dict() if architecture else None,
        "checkpoint": checkpoint.to_dict() if checkpoint else None,
        "linear": _linear(evidence, linear) if linear else None,
        "advice": _advice(evidence, linear),
    }


def _not_applicable(evidence: Evidence, linear: Arm | None) -> dict[str, Any]:
    """The verdict where no arm with edited attention was run."""
    why = evidence.setting.why_not or "no check that replaces attention was selected"
    nothing = dict.fromkeys(("effect", "interval", "smallest_margin", "architecture", "checkpoint"))
    return {
        "outcome": "not applicable",
        "sentence": f"What attention does was not tested: {_where(evidence)} ({why}).",
        "question": "checkpoint",
        **nothing,
        "margin": evidence.margin,
        "linear": _linear(evidence, linear) if linear else None,
        "advice": _advice(evidence, linear),
    }


def _where(evidence: Evidence) -> str:
    e = evidence.experiment
    return f"{evidence.setting.model} on {e.panel.name}, lookback {e.test.lookback}, horizon {e.test.horizon}"


def _sentence(evidence: Evidence, main: Answer, question: Question) -> str:
    where = _where(evidence)
    number = f"{main.arm}: test MSE {with_interval(main.comparison)}"
    if question == "architecture":
        words = {
            "helps": "Attention helps: {where}, forecasts worse when retrained without it ({number}).",
            "hurts": "Attention hurts: {where}, forecasts better when retrained without it ({number}).",
            "no difference": "Attention makes no difference: {where}, forecasts as well when retrained without it "
            "({number}).",
            "undecided": "Undecided whether attention helps: {where}, retrained without it ({number}); {why}.",
        }
    else:
        words = {
            "helps": "The trained model relies on attention: {where} ({number}).",
            "hurts": "The trained model is better with its attention replaced: {where} ({number}).",
            "no difference": "The trained model does not rely on attention: {where} ({number}).",
            "undecided": "Undecided whether the trained model relies on attention: {where} ({number}); {why}.",
        }
    return words[main.outcome].format(where=where, number=number, why=main.why)


def _linear(evidence: Evidence, arm: Arm) -> dict[str, Any]:
    c = evidence.comparisons[arm.family, arm.label]
    return {
        "name": arm.label,
        "outcome": AS_FORECASTER[c.outcome],
        "effect": c.effect,
        "interval": list(c.interval),
        "seconds": arm.seconds,
        "why": c.reason,
    }


def _advice(evidence: Evidence, linear: Arm | None) -> str:
    e = evidence.experiment
    name = evidence.setting.model
    if linear is None:
        return ""
    c = evidence.comparisons[linear.family, linear.label]
    command = f"forecheck forecast {e.panel.name} --horizon {e.test.horizon} --lookback {e.test.lookback}"
    if c.outcome == "greater":
        how = "" if evidence.setting.given else f" ({command} --model {name})"
        return f"{name} earns its keep: it beats {linear.label} by more than the margin{how}."
    gain = -c.effect
    words = {
        "less": f"{linear.label} is better by {percent(gain)[1:]} and fits in {linear.seconds:.2g} s",
        "equivalent": f"{linear.label} is as good and fits in {linear.seconds:.2g} s",
        "undecided": f"{linear.label} is not beaten beyond the margin ({percent(c.effect)}) and fits in "
        f"{linear.seconds:.2g} s",
    }
    return f"Forecast with {linear.label}: {words[c.outcome]} ({command} --model {linear.label})."
