"""The verdict: the headline, both facts behind it, and what attention does, as a plain dict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from forecheck.auditing.check import ATTENTION, Outcome, percent, with_interval
from forecheck.auditing.ended import End
from forecheck.auditing.evidence import LINEAR, Arm, Evidence
from forecheck.auditing.headline import SIMPLE, Fact, Headline, headline, how_far, questions
from forecheck.auditing.rounds import Rounds
from forecheck.auditing.setting import Family
from forecheck.reports.commands import forecast_command
from forecheck.statistics.inference import AS_FORECASTER, Comparison

Subject = Literal["architecture", "checkpoint"]
_FAMILIES: dict[Subject, Family] = {"architecture": "retrained", "checkpoint": "post-hoc"}
_WHO: dict[Subject, str] = {"architecture": "the architecture of {}", "checkpoint": "the trained model"}


@dataclass(frozen=True)
class Answer:
    """What attention does, of the architecture or of the trained model.

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


def answer(evidence: Evidence, subject: Subject) -> Answer | None:
    """Does attention earn its keep: is it better than *every* cheaper replacement?

    - helps: every replacement is worse beyond the margin (an intersection-union test: no correction needed, yet the
      arms' p-values are Holm-adjusted all the same).
    - hurts: some replacement is better beyond the margin.
    - no difference: otherwise, if some replacement is equivalent within the margin.
    - undecided: otherwise; and where an arm could still change the outcome by being trained until it converged: a
      replacement that is worse, or the model itself where a replacement is as good or better.

    The deciding arm is the one with the lowest loss among those with that outcome; None if no arm was run.
    """
    family = _FAMILIES[subject]
    arms = evidence.family(family)
    if not arms:
        return None
    found = [(arm, evidence.comparisons[arm.family, arm.label]) for arm in arms]
    for outcome in ("less", "equivalent", "undecided", "greater"):
        deciding = [(arm, c) for arm, c in found if c.outcome == outcome]
        if not deciding:
            continue
        arm, c = min(deciding, key=lambda pair: pair[1].effect)
        if family == "retrained" and (late := _undertrained(evidence, outcome, [arm.label for arm, _ in deciding])):
            return Answer("undecided", arm.label, c, late)
        return Answer(ATTENTION[outcome], arm.label, c, c.reason)
    raise AssertionError("a comparison has one of four outcomes")


def _undertrained(evidence: Evidence, outcome: str, labels: list[str]) -> str:
    """Why an outcome does not count: what would change it has not converged."""
    who = labels if outcome == "greater" else ["raw"] if outcome in ("less", "equivalent") else []
    late = [label for label in who if not evidence.searched.converged(label)]
    return f"undertrained: {_gain(evidence, late[0])}" if late else ""


def _gain(evidence: Evidence, arm: str) -> str:
    name = evidence.setting.model if arm == "raw" else f"the arm {arm}"
    return f"{name} trained twice as long is better by {100 * evidence.searched.gains[arm]:.1f} % on validation"


def verdict(evidence: Evidence, rounds: Rounds | None = None) -> dict[str, Any]:
    """The verdict as JSON types: about the architecture if arms were retrained, else about the checkpoints.

    Args:
        evidence: the finished trials.
        rounds: of seeds, how far they went.
    """
    found = headline(evidence)
    answers = {subject: answer(evidence, subject) for subject in _FAMILIES}
    subject: Subject = "architecture" if answers["architecture"] else "checkpoint"
    main = answers[subject]
    first, linear = found.reference, evidence.best_reference(LINEAR)
    c = main.comparison if main else None
    return {
        "worth": found.worth if main else "not applicable",
        "sentence": _about(evidence) + _sentence(evidence, found, main),
        "why": _why(evidence, found, rounds) if main else _unreached(evidence),
        "advice": _advice(evidence, found),
        "outcome": main.outcome if main else "not applicable",
        "attention": _about(evidence) + _attention(evidence, main, subject) if main else "",
        "unreached": evidence.setting.beside,
        "question": subject,
        "effect": c.effect if c else None,
        "interval": list(c.interval) if c else None,
        "margin": evidence.margin,
        "smallest_margin": c.smallest_margin if c else None,
        "reference": _compared(evidence, first.arm) | {"beaten": first.holds} if first else None,
        "linear": _compared(evidence, linear) if linear else None,
        "converged": _converged(evidence),
        "ended": {
            "search": evidence.searched.ended.to_dict(),
            "rounds": (rounds.ended if rounds else End()).to_dict(),
        },
        **{subject: _answered(evidence, subject, found) for subject, found in answers.items()},
    }


def _answered(evidence: Evidence, subject: Subject, found: Answer | None) -> dict[str, Any] | None:
    if found is None:
        return None
    asked = questions(evidence, _FAMILIES[subject])
    said = how_far(asked, _WHO[subject].format(evidence.setting.model))
    return found.to_dict() | {"questions": [each.to_dict() for each in asked], "how_far": f"{said}."}


def _where(evidence: Evidence) -> str:
    e = evidence.experiment
    return f"{evidence.setting.model} on {e.panel.name} (lookback {e.test.lookback}, horizon {e.test.horizon})"


def _unreached(evidence: Evidence) -> str:
    return evidence.setting.why_not or "no check that replaces attention was selected"


def _about(evidence: Evidence) -> str:
    """What the verdict is about, where attention was reached in part."""
    beside, count = evidence.setting.beside, len(evidence.setting.places)
    if not beside or not count:
        return ""
    sites = "1 site" if count == 1 else f"{count} sites"
    return f"This is about the attention that was reached ({sites}), not about {beside}, which was not edited. "


def _sentence(evidence: Evidence, found: Headline, main: Answer | None) -> str:
    """The headline in one sentence, with both facts as far as they matter to it."""
    where, name = _where(evidence), evidence.setting.model
    against = _against(found.reference, name) if found.reference else "it was compared with no reference"
    if main is None:
        return f"What attention does was not tested: {where} ({_unreached(evidence)}); {against}."
    worth = _worth_of_attention(main)
    if found.worth == "yes":
        return f"Yes: {where} is worth it: {against}, and attention helps ({worth})."
    if found.worth == "not for its attention":
        return f"Not for its attention: {where} forecasts as well without it ({worth}); {against}."
    if found.worth == "no":
        return f"No: {where} is not worth it: {against}."
    return f"Undecided whether {where} is worth it: {against}; {worth}."


def _against(fact: Fact, name: str) -> str:
    """What the comparison with the reference says."""
    label, number = fact.arm.label, with_interval(fact.comparison)
    if fact.holds:
        return f"it beats {label} (MSE of {label} {number})"
    if fact.holds is False:
        better = "better" if fact.comparison.outcome == "less" else "as good or better"
        return f"{label} is {better} (MSE of {label} {number})"
    return f"MSE of {label} against that of {name} {number}"


def _worth_of_attention(main: Answer) -> str:
    """An interval is information, decided or not."""
    low, high = main.comparison.interval
    margin = f"; margin ±{100 * main.comparison.margin:g} %" if main.comparison.margin else ""
    return f"attention is worth between {percent(low)} and {percent(high)} of the error, by {main.arm}{margin}"


def _attention(evidence: Evidence, main: Answer, subject: Subject) -> str:
    """What attention does and how far the need for it goes, in one sentence."""
    how = how_far(questions(evidence, _FAMILIES[subject]), _WHO[subject].format(evidence.setting.model))
    words = {
        "helps": "Attention helps",
        "hurts": "Attention hurts",
        "no difference": "Attention makes no difference",
        "undecided": "Undecided whether attention helps",
    }
    when = "retrained without it" if subject == "architecture" else "replaced after training"
    said = f"{words[main.outcome]}: {when} ({main.arm}), test MSE changes by {with_interval(main.comparison)}"
    return f"{said}. {how}."


def _why(evidence: Evidence, found: Headline, rounds: Rounds | None) -> str:
    """Why it is undecided, and what would decide it; of both facts where both are open."""
    if not found.worth.startswith("undecided"):
        return ""
    parts: list[str] = []
    name = evidence.setting.model
    late: dict[str, list[str]] = {}
    for fact, what in ((found.reference, "against the reference"), (found.attention, "attention")):
        if fact is None or fact.holds is not None:
            continue
        if fact.late:
            late.setdefault(_gain(evidence, fact.late), []).append(what)
        elif what == "attention" and evidence.setting.beside:
            parts.append(f"attention: it was reached in part, without {evidence.setting.beside}")
        elif fact.needs is not None:
            parts.append(f"{what}: {fact.needs.sentence}")
        else:
            parts.append(f"{what}: {fact.comparison.reason}")
    longer = evidence.searched.longer(name)
    parts += [f"{' and '.join(asked)}: undertrained, as {gain}; {longer}" for gain, asked in late.items()]
    if found.reference is None:
        parts.append(f"{name} was compared with no reference")
    if rounds and any(fact.needs and fact.needs.binds == "seeds" for fact in found.facts if fact.holds is None):
        # Where the time ended the search as well, the search would take what it is given first.
        more = "" if evidence.searched.ended.option else rounds.ended.option
        parts.append(f"no seeds were added as {rounds.stopped}" + (f" ({more} is enough for the next)" if more else ""))
    return "; ".join(parts)


def _compared(evidence: Evidence, arm: Arm) -> dict[str, Any]:
    """A reference against the model, as JSON types."""
    c = evidence.comparisons[arm.family, arm.label]
    return {
        "name": arm.label,
        "outcome": AS_FORECASTER[c.outcome],
        "effect": c.effect,
        "interval": list(c.interval),
        "seconds": arm.seconds,
        "why": c.reason,
    }


def _converged(evidence: Evidence) -> dict[str, Any] | None:
    gains = evidence.searched.gains
    if not gains:
        return None
    late = [arm for arm in gains if not evidence.searched.converged(arm)]
    worst = max(gains, key=lambda arm: gains[arm])
    sentence = "; ".join(_gain(evidence, arm) for arm in late) or (
        f"trained twice as long, no arm is better by more than {100 * evidence.searched.tolerance:g} % on validation"
    )
    if option := evidence.searched.ended.option:
        sentence = f"the time ended the search ({option} lets it go on); {sentence}"
    return {"passed": not late, "gain": gains[worst], "sentence": sentence}


def _advice(evidence: Evidence, found: Headline) -> str:
    e, name = evidence.experiment, evidence.setting.model
    arm = evidence.best_reference(SIMPLE)
    if arm is None or found.reference is None:
        return ""
    period = evidence.setting.task.period
    own = None if period == e.panel.frequency.period else period
    given = {"horizon": e.test.horizon, "lookback": e.test.lookback, "period": own}

    def command(model: str) -> str:
        return forecast_command(e.panel.reading.words, model, given, evidence.setting.chosen.get(model, {}), {})

    c = found.reference.comparison
    seconds = f", and it fits in {arm.seconds:.2g} s" if arm.seconds else ""
    if found.reference.holds:
        how = "" if evidence.setting.external else f" ({command(name)})"
        without = found.attention if found.worth == "not for its attention" else None
        if without is not None:
            return f"Keep {name} without its attention ({without.arm.label}), or as it is{how}."
        return f"Forecast with {name}{how}."
    words = {
        "less": f"it is better by {percent(-c.effect)[1:]}{seconds}",
        "equivalent": f"it is as good{seconds}",
        "greater": f"it is simpler{seconds}",
        "undecided": f"it is not beaten beyond the margin{seconds}",
    }
    return f"Forecast with {arm.label}: {words[c.outcome]} ({command(arm.label)})."
