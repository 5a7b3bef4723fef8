"""A reproduction as a Markdown page: a table of claims for every paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forecheck.papers.reports import outcomes
from forecheck.reports import numbers
from forecheck.reports.markdown import escape, facts, paragraph, table
from forecheck.reports.tables import Column, Group, Table


def render(data: Mapping[str, Any]) -> str:
    """GitHub's Markdown: how many claims came out which way, every paper, then how it was run."""
    return "\n\n".join(block for block in _blocks(data) if block) + "\n"


def _blocks(data: Mapping[str, Any]) -> Iterator[str]:
    given = outcomes.papers(data)
    said = outcomes.sentence(outcomes.claims(data))
    yield f"# Papers' claims tested: {escape(said)}"
    if len(given) > 1:
        yield table(_summary(given))
    for paper in given:
        yield f"## {escape(paper.get('title'))}"
        yield ". ".join(escape(paper[key]) for key in ("authors", "source") if paper.get(key)) + "."
        yield paragraph(paper.get("about") or "")
        yield table(_claims(paper))
        yield "\n".join(f"- {escape(note)}" for note in paper.get("notes") or [])
    yield "## How it was run"
    yield facts(outcomes.environment(data))


def _summary(papers: list[Mapping[str, Any]]) -> Table:
    """How many claims of each paper came out which way; ours stand apart."""
    rows = []
    for paper in papers:
        given = paper.get("claims") or []
        found, ours = outcomes.counts(given), outcomes.counts(given, ours=True)
        numbers_ours = f"{ours.get(outcomes.VERDICTS[0], 0)} of {sum(ours.values())}"
        rows.append([str(paper.get("name")), *(str(found.get(name, 0)) for name in outcomes.VERDICTS), numbers_ours])
    columns = [Column("paper"), *(Column(name, right=True) for name in (*outcomes.VERDICTS, "of ours, confirmed"))]
    return Table("", columns, [Group("", rows)])


def _claims(paper: Mapping[str, Any]) -> Table:
    """Every claim with what it says and what was found."""
    rows = []
    for claim in paper.get("claims") or []:
        value = " ".join(filter(None, outcomes.ours(claim)))
        rows.append(
            [
                f"{claim.get('id')}{' (ours)' if outcomes.is_ours(claim) else ''}",
                " ".join(filter(None, (str(claim.get("title") or ""), _in_brackets(claim.get("where"))))),
                str(claim.get("verdict")),
                str(claim.get("found") or ""),
                str(claim.get("quantity") or ""),
                str(claim.get("published") or numbers.NOTHING),
                value or numbers.NOTHING,
            ]
        )
    names = ("id", "claim", "verdict", "found", "quantity", "published", "ours [95 % interval]")
    return Table("", [Column(name) for name in names], [Group("", rows)])


def _in_brackets(where: Any) -> str:
    return f"({where})" if where else ""
