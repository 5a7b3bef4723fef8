"""The headline: is the model worth it on these data? From two comparisons, each with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from forecheck.auditing.evidence import LINEAR, NAIVE, Arm, Evidence
from forecheck.auditing.questions import no_worse
from forecheck.auditing.setting import Family
from forecheck.statistics.inference import Comparison, Mean
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


def wants_seeds(found: Headline, evidence: Evidence, most: int) -> list[str]:
    """Labels of the arms (`raw` among them) that more seeds may decide something for; none if nothing is to be had.

    Args:
        found: the headline as it stands.
        evidence: what it stands on.
        most: seeds that can be reached at most.
    """
    wanted: list[str] = []
    for fact in found.facts:
        needs = fact.needs
        if fact.holds is not None or needs is None or needs.binds == "both":
            continue
        if needs.seeds is None or needs.seeds > 2 * most:  # an estimate from few seeds
            continue
        wanted.append("raw")
        if fact is found.attention and fact.arm.family == "retrained":
            arms = evidence.family("retrained")
            wanted += [arm.label for arm in arms if evidence.comparisons[arm.family, arm.label].outcome != "greater"]
    return list(dict.fromkeys(wanted))
