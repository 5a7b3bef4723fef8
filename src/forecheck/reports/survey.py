"""What stands in a survey of models and sets, in words; every renderer only sets it on its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forecheck.reports import content, numbers

Json = Mapping[str, Any]

UNDECIDED = "undecided"
NOT_WORTH = ("not for its attention", "no")
# States of a cell without a verdict, as they are printed.
STATES = ("cannot be run", "failed", "not run")
# What a reference's outcome against the model says of the model.
_OF_MODEL = {"better": "worse", "worse": "better"}
_SYMBOLS = content.SYMBOLS | {"yes": "▲", "no": "▼", "not for its attention": "=", "failed": "✗"}


@dataclass(frozen=True)
class Fact:
    """A number of a cell.

    Attributes:
        outcome: helps, hurts and the like; of a reference, how the *model* does against it.
        effect: the number with its interval, in percent.
        of: what it is about, if that differs from cell to cell: the reference's name.
        holds: whether the outcome also holds among all cells.
    """

    outcome: str
    effect: str
    of: str = ""
    holds: bool = False

    @property
    def symbol(self) -> str:
        """The outcome as one sign."""
        return symbol(self.outcome)


@dataclass(frozen=True)
class Cell:
    """A model on a set.

    Attributes:
        data: the cell itself.
        word: is the model with its attention worth it, or why nobody knows.
        attention: what attention is worth; None if no replacement was tested.
        reference: the best simple reference, relative to the model; None without one.
    """

    data: Json
    word: str
    attention: Fact | None
    reference: Fact | None

    @property
    def done(self) -> bool:
        """Whether there is a report."""
        return self.data.get("state") == "done"

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.data.get("model"))

    @property
    def of(self) -> str:
        """The name of the set."""
        return str(self.data.get("set"))

    @property
    def kind(self) -> str:
        """The word without its explanation: `undecided: undertrained` is `undecided`."""
        return self.word.partition(":")[0]

    @property
    def said(self) -> str:
        """The audit's sentence, or why there is none and what to do about it; empty if it was not run."""
        if self.done:
            return str(self.data.get("sentence") or self.word)
        why, remedy = (str(self.data.get(name) or "") for name in ("why", "advice"))
        reason = ". ".join(part.rstrip(".") for part in (why, remedy) if part)
        return f"{self.word}: {reason}." if reason else ""


def symbol(word: str) -> str:
    """An outcome or an answer as one sign."""
    return _SYMBOLS.get(word.partition(":")[0], "·")


def cells(data: Json) -> list[Cell]:
    """All cells, model by model."""
    return [_cell(each) for each in data.get("cells") or []]


def table(data: Json) -> list[tuple[str, list[Cell]]]:
    """A row a model with its cells in the order of the sets."""
    found = {(cell.model, cell.of): cell for cell in cells(data)}
    blank = {"state": "not run"}
    return [
        (model, [found.get((model, name)) or _cell({"model": model, "set": name, **blank}) for name in sets(data)])
        for model in map(str, data.get("models") or [])
    ]


def sets(data: Json) -> list[str]:
    """Names of the sets."""
    return [str(name) for name in data.get("sets") or []]


def counts(given: Sequence[Cell]) -> dict[str, int]:
    """How many cells there are of each kind: `yes`, `not` (worth it for its attention), `undecided` and what was not.

    The keys are always the same.
    """
    found = Counter("not" if cell.kind in NOT_WORTH else cell.kind for cell in given)
    names = ("yes", "not", UNDECIDED, "not applicable", *STATES)
    return {"cells": len(given)} | {name: found[name] for name in names}


def sentence(data: Json) -> str:
    """`Attention is worth it in 1 of 9 cells, is not in 5, undecided in 3.`, and what was not run."""
    found = counts(cells(data))
    total, judged = found["cells"], found["yes"] + found["not"] + found[UNDECIDED]
    rest = [f"{found[name]} {name}" for name in ("not applicable", *STATES) if found[name]]
    if not judged:
        return f"No cell of {total} has a verdict" + (f": {', '.join(rest)}." if rest else ".")
    parts = f"Attention is worth it in {found['yes']} of {total} cells, is not in {found['not']}, "
    return f"{parts}undecided in {found[UNDECIDED]}" + (f" ({', '.join(rest)})." if rest else ".")


def facts_sentence(data: Json) -> str:
    """How attention by itself, and the model against the references, came out; empty without a number."""
    given = cells(data)
    attention = Counter(cell.attention.outcome for cell in given if cell.attention)
    reference = Counter(cell.reference.outcome for cell in given if cell.reference)
    sentences = []
    if attention:
        words = {"helps": "helps in", "hurts": "hurts in", "no difference": "makes no difference in"}
        sentences.append(f"By itself attention {_listed(words | {UNDECIDED: 'is undecided in'}, attention)}.")
    if reference:
        words = {"better": "is better in", "worse": "is worse in", "no difference": "is as good in"}
        against = "Against the best simple reference the model"
        sentences.append(f"{against} {_listed(words | {UNDECIDED: 'is undecided in'}, reference)}.")
    return " ".join(sentences)


def multiplicity(data: Json) -> str:
    """What many verdicts at once are worth."""
    given = [cell for cell in cells(data) if cell.attention]
    if not given:
        return ""
    level = 1 - ((data.get("protocol") or {}).get("level") or 0.95)
    text = (
        f"Every cell is a verdict of its own, with an error of at most {100 * level:.3g} %: of {len(given)} up to "
        f"{level * len(given):.2g} may be wrong by chance on average."
    )
    if any(cell.data.get("holds") is not None for cell in given):
        held = sum(bool(cell.attention and cell.attention.holds) for cell in given)
        return f"{text} * marks what holds for attention among all cells at once (Holm, {held} of {len(given)})."
    return f"{text} They are not adjusted for being many."


def legend() -> str:
    """How to read a cell."""
    return (
        "Attention: how much worse the test error gets without it. Reference: how much worse the best simple reference "
        "is than the model. Both in percent of the model's test MSE, with their intervals: above zero speaks for it "
        "(▲ helps, or is better; ▼ hurts, or is worse; = no difference; ? undecided)."
    )


def protocol_facts(data: Json) -> list[tuple[str, str]]:
    """How the audits were run."""
    protocol = data.get("protocol") or {}
    lookbacks = sorted({cell.data["lookback"] for cell in cells(data) if numbers.known(cell.data.get("lookback"))})
    seeds = sorted({len(cell.data["seeds"]) for cell in cells(data) if cell.data.get("seeds")})
    facts = [
        ("horizon", numbers.count(protocol.get("horizon"))),
        ("lookback", _span(lookbacks)),
        ("budget", str(protocol.get("budget") or "")),
        ("seeds", _span(seeds)),
        ("margin", numbers.margin(protocol.get("margin"))),
        ("confidence", f"{100 * protocol['level']:g} % intervals" if protocol.get("level") else ""),
        ("time", numbers.seconds(sum(cell.data.get("seconds") or 0 for cell in cells(data)))),
    ]
    rows = [(name, text) for name, text in facts if text and text != numbers.NOTHING]
    return [*rows, *content.environment_facts(data)]


def drawn(data: Json, name: str) -> list[tuple[str, list[tuple[str, Json]]]]:
    """By set, the effects of one kind (`attention` or `reference`) with the models they belong to."""
    groups: dict[str, list[tuple[str, Json]]] = {each: [] for each in sets(data)}
    for cell in cells(data):
        fact = cell.attention if name == "attention" else cell.reference
        if fact is None or cell.of not in groups:
            continue
        given = cell.data if name == "attention" else cell.data["reference"]
        label = f"{cell.model} against {fact.of}" if fact.of else cell.model
        row = {"effect": given.get("effect"), "interval": given.get("interval"), "outcome": fact.outcome}
        groups[cell.of].append((label, row))
    return list(groups.items())


def verdict(data: Json) -> dict[str, Any]:
    """The survey in a sentence, and the counts. There is no outcome of many cells."""
    return {"outcome": None, "sentence": sentence(data), "counts": counts(cells(data))}


def _cell(data: Json) -> Cell:
    if data.get("state") != "done":
        return Cell(data, str(data.get("state") or "not run"), None, None)
    attention = None
    if numbers.known(data.get("effect")):
        effect = numbers.effect(data.get("effect"), data.get("interval"))
        attention = Fact(str(data.get("outcome") or UNDECIDED), effect, holds=data.get("holds") is True)
    given = data.get("reference") or {}
    reference = None
    if numbers.known(given.get("effect")):
        outcome = str(given.get("outcome") or UNDECIDED)
        effect = numbers.effect(given.get("effect"), given.get("interval"))
        reference = Fact(_OF_MODEL.get(outcome, outcome), effect, str(given.get("name") or ""))
    return Cell(data, str(data.get("worth") or "not applicable"), attention, reference)


def _listed(words: Mapping[str, str], found: Mapping[str, int]) -> str:
    return ", ".join(f"{word} {found.get(name, 0)}" for name, word in words.items())


def _span(values: Iterable[int]) -> str:
    given = sorted(values)
    if not given:
        return ""
    return numbers.count(given[0]) + (f" to {numbers.count(given[-1])}" if given[-1] > given[0] else "")
