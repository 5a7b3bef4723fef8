"""Finished parts and last verdicts in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forecheck.papers.experiment import Part, Row
from forecheck.trials.record import Key
from forecheck.trials.store import Store


def part_key(paper: str, part: Part) -> Key:
    """What a part's result is stored under."""
    described = {"paper": paper, "experiment": part.experiment.name, "settings": dict(part.settings)}
    return Key.of("part", f"{paper}, {part.label}", described, part.experiment.measure.__module__)


def get_part(store: Store, paper: str, part: Part) -> Row | None:
    """Settings and numbers of a finished part, None if it is not finished (or damaged).

    Args:
        store: of results.
        paper: its name.
        part: the experiment and its settings.
    """
    record = store.read("part", part_key(paper, part).address)
    return None if record is None else {**part.settings, **record.value["measured"]}


def part_seconds(store: Store, paper: str, part: Part) -> float:
    """What a finished part took; 0 if it is not finished.

    Args:
        store: of results.
        paper: its name.
        part: the experiment and its settings.
    """
    record = store.read("part", part_key(paper, part).address)
    return 0.0 if record is None else float(record.value["seconds"])


def put_part(store: Store, paper: str, part: Part, measured: Mapping[str, Any], seconds: float) -> None:
    """Store a part's numbers.

    Args:
        store: of results.
        paper: its name.
        part: what was run.
        measured: what its function gave.
        seconds: what it took.

    Raises:
        ValueError: if one of the numbers is called like a setting; a row holds both.
    """
    if both := part.settings.keys() & measured.keys():
        raise ValueError(f"{part.label} measures what it is given: {', '.join(sorted(both))}")
    store.write(part_key(paper, part), {"seconds": round(seconds, 2), "measured": dict(measured)})


def get_verdict(store: Store, paper: str, claim: str) -> dict[str, Any] | None:
    """The last verdict on a claim with its budget and number; None if it was never tested.

    Args:
        store: of results.
        paper: its name.
        claim: its id.
    """
    record = store.read("verdict", _verdict_key(paper, claim).address)
    return None if record is None else record.value


def put_verdict(store: Store, paper: str, claim: str, verdict: Mapping[str, Any]) -> None:
    """Store the last verdict on a claim.

    Args:
        store: of results.
        paper: its name.
        claim: its id.
        verdict: with budget and number.
    """
    store.write(_verdict_key(paper, claim), dict(verdict))


def _verdict_key(paper: str, claim: str) -> Key:
    """Whatever the code, the last verdict is the last one."""
    return Key.of("verdict", f"{paper}, {claim}", {"paper": paper, "claim": claim})
