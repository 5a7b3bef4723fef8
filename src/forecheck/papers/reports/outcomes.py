"""What stands in a reproduction of papers, in words; every renderer only sets it on its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from forecheck.reports import content, numbers

Json = Mapping[str, Any]

OURS = "us"
VERDICTS = ("confirmed", "refuted", "uneven", "not testable here")


def papers(data: Json) -> list[Json]:
    """The papers of a reproduction."""
    return list(data.get("papers") or [])


def claims(data: Json) -> list[Json]:
    """The claims of all papers."""
    return [claim for paper in papers(data) for claim in paper.get("claims") or []]


def is_ours(claim: Json) -> bool:
    """Whether a claim is not the paper's: a control, or what we claim ourselves."""
    return claim.get("claimed_by") == OURS


def counts(given: Iterable[Json], *, ours: bool = False) -> dict[str, int]:
    """How many of the papers' own claims have each verdict, without those that none has; or how many of ours."""
    found = Counter(str(claim.get("verdict")) for claim in given if is_ours(claim) is ours)
    return {name: found[name] for name in (*VERDICTS, *(name for name in found if name not in VERDICTS)) if found[name]}


def sentence(given: Sequence[Json]) -> str:
    """`31 claims confirmed, 9 refuted, 6 not testable here; beside them 15 claims of ours confirmed, 2 refuted`."""
    said = _listed(counts(given), ""), ours_sentence(given)
    return "; beside them ".join(filter(None, said)) or "no claims"


def ours_sentence(given: Sequence[Json]) -> str:
    """`15 claims of ours confirmed, 2 refuted`; empty if there are none."""
    return _listed(counts(given, ours=True), "of ours")


def _listed(found: Mapping[str, int], whose: str) -> str:
    parts = [f"{count} {name}" for name, count in found.items()]
    if not parts:
        return ""
    first, many = next(iter(found.items()))
    claims = " ".join(filter(None, (f"claim{'s' if many != 1 else ''}", whose)))
    return ", ".join([f"{many} {claims} {first}", *parts[1:]])


def verdict(data: Json) -> dict[str, Any]:
    """How the claims came out: a sentence, the counts of the papers' own, and those of ours.

    The outcome is that of a claim if there is one alone.
    """
    given = claims(data)
    outcome = given[0].get("verdict") if len(given) == 1 else None
    return {"outcome": outcome, "sentence": sentence(given), "counts": counts(given), "ours": counts(given, ours=True)}


def ours(claim: Json) -> tuple[str, str]:
    """Our number and its interval, both empty if there is none."""
    found = claim.get("ours")
    if not isinstance(found, Mapping) or not numbers.known(found.get("value")):
        return "", ""
    return numbers.estimate(found.get("value"), found.get("low"), found.get("high"))


def published(claim: Json, most: int = 60) -> str:
    """The published number for a cell, cut at `most` characters; a dash if there is none."""
    text = str(claim.get("published") or numbers.NOTHING)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def budget(data: Json) -> str:
    """How it was run: `budget quick, 35.0 s`."""
    return f"budget {data.get('budget')}, {numbers.seconds(data.get('seconds'))}"


def environment(data: Json) -> list[tuple[str, str]]:
    """The budget, the versions and the machine."""
    name = "time of the parts" if data.get("budget") == "finished" else "time"
    run = [("budget", str(data.get("budget"))), (name, numbers.seconds(data.get("seconds")))]
    return [*run, *content.environment_facts(data)]
