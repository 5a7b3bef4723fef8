"""What stands in a reproduction of papers, in words; every renderer only sets it on its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from forecheck.reports import content, numbers

Json = Mapping[str, Any]

VERDICTS = ("confirmed", "refuted", "uneven", "not testable here")


def papers(data: Json) -> list[Json]:
    """The papers of a reproduction."""
    return list(data.get("papers") or [])


def claims(data: Json) -> list[Json]:
    """The claims of all papers."""
    return [claim for paper in papers(data) for claim in paper.get("claims") or []]


def counts(given: Iterable[Json]) -> dict[str, int]:
    """How many claims have each verdict, without those that none has."""
    found = Counter(str(claim.get("verdict")) for claim in given)
    return {name: found[name] for name in (*VERDICTS, *(name for name in found if name not in VERDICTS)) if found[name]}


def sentence(given: Iterable[Json]) -> str:
    """`31 claims confirmed, 9 refuted, 5 uneven, 6 not testable here`."""
    found = counts(given)
    parts = [f"{count} {name}" for name, count in found.items()]
    if not parts:
        return "no claims"
    first, many = next(iter(found.items()))
    return ", ".join([f"{many} claim{'s' if many != 1 else ''} {first}", *parts[1:]])


def verdict(data: Json) -> dict[str, Any]:
    """How the claims came out: a sentence, and the counts. The outcome is that of a claim if there is one alone."""
    given = claims(data)
    outcome = given[0].get("verdict") if len(given) == 1 else None
    return {"outcome": outcome, "sentence": sentence(given), "counts": counts(given)}


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


def told(data: Json) -> str:
    """How it was run: `budget quick, 35.0 s`."""
    return f"budget {data.get('budget')}, {numbers.seconds(data.get('seconds'))}"


def environment(data: Json) -> list[tuple[str, str]]:
    """The budget, the versions and the machine."""
    name = "time of the parts" if data.get("budget") == "finished" else "time"
    run = [("budget", str(data.get("budget"))), (name, numbers.seconds(data.get("seconds")))]
    return [*run, *content.environment_facts(data)]
