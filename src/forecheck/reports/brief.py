"""A report in thirty lines: what a terminal shows unless everything is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from forecheck.reports import content, headline, tables, text
from forecheck.reports.text import STYLES, clean

MOST_LINES = 29  # and one that tells how to get the rest
MOST_FAILED = 6
LEAST_FAILED = 3
MOST_MODELS = 10
MOST_REMEDIES = 4
LONGEST_NAME = 40
# Characters that a text may take, for it to leave room for the others; the rest stands in the full report.
LONGEST = {"sentence": 380, "attention": 370, "why": 460, "converged": 170, "advice": 270}


def blocks(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """The answer, the numbers it rests on, what stands against it, and what to do."""
    verdict = content.verdict(data)
    above: list[RenderableType] = [
        Text(_clipped("sentence", verdict.get("sentence") or content.where(data)), style="bold")
    ]
    below: list[RenderableType] = []
    if verdict.get("advice"):
        below.append(Padding(Text(f"What to do: {_clipped('advice', verdict['advice'])}"), (1, 0, 0, 0)))
    if data["kind"] == "audit":
        above += [*_numbers(data, width), *_against(data), *_remedies(data, width)]
        used = len(text.render([*above, *below], width).splitlines())
        above += _failed(headline.failed(data), min(max(MOST_LINES - used - 2, LEAST_FAILED), MOST_FAILED))
    else:
        above += _leaderboard(data, width)
    yield from [*above, *below]


def _numbers(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    shown = content.effects(data)
    if shown:
        names = ("", "change of test MSE", "", "")
        rows = [
            [key.label, f"{key.value} {key.interval}".rstrip(), key.outcome, _cut(clean(key.detail))] for key in shown
        ]
        yield Padding(_grid(names, rows, width), (1, 0, 0, 0))


def _against(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What attention does, which weights can go, why it is undecided, and what did not converge."""
    if attention := [each for each in (headline.attention(data), *headline.reach(data)) if each]:
        yield Text(_clipped("attention", " ".join(attention)))
    lines = []
    if cut := headline.pruned(data):
        lines.append(Text(_clipped("converged", cut)))
    if why := headline.undecided(data):
        lines.append(Text(f"Why undecided: {_clipped('why', why)}"))
    if short := headline.unconverged(data):
        lines.append(Text(f"Not converged: {_clipped('converged', short)}"))
    if notes := data.get("protocol", {}).get("notes"):
        lines.append(Text(f"Note: {_clipped('converged', '; '.join(map(str, notes)))}"))
    yield from _apart(lines)


def _remedies(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """Whether attention contributes more with a remedy: the model without any, and the first ones that were tried."""
    found = data.get("remedies")
    if not found:
        return
    given = [found["base"], *found["rows"]]
    rows = [
        [str(row.get("name")), tables.answered(row.get("contribution")), tables.answered(row.get("growth"))]
        for row in given[: 1 + MOST_REMEDIES]
    ]
    yield Padding(_grid(("remedy", "attention's contribution", "grows?"), rows, width), (1, 0, 0, 0))
    if len(given) > len(rows):
        yield Text(f"and {len(given) - len(rows):,} more", style="dim")


def _failed(findings: Sequence[Mapping[str, Any]], most: int) -> Iterator[RenderableType]:
    lines = []
    for finding in findings[:most]:
        outcome = clean(content.outcome_word(finding.get("outcome"), finding.get("family")))
        line = Text(outcome, style=STYLES.get(outcome, ""), no_wrap=True, overflow="ellipsis")
        line.append(f"  {clean(finding.get('code'))} {clean(finding.get('title'))}", style="default")
        lines.append(line)
    if len(findings) > most:
        lines.append(Text(f"and {len(findings) - most:,} more", style="dim"))
    yield from _apart(lines)


def _apart(lines: Sequence[Text]) -> Iterator[RenderableType]:
    """Lines with an empty one above the first."""
    for k, line in enumerate(lines):
        yield Padding(line, (0 if k else 1, 0, 0, 0))


def _leaderboard(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """The best models, a line each."""
    board = tables.models_table(data)
    names = ("model", "MSE", "MSE against the chosen", "outcome", "time")
    board = tables.without(board, {column.name for column in board.columns} - set(names))
    if board.rows:
        columns = [column.name for column in board.columns]
        yield Padding(_grid(columns, board.rows[:MOST_MODELS], width), (1, 0, 0, 0))
        if len(board.rows) > MOST_MODELS:
            yield Text(f"and {len(board.rows) - MOST_MODELS:,} more", style="dim")
        yield Text(clean(board.note), style="dim")


def _grid(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table:
    """Cells of one line each. Where there is no room the last columns are left out; a name is cut, a number never."""
    cells = [[clean(cell) for cell in row] for row in rows]
    sizes = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    sizes[0] = min(sizes[0], LONGEST_NAME)
    while len(sizes) > 2 and sum(sizes) + 2 * len(sizes) > width:
        sizes.pop()
    sizes[0] = max(min(sizes[0], width - sum(sizes[1:]) - 2 * len(sizes)), 4)
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for k, (name, size) in enumerate(zip(names, sizes, strict=False)):
        right = all(row[k][:1].isdigit() for row in cells)
        grid.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=size if k else None,
            max_width=size,
        )
    for row in cells:
        grid.add_row(*(Text(cell, style=STYLES.get(cell, "") if k else "") for k, cell in enumerate(row[: len(sizes)])))
    return grid


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _clipped(part: str, value: Any) -> str:
    """A text of the length that its part of the report may have, cut between words."""
    said, most = clean(value), LONGEST[part]
    return said if len(said) <= most else f"{said[: most - 2].rsplit(' ', 1)[0]} …"
