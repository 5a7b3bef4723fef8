"""Three questions, in order: the sublayer, tokens that see each other, and the choice of where to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from forecheck.auditing.evidence import Arm, Evidence
from forecheck.auditing.setting import Family
from forecheck.statistics.inference import Comparison, holm

Need = Literal["needed", "not needed", "undecided", "not asked"]
_QUESTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("sublayer", "does it need the attention sublayer?", ("removed", "zero")),
    ("mixing", "does it need tokens to see each other?", ("identity",)),
    ("choice", "does it need to choose where it looks?", ("mean", "frozen-mean", "fixed", "shuffled")),
)


@dataclass(frozen=True)
class Question:
    """One question with its answer.

    Attributes:
        name: sublayer, mixing or choice.
        asks: the question.
        need: the answer.
        arm: the replacement that decides it; of several the one with the lowest loss.
        comparison: that arm against the raw forecaster.
    """

    name: str
    asks: str
    need: Need
    arm: str = ""
    comparison: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        c = self.comparison
        return {
            "question": self.name,
            "asks": self.asks,
            "outcome": self.need,
            "arm": self.arm or None,
            "effect": c.effect if c else None,
            "interval": list(c.interval) if c else None,
        }


def questions(evidence: Evidence, family: Family) -> tuple[Question, ...]:
    """What the arms of a family (`retrained` or `post-hoc`) say to each question.

    A need is shown if every replacement that takes it away is worse beyond the margin, and refuted if one of them is
    not (see `no_worse`); what was not run is not asked.
    """
    found = []
    for name, asks, labels in _QUESTIONS:
        arms = [arm for label in labels if (arm := evidence.arm(family, label)) is not None]
        found.append(_answered(evidence, name, asks, arms))
    return tuple(found)


def no_worse(evidence: Evidence, arms: Sequence[Arm]) -> list[bool]:
    r"""Which arms are shown to be worse than the raw forecaster by less than the margin, or better.

    One-sided tests of :math:`H_0: \mu \ge \delta`, Holm-adjusted over the arms, at half the level of the evidence: as
    read off an interval whose upper end lies below the margin.
    """
    compared = [evidence.comparisons[arm.family, arm.label] for arm in arms]
    adjusted = holm([c.mean.p_below(c.margin) for c in compared])
    return [p < (1 - c.level) / 2 and not c.refused for p, c in zip(adjusted, compared, strict=True)]


def _answered(evidence: Evidence, name: str, asks: str, arms: Sequence[Arm]) -> Question:
    if not arms:
        return Question(name, asks, "not asked")
    compared = {arm.label: evidence.comparisons[arm.family, arm.label] for arm in arms}
    spared = [arm.label for arm, spare in zip(arms, no_worse(evidence, arms), strict=True) if spare]
    if spared:
        label, need = min(spared, key=lambda each: compared[each].effect), "not needed"
    else:
        label = min(compared, key=lambda each: compared[each].effect)
        need = "needed" if all(c.outcome == "greater" for c in compared.values()) else "undecided"
    return Question(name, asks, need, label, compared[label])  # type: ignore[arg-type]


_SPARED = {
    "sublayer": "does without its attention sublayer",
    "mixing": "does without tokens that see each other",
    "choice": "does without choosing where it looks",
}
_NEEDED = {
    "sublayer": "needs what its attention sublayer adds",
    "mixing": "needs tokens to see each other",
    "choice": "needs to choose where it looks",
}


def how_far(found: Sequence[Question], who: str) -> str:
    """How far the need for attention goes, in one sentence: the strongest need shown, the first one refuted.

    What needs to choose where it looks needs tokens that see each other, and these the sublayer; so the last need and
    the first thing that can be spared tell all, unless they contradict each other, which edits after training may.

    Args:
        found: the three questions.
        who: what was asked, the subject of the sentence.
    """
    needed = [q.name for q in found if q.need == "needed"]
    spared = [q.name for q in found if q.need == "not needed"]
    open_ = [q.name for q in found if q.need == "undecided"]
    parts = []
    if needed:
        parts.append(_NEEDED[needed[-1]])
    if spared:
        parts.append(_SPARED[spared[0]])
    if not (parts or open_):
        return f"What {who} needs of attention was not asked"
    said = f"{who} {' but '.join(parts)}" if parts else ""
    if open_:
        words = " and ".join(_NEEDED[name] for name in open_)
        said += f"{'; ' if said else ''}whether {'it' if parts else who} {words} is undecided"
    return said[0].upper() + said[1:]
