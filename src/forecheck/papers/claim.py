"""A claim of a paper, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from forecheck.papers.experiment import Experiment, Row


class Verdict(StrEnum):
    """What our measurements say of a claim."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNEVEN = "uneven"
    UNTESTABLE = "not testable here"


@dataclass(frozen=True)
class Estimate:
    """Our number.

    Attributes:
        value: in the unit of the claim's quantity.
        low, high: its 95 % interval; None if there is none, as for numbers that are exact.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Table:
    """Numbers behind an outcome: every row has a cell a column, text or number."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Outcome:
    """What became of a claim.

    Attributes:
        verdict: of the claim as the paper makes it.
        found: what was found, in a sentence with its numbers; why, if it is not testable here.
        ours: our number for the claim's quantity.
        table: the numbers behind it.
        charts: drawings, see `forecheck.papers.plots`.
    """

    verdict: Verdict
    found: str
    ours: Estimate | None = None
    table: Table | None = None
    charts: Sequence[Mapping[str, Any]] = ()


Measured = Mapping[str, Sequence[Row]]
"""By experiment, its parts in their order."""


@dataclass(frozen=True)
class Claim:
    """What a paper says, and how it is tested.

    Attributes:
        id: unique in its paper, short: `E2`, `gap`.
        title: what is claimed, as a sentence.
        where: section, theorem, table of the paper; what it accompanies, if it is not the paper's.
        rule: what confirms it and what refutes it, written before it was measured.
        experiments: what is measured; none if it is not testable here at all, then `judge` says why.
        judge: gives the outcome of what was measured.
        quantity: what our number and the published one are, with its unit.
        published: the published number or range as text, empty if there is none.
        ours: not a claim of the paper: a control, or what we claim ourselves; it is counted apart.
    """

    id: str
    title: str
    where: str
    rule: str
    experiments: Sequence[Experiment]
    judge: Callable[[Measured], Outcome]
    quantity: str = ""
    published: str = ""
    ours: bool = False

    @property
    def claimed_by(self) -> str:
        """`paper` or `us`, as reports have it; there `ours` is our number."""
        return "us" if self.ours else "paper"


@dataclass(frozen=True)
class Paper:
    """A paper and its claims.

    Attributes:
        name: as given on the command line.
        title, authors: of the paper.
        source: where it appeared, with its number.
        about: what it is about, in a sentence or two.
        claims: in the paper's order.
        notes: what a reader has to know of all claims, such as that a model is a reconstruction.
    """

    name: str
    title: str
    authors: str
    source: str
    about: str
    claims: Sequence[Claim] = field(default=())
    notes: Sequence[str] = ()


def untestable(why: str) -> Callable[[Measured], Outcome]:
    """A judge of claims that cannot be tested here."""
    return lambda _: Outcome(Verdict.UNTESTABLE, why)
