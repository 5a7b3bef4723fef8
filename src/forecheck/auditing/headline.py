"""The answers: is the model worth it on these data, and what does it need of attention?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from forecheck.auditing.evidence import LINEAR, NAIVE, Arm, Evidence
from forecheck.auditing.setting import Family
from forecheck.statistics.inference import Comparison, Mean, holm
from forecheck.statistics.planning import Needs, what_would_decide

Worth = Literal["yes", "not for its attention", "no", "undecided", "undecided: undertrained"]
SIMPLE = (*NAIVE, *LINEAR)
"""Among these is the simple reference, chosen on validation."""


@dataclass(frozen=True)
class Fact:
    """One of the two facts that a headline rests on.

    Attributes:
        holds: yes, no, or None as long as it is undecided.
        arm: what the model is compared with.
        comparison: that arm against the model.
        late: the arm (`raw` for the model) that was not trained until it converged, where the data would decide.
        needs: what would decide it.
    """

    holds: bool | None
    arm: Arm
    comparison: Comparison
    late: str = ""
    needs: Needs | None = None


@dataclass(frozen=True)
class Headline:
    """The answer and the two facts behind it.

    Attributes:
        worth: the answer.
        reference: whether the model beats the best simple reference by more than the margin.
        attention: whether attention is worth more than the margin: every replacement is worse by more than it.
    """

    worth: Worth
    reference: Fact | None
    attention: Fact | None

    @property
    def facts(self) -> list[Fact]:
        """Those that there are."""
        return [fact for fact in (self.reference, self.attention) if fact is not None]


def headline(evidence: Evidence) -> Headline:
    """Yes, not for its attention, no, or undecided.

    - yes: it beats the reference by more than the margin, and attention helps.
    - not for its attention: it beats the reference, but some arm without attention is as good.
    - no: the reference is as good or better: the model does not beat it by the margin.
    - undecided: otherwise.
    """
    first, second = _against_reference(evidence), _attention(evidence)
    worth: Worth = "undecided"
    if first is not None and first.holds is False:
        worth = "no"
    elif first is not None and first.holds and second is not None and second.holds is not None:
        worth = "yes" if second.holds else "not for its attention"
    elif any(fact.late for fact in (first, second) if fact is not None):
        worth = "undecided: undertrained"
    return Headline(worth, first, second)


def _against_reference(evidence: Evidence) -> Fact | None:
    arm = evidence.best_reference(SIMPLE)
    if arm is None:
        return None
    c = evidence.comparisons[arm.family, arm.label]
    low, high = c.interval
    if c.refused:
        return Fact(None, arm, c)
    if low > c.margin:
        return Fact(True, arm, c)
    if high < c.margin:
        # More training would better the model, so a model that has not converged has not lost yet.
        trained = evidence.searched.converged("raw")
        return Fact(False if trained else None, arm, c, late="" if trained else "raw")
    return Fact(None, arm, c, needs=what_would_decide(c.mean, _beyond_or_below(c), folds=evidence.folds))


def _attention(evidence: Evidence) -> Fact | None:
    family: Family = "retrained" if evidence.family("retrained") else "post-hoc"
    arms = evidence.family(family)
    if not arms:
        return None
    compared = {arm.label: evidence.comparisons[arm.family, arm.label] for arm in arms}
    searched = evidence.searched

    def trained(label: str) -> bool:
        return family == "post-hoc" or searched.converged(label)

    spared = [arm for arm, spare in zip(arms, no_worse(evidence, arms), strict=True) if spare]
    if spared:
        best = min(spared, key=lambda arm: compared[arm.label].effect)
        if evidence.setting.beside:  # what was not reached may do the work
            return Fact(None, best, compared[best.label])
        # The model could still get better than an arm that is as good now.
        late = "" if trained("raw") else "raw"
        return Fact(None if late else False, best, compared[best.label], late)
    best = min(arms, key=lambda arm: compared[arm.label].effect)
    c = compared[best.label]
    if all(each.outcome == "greater" for each in compared.values()):
        behind = [arm for arm in arms if not trained(arm.label)]
        if behind:
            return Fact(None, behind[0], compared[behind[0].label], behind[0].label)
        return Fact(True, best, c)
    needs = None if c.refused else what_would_decide(c.mean, _beyond_or_below(c), folds=evidence.folds)
    return Fact(None, best, c, needs=needs)


def _beyond_or_below(c: Comparison) -> Callable[[Mean], bool]:
    """Whether an interval lies on one side of the margin, as both facts ask."""

    def decides(mean: Mean) -> bool:
        low, high = mean.interval(c.level)
        return low > c.margin or high < c.margin

    return decides


def arms_for_more_seeds(found: Headline, evidence: Evidence, most: int) -> list[str]:
    """Labels of the arms (`raw` among them) that more seeds may decide something for; none if nothing is to be had.

    Args:
        found: the headline as it stands.
        evidence: what it stands on.
        most: seeds that can be reached at most.
    """
    chosen: list[str] = []
    for fact in found.facts:
        needs = fact.needs
        if fact.holds is not None or needs is None or needs.binds == "both":
            continue
        if needs.seeds is None or needs.seeds > 2 * most:  # an estimate from few seeds
            continue
        chosen.append("raw")
        if fact is found.attention and fact.arm.family == "retrained":
            arms = evidence.family("retrained")
            chosen += [arm.label for arm in arms if evidence.comparisons[arm.family, arm.label].outcome != "greater"]
    return list(dict.fromkeys(chosen))


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
