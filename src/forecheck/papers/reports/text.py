"""A reproduction in the terminal, and the list of all papers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from forecheck.papers.reports import outcomes
from forecheck.reports import content, numbers
from forecheck.reports.text import STYLES, clean

NARROW = 100  # below it an interval stands on a line of its own
NOT_RUN = "not run yet"


def blocks(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """One table of all claims, and how many came out which way; of a claim alone also what was found."""
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True)
    grid.add_column("claim", ratio=1, overflow="fold")
    published = any(claim.get("published") for claim in outcomes.claims(data))
    if published:
        grid.add_column("published", overflow="fold", max_width=max(width // 6, 10))
    grid.add_column(f"ours{' ' if width >= NARROW else chr(10)}[95 % interval]", no_wrap=True)
    grid.add_column("verdict", overflow="fold", max_width=19 if width >= NARROW else 14)
    for k, paper in enumerate(outcomes.papers(data)):
        if k:
            grid.add_row("")
        grid.add_row(Text(clean(paper.get("name")), style="bold"))
        for claim in paper.get("claims") or []:
            value, interval = outcomes.ours(claim)
            grid.add_row(
                _named(claim),
                *([Text(clean(outcomes.published(claim)))] if published else []),
                Text((" " if width >= NARROW else "\n").join(filter(None, (value or numbers.NOTHING, interval)))),
                _verdict(claim.get("verdict")),
            )
    yield grid
    given = outcomes.claims(data)
    if len(given) == 1:
        yield Padding(Text(clean(given[0].get("found"))), (1, 0, 0, 0))
    head = Text(outcomes.sentence(given), style="bold").append(
        f"  {clean(outcomes.budget(data))}", style="not bold dim"
    )
    yield Padding(head, (1, 0, 0, 0))


def listing(known: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Papers with their claims and what became of them last, as `forecheck.papers.run.list_papers` gives them."""
    longest = max((len(clean(claim["id"])) for paper in known for claim in paper["claims"]), default=0)
    parts: list[RenderableType] = []
    for k, paper in enumerate(known):
        head = Text(clean(paper["name"]), style="bold", no_wrap=True, overflow="ellipsis")
        head.append(f"  {clean(paper.get('title'))}", style="not bold")
        parts.append(Padding(head, (1 if k else 0, 0, 0, 0)))
        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(width=longest)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(width=len("· not testable here (quick)"), no_wrap=True, overflow="ellipsis")
        for claim in paper["claims"]:
            title = Text("ours: " if outcomes.is_ours(claim) else "", style="dim").append(
                clean(claim.get("title")), style="not dim"
            )
            grid.add_row(Text(clean(claim["id"])), title, _last(claim.get("last")))
        parts.append(Padding(grid, (0, 0, 0, 2)) if paper["claims"] else Text("  no claims", style="dim"))
    return Group(*parts)


def _named(claim: Mapping[str, Any]) -> Text:
    name = f"{clean(claim.get('id'))}{' (ours)' if outcomes.is_ours(claim) else ''}"
    return Text(name, style="bold").append(f"  {clean(claim.get('title'))}", style="not bold")


def _verdict(verdict: Any) -> Text:
    name = clean(verdict)
    return Text(f"{content.SYMBOLS.get(name, '·')} {name}", style=STYLES.get(name, ""))


def _last(last: Any) -> Text:
    """The last verdict with its budget."""
    if not isinstance(last, Mapping):
        return Text(NOT_RUN, style="dim")
    return _verdict(last.get("verdict")).append(f" ({clean(last.get('budget'))})", style="dim")
