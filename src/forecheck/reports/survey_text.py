"""A survey in the terminal: a table of models and sets, and a line on every cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from forecheck.reports import survey, text
from forecheck.reports.survey import Cell, Fact
from forecheck.reports.text import STYLES, clean

STYLES_OF_ANSWERS = {"yes": "blue", "no": "red", "not for its attention": "bold", "undecided": "yellow"}
STYLES_OF_ANSWERS |= {"failed": "bold red"}
LABEL = 13  # characters of the column that names the rows
CELL = 21  # characters of a cell: a sign, a number and its interval


def blocks(data: Mapping[str, Any], width: int, verbose: bool) -> Iterator[RenderableType]:
    """The counts, the table in as many blocks of sets as have room, and what every cell says; or every report.

    Args:
        data: the survey, as its JSON.
        width: of the terminal, in characters.
        verbose: whether the report of every cell follows.
    """
    yield Text(clean(survey.sentence(data)), style="bold")
    if said := survey.facts_sentence(data):
        yield Text(clean(said))
    at_once = max(1, (width - LABEL) // CELL)
    for first in range(0, len(survey.sets(data)), at_once):
        yield Padding(_table(data, slice(first, first + at_once), width), (1, 0, 0, 0))
    yield Padding(Text(survey.legend(), style="dim"), (1, 0, 0, 0))
    if sentence := survey.multiplicity(data):
        yield Text(sentence, style="dim")
    given = [cell for cell in survey.cells(data) if cell.said]
    if given:
        yield Padding(Text("Cells", style="bold"), (1, 0, 0, 0))
        yield from map(_line, given)
    if verbose:
        for cell in given:
            if cell.done and cell.data.get("report"):
                title = clean(f"{cell.model} on {cell.of}")
                yield Padding(Text(title, style="bold underline"), (2, 0, 1, 0))
                yield from text.blocks(cell.data["report"], width)
        yield Padding(text.facts(survey.protocol_facts(data)), (1, 0, 0, 0))


def _table(data: Mapping[str, Any], of: slice, width: int) -> Table:
    names = survey.sets(data)[of]
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    room = (width - LABEL) // len(names) - 1
    grid.add_column("", width=LABEL - 1, overflow="fold")
    for name in names:
        grid.add_column(Text(clean(name)), overflow="fold", max_width=room)
    rows = [(model, cells[of]) for model, cells in survey.table(data)]
    facts = [fact for _, cells in rows for cell in cells for fact in (cell.attention, cell.reference) if fact]
    # One number that does not fit puts all intervals on lines of their own.
    apart = any(len(_number(fact)) + 2 > room for fact in facts)
    for k, (model, cells) in enumerate(rows):
        if k:
            grid.add_row()
        grid.add_row(Text(clean(model), style="bold"), *map(_answer, cells))
        for name in ("attention", "reference"):
            given = [getattr(cell, name) for cell in cells]
            if any(given):
                grid.add_row(Text(f"  {name}", style="dim"), *(_written(fact, apart=apart) for fact in given))
    return grid


def _answer(cell: Cell) -> Text:
    return Text(clean(cell.word), style=STYLES_OF_ANSWERS.get(cell.kind, "dim"))


def _number(fact: Fact) -> str:
    return fact.effect.replace(" %", "") + ("*" if fact.holds else "")


def _written(fact: Fact | None, *, apart: bool) -> Text:
    if fact is None:
        return Text()
    said = Text(f"{fact.symbol} ", style=STYLES.get(fact.outcome, ""))
    said.append(_number(fact).replace(" [", "\n  [") if apart else _number(fact), style="default")
    return said.append(f"\n  {clean(fact.of)}", style="dim") if fact.of else said


def _line(cell: Cell) -> Text:
    said = Text(f"{survey.symbol(cell.word)} ", style=STYLES_OF_ANSWERS.get(cell.kind, "dim"))
    said.append(clean(f"{cell.model} on {cell.of}: "), style="default")
    return said.append(clean(cell.said), style="default" if cell.done else "dim")
