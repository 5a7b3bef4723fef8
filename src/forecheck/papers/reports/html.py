"""A reproduction as offline HTML pages: one a paper, and of several papers an index that leads to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from forecheck.papers.reports import outcomes
from forecheck.reports import charts, numbers
from forecheck.reports.html import fill
from forecheck.reports.names import distinct, plain
from forecheck.reports.tables import Table, given_table

Json = Mapping[str, Any]

LONG = 16  # signs of a published number from which it is set as text
MOST_ROWS = 40  # of the table of a claim
MOST_BYTES = 450_000  # of a page; beyond it the tables of numbers are left out


@dataclass(frozen=True)
class Claim:
    """A claim as its page shows it.

    Attributes:
        data: the claim itself.
        anchor: its place on the page of its paper.
        link: where that is, seen from this page; empty if there is no such page.
        ours: our number and its interval, both empty if there is none.
        published: the paper's number, short enough for a cell.
        charts: drawings.
        table: the numbers behind it.
    """

    data: Json
    anchor: str
    link: str
    ours: tuple[str, str]
    published: str
    charts: list[charts.Chart]
    table: Table

    @property
    def is_ours(self) -> bool:
        """Whether it is not the paper's."""
        return outcomes.is_ours(self.data)

    @property
    def long(self) -> bool:
        """Whether the published number is rather a text."""
        return len(str(self.data.get("published") or "")) > LONG


@dataclass(frozen=True)
class Paper:
    """A paper as its page and the index show it; `link` leads to its page, if there is one; `beside` counts ours."""

    data: Json
    counts: dict[str, int]
    beside: str
    claims: list[Claim]
    link: str

    @property
    def about(self) -> str:
        """Authors and source on one line."""
        return ". ".join(str(self.data[name]) for name in ("authors", "source") if self.data.get(name))


def pages(data: Json, file: str | None = None) -> dict[str, str]:
    """The pages by the names of their files, the first one first: the paper's, or an index of several papers.

    Args:
        data: a reproduction.
        file: the name of the first page's file; without it an index has no pages beside it.
    """
    given = outcomes.papers(data)
    if len(given) == 1:
        return {file or "": _page(data, _paper(given[0], drawn=True), "")}
    names = _names(given, PurePath(file).stem) if file is not None else []
    listed = [_paper(paper, link) for paper, link in zip(given, map(quote, names or [""] * len(given)), strict=True)]
    found = {file or "": _index(data, listed)}
    for paper, name in zip(given, names, strict=False):
        found[name] = _page(data, _paper(paper, drawn=True), quote(str(file)))
    return found


def _index(data: Json, papers: Sequence[Paper]) -> str:
    given = outcomes.claims(data)
    return fill("papers.html", data, _shared(data, given, f"{len(papers)} papers") | {"papers": papers}, __package__)


def _page(data: Json, paper: Paper, back: str) -> str:
    given = [claim.data for claim in paper.claims]
    shared = _shared(data, given, str(paper.data.get("name"))) | {"paper": paper, "back": back}
    page = fill("paper.html", data, shared | {"full": True}, __package__)
    return page if len(page.encode()) <= MOST_BYTES else fill("paper.html", data, shared | {"full": False}, __package__)


def _shared(data: Json, claims: Sequence[Json], where: str) -> dict[str, Any]:
    return {
        "where": f"{where} · {outcomes.budget(data)}",
        "head": outcomes.sentence(claims),
        "verdict": {},
        "counts": [(name, outcomes.counts(claims).get(name, 0)) for name in outcomes.VERDICTS],
        "beside": outcomes.ours_sentence(claims),
        "nothing": numbers.NOTHING,
        "environment": outcomes.environment(data),
    }


def _paper(data: Json, link: str = "", *, drawn: bool = False) -> Paper:
    """A paper; what belongs to its own page alone is only made if it is `drawn`."""
    given = data.get("claims") or []
    anchors = distinct([plain(each.get("id")) for each in given])
    claims = []
    for claim, anchor in zip(given, anchors, strict=True):
        place = f"claim-{anchor}"
        to = f"{link}#{place}" if drawn or link else ""
        caption = f"{claim.get('id')}: the numbers behind it"
        table = given_table(claim.get("table") if drawn else None, caption, MOST_ROWS)
        drawings = charts.of_claim(claim) if drawn else []
        claims.append(Claim(claim, place, to, outcomes.ours(claim), outcomes.published(claim), drawings, table))
    return Paper(data, outcomes.counts(given), outcomes.ours_sentence(given), claims, link)


def _names(papers: Sequence[Json], stem: str) -> list[str]:
    """The files of the papers' pages, each of them beside the index whatever a paper is called."""
    return [f"{stem}-{name}.html" for name in distinct([plain(paper.get("name")) for paper in papers])]
