"""All of a report in the terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from forecheck.reports import content, headline, tables

STYLES = {"helps": "blue", "better": "blue", "hurts": "red", "worse": "red", "pass": "green", "fail": "bold red"}
STYLES |= {"no difference": "bold", "undecided": "yellow", "not applicable": "dim"}
STYLES |= {"confirmed": "green", "refuted": "red", "uneven": "yellow", "not testable here": "dim"}


def render(given: Iterable[RenderableType], width: int) -> str:
    """Blocks as plain text, without colour and without spaces at the end of a line."""
    file = io.StringIO()
    console = Console(file=file, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    for block in given:
        console.print(block)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def blocks(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """The parts of the report from top to bottom; no markup in a user's name is obeyed."""
    verdict = content.verdict(data)
    yield Text(clean(verdict.get("sentence")), style="bold")
    if verdict.get("advice"):
        yield Text(f"What to do: {clean(verdict['advice'])}")
    for said in headline.remarks(data):
        yield Text(clean(said))
    yield _keys(data)
    if headline.ladder_table(data).rows:
        yield from titled(headline.ladder_table(data), width)
    yield from _findings(data, width)
    if data["kind"] == "audit":
        shown = [tables.remedies_table(data), tables.arms_table(data, tables.without_heads(data))]
        shown.append(tables.horizon_table(data))
    else:
        shown = [tables.models_table(data), tables.pairs_table(data), tables.horizon_table(data)]
    for table in shown:
        if table.rows:
            yield from titled(table, width)
    yield _heading("Protocol", "")
    if tables.borders_table(data).rows:
        yield Padding(_grid(tables.borders_table(data), width), (0, 0, 1, 0))
    yield facts(content.protocol_facts(data))
    if headline.search_table(data).rows:
        yield from titled(headline.search_table(data), width)
    if tables.sites_table(data).rows:
        yield from titled(tables.sites_table(data), width)
    yield _heading("Environment", "")
    yield facts(content.environment_facts(data))


def _keys(data: Mapping[str, Any]) -> RenderableType:
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for key in content.keys(data):
        number = Text(key.value, style="bold").append(f" {key.interval}", style="not bold")
        outcome = Text(key.outcome, style=STYLES.get(key.outcome, ""))
        grid.add_row(Text(clean(key.label)), number, outcome, Text(clean(key.detail)))
    return Padding(grid, (1, 0, 0, 0))


def _heading(title: str, about: str) -> RenderableType:
    text = Text(title, style="bold")
    if about:
        text.append(f"  {about}", style="dim not bold")
    return Padding(text, (1, 0, 0, 0))


def _findings(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    for subject in content.subjects(data):
        yield _heading(subject.title, subject.about)
        for finding in subject.applicable:
            yield from _finding(finding, width)
        for finding in subject.not_applicable:
            yield Text(f"Not applicable: {clean(content.brief(finding))}", style="dim")
    if skipped := content.skipped(data):
        yield Padding(Text(clean(skipped), style="dim"), (1, 0, 0, 0))


def _finding(finding: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    code, outcome = clean(finding.get("code")), content.outcome_word(finding.get("outcome"), finding.get("family"))
    head = Text(f"{clean(finding.get('title'))}   ", style="bold")
    head.append(outcome, style=STYLES.get(outcome, "not bold"))
    if finding.get("severity") not in {None, "info"}:
        head.append(f"  ({finding['severity']})", style="not bold")
    lines = [head, *(Text(clean(finding[name])) for name in ("meaning", "why") if finding.get(name))]
    if finding.get("advice"):
        lines.append(Text(f"What to do: {clean(finding['advice'])}"))
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=5)
    grid.add_column(overflow="fold")
    for k, line in enumerate(lines):
        grid.add_row("" if k else Text(code, style="bold"), line)
    yield grid
    table = tables.finding_table(finding)
    if table.rows:
        yield Padding(_grid(table, width - 7), (0, 0, 0, 7))


def titled(table: tables.Table, width: int) -> Iterator[RenderableType]:
    """A table under its caption."""
    yield _heading(table.caption, "")
    yield _grid(table, width)
    if table.note:
        yield Text(clean(table.note), style="dim")


def _grid(table: tables.Table, width: int) -> RichTable:
    shown = _fitting(table, width)
    grid = RichTable(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for k in shown:
        column = table.columns[k]
        grid.add_column(column.name, justify="right" if column.right else "left", no_wrap=column.right, overflow="fold")
    for group in table.groups:
        if group.title:
            grid.add_row(Text(group.title, style="dim"))
        for row in group.rows:
            grid.add_row(*(Text(clean(row[k]), style=STYLES.get(row[k], "") if k else "") for k in shown))
    return grid


def _fitting(table: tables.Table, width: int) -> list[int]:
    """The columns that fit: those of lesser weight are left out from the right until the rest has room."""
    cells = [[column.name, *(row[k] for row in table.rows)] for k, column in enumerate(table.columns)]
    sizes = [min(max(len(cell) for cell in column), 30) + 2 for column in cells]
    shown = list(range(len(sizes)))
    for k in reversed(range(len(sizes))):
        if table.columns[k].wide and sum(sizes[i] for i in shown) > width:
            shown.remove(k)
    return shown


def facts(given: list[tuple[str, str]]) -> RenderableType:
    """Names and values, a line each."""
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in given:
        grid.add_row(Text(clean(name)), Text(clean(value)))
    return grid


def clean(value: Any) -> str:
    """On one line and without control characters, which could move the cursor or hide what stands there."""
    return "".join(sign if sign.isprintable() else " " for sign in str(value if value is not None else ""))
