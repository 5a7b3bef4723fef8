"""A survey as a Markdown page: the table, and a line on every cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forecheck.reports import survey
from forecheck.reports.markdown import escape, facts, paragraph
from forecheck.reports.survey import Cell, Fact


def render(data: Mapping[str, Any]) -> str:
    """GitHub's Markdown: how the cells came out, the table, how to read it, every cell, then how it was run."""
    return "\n\n".join(block for block in _blocks(data) if block) + "\n"


def _blocks(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {escape(survey.sentence(data))}"
    yield from table_blocks(data)
    said = cell_lines(data)
    yield "## Cells" if said else ""
    yield said
    yield "## How it was run"
    yield facts(survey.protocol_facts(data))


def table_blocks(data: Mapping[str, Any]) -> Iterator[str]:
    """The counts of both facts, the table, and how to read it."""
    yield paragraph(survey.facts_sentence(data))
    yield table(data)
    yield paragraph(survey.legend())
    yield paragraph(survey.multiplicity(data))


def cell_lines(data: Mapping[str, Any]) -> str:
    """What every audit says, or why there is none, as a list."""
    said = [cell for cell in survey.cells(data) if cell.said]
    return "\n".join(f"- **{escape(cell.model)} on {escape(cell.of)}**: {escape(cell.said)}" for cell in said)


def table(data: Mapping[str, Any]) -> str:
    """Rows are models, columns are sets; a cell has the answer and its two numbers, a line each."""
    names = survey.sets(data)
    lines = [f"| model | {' | '.join(map(escape, names))} |", "|---" * (len(names) + 1) + "|"]
    for model, cells in survey.table(data):
        lines.append(f"| {escape(model)} | {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    parts = [f"**{escape(cell.word)}**" if cell.done else escape(cell.word)]
    parts += [_fact("attention", cell.attention)] if cell.attention else []
    parts += [_fact(cell.reference.of or "reference", cell.reference)] if cell.reference else []
    return "<br>".join(parts)


def _fact(name: str, fact: Fact) -> str:
    mark = "\\*" if fact.holds else ""
    return f"{escape(name)} {fact.symbol} {escape(fact.effect)}{mark}"
