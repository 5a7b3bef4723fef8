"""The head of an audit in words: the answer, how far the need for attention goes, and what stands in the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecheck.reports import content, numbers
from forecheck.reports.tables import Column, Group, Table

Json = Mapping[str, Any]

LONGEST_HEAD = 60  # characters
WORDS = {"needed": "yes", "not needed": "no"}
_SEARCHED = ("validation_mse", "chosen")
UNASKED = "was not asked"
SUBJECTS = {"architecture": "The architecture", "checkpoint": "The trained model"}


@dataclass(frozen=True)
class Cell:
    """An answer on the ladder: yes, no, undecided or not asked, and the number behind it."""

    word: str
    kind: str
    number: str


@dataclass(frozen=True)
class Rung:
    """One question of the ladder with an answer for each column of it."""

    asks: str
    cells: list[Cell | None]


@dataclass(frozen=True)
class Ladder:
    """How far the need for attention goes, of the architecture and of the checkpoint or of one of them."""

    subjects: list[str]
    rungs: list[Rung]


def answer(data: Json) -> str:
    """The answer to "is the model worth it?" in words: `Yes`, `Not for its attention`; empty if there is none."""
    worth = str(content.verdict(data).get("worth") or "")
    return "" if worth == "not applicable" else worth[:1].upper() + worth[1:]


def asked(data: Json) -> str:
    """The question that the headline answers; empty in a report without an answer to it."""
    protocol = data.get("protocol") or {}
    there = answer(data) and protocol.get("model") and protocol.get("data")
    return f"Is {protocol['model']} worth it on {protocol['data']}?" if there else ""


def parted(data: Json) -> tuple[str, str]:
    """The answer, which is set larger, and the sentence after it.

    A sentence that does not begin with its answer has it put before. In a report without an answer it is what stands
    before an early colon, or all of the sentence.
    """
    said, word = str(content.verdict(data).get("sentence") or content.where(data)), answer(data)
    if word:
        begins = re.match(rf"({re.escape(word.partition(':')[0])}\b:?)\s+(.+)", said, re.IGNORECASE | re.DOTALL)
        return (begins[1], begins[2]) if begins else (f"{word}:", said)
    head, colon, rest = said.partition(": ")
    return (f"{head}:", rest) if colon and len(head) <= LONGEST_HEAD else (said, "")


def ladder(data: Json) -> Ladder | None:
    """The questions about attention, in their order; None if they were not put."""
    said = content.verdict(data)
    asked = {name: _questions(said.get(name)) for name in SUBJECTS}
    asked = {name: by for name, by in asked.items() if by}
    rungs = []
    for key in dict.fromkeys(key for by in asked.values() for key in by):
        given = [by.get(key) for by in asked.values()]
        asks = next((str(each["asks"]) for each in given if each and each.get("asks")), key)
        rungs.append(Rung(asks, [_cell(each) if each else None for each in given]))
    return Ladder([SUBJECTS[name] for name in asked], rungs) if rungs else None


def ladder_table(data: Json) -> Table:
    """The ladder as a table for pages of text; no rows if there is none."""
    found = ladder(data)
    if found is None:
        return Table("", [], [])
    rows = [
        [rung.asks, *(f"{cell.word} {cell.number}".rstrip() if cell else numbers.NOTHING for cell in rung.cells)]
        for rung in found.rungs
    ]
    return Table(
        "How far the need goes", [Column("question"), *(Column(name) for name in found.subjects)], [Group("", rows)]
    )


def attention(data: Json) -> str:
    """What attention does or is worth, as a sentence of its own; empty where the headline has it already."""
    verdict = content.verdict(data)
    said = str(verdict.get("attention") or "").strip()
    if not said or said.rstrip(".").casefold() in str(verdict.get("sentence") or "").casefold():
        return ""
    return f"{said[0].upper()}{said[1:].rstrip('.')}."


def reach(data: Json) -> list[str]:
    """How far the need for attention goes, a sentence a subject, unless `attention` says it."""
    said = content.verdict(data)
    found = {title: str((said.get(name) or {}).get("how_far") or "") for name, title in SUBJECTS.items()}
    attention = str(said.get("attention") or "")
    return [far for far in found.values() if far and UNASKED not in far and far.rstrip(".") not in attention]


def pruned(data: Json) -> str:
    """Which weights can go first, as a sentence; empty where it was not asked or is unknown."""
    found = next((each for each in data.get("findings") or [] if each.get("code") == "FC312"), None)
    if not found:
        return ""
    if found.get("outcome") == "not applicable":
        return f"Pruning: not applicable ({found.get('why')})."
    return f"Pruning: {found.get('title')} (FC312)."


def undecided(data: Json) -> str:
    """Why there is no answer, and what would give one; empty if there is one."""
    verdict = content.verdict(data)
    return str(verdict.get("why") or "") if str(verdict.get("worth") or "").startswith("undecided") else ""


def unconverged(data: Json) -> str:
    """Why the training was too short to judge by; empty if it was not, or if nobody knows."""
    found = content.verdict(data).get("converged") or {}
    if found.get("passed") is not False:
        return ""
    gain = found.get("gain")
    fallback = f"a longer training gains {numbers.bound(gain)}" if numbers.known(gain) else "the training was too short"
    return str(found.get("sentence") or fallback)


def remarks(data: Json) -> list[str]:
    """Remarks on the numbers: what attention does, why it is undecided, what the windows can resolve."""
    why, short = undecided(data), unconverged(data)
    found = [attention(data), *reach(data), f"Why undecided: {why}" if why else ""]
    found += [f"Not converged: {short}" if short else "", str(content.verdict(data).get("resolution") or "")]
    return [each for each in found if each]


def failed(data: Json) -> list[Json]:
    """The findings that failed, and others that count as errors, the errors first."""
    found = [
        each
        for each in data.get("findings") or []
        if each.get("outcome") == "fail"
        or (each.get("severity") == "error" and each.get("outcome") not in {"pass", "not applicable"})
    ]
    return sorted(found, key=lambda each: each.get("severity") != "error")


def search_table(data: Json) -> Table:
    """What the search tried for every arm; no rows if there was none."""
    given = (data.get("protocol") or {}).get("search") or []
    losses = numbers.losses([row.get("validation_mse") for row in given])
    options = list(dict.fromkeys(name for row in given for name in row if name not in {"arm", *_SEARCHED}))
    rows = [
        [
            str(row.get("arm")),
            *("" if row.get(name) is None else content.written(row[name]) for name in options),
            losses[k],
            "chosen" if row.get("chosen") else "",
        ]
        for k, row in enumerate(given)
    ]
    names = [*(name.replace("_", " ") for name in options), "validation MSE"]
    columns = [Column("arm"), *(Column(name, right=True) for name in names), Column("")]
    return Table("Search", columns, [Group("", rows)] if rows else [], "Chosen on the validation part, for every arm.")


def _questions(answered: Json | None) -> dict[str, Json]:
    given = (answered or {}).get("questions") or []
    return {str(each["question"]): each for each in given if each.get("question")}


def _cell(question: Json) -> Cell:
    outcome = str(question.get("outcome") or "not asked")
    number = numbers.effect(question.get("effect"), question.get("interval"))
    return Cell(WORDS.get(outcome, outcome), outcome, number if numbers.known(question.get("effect")) else "")
