"""`forecheck reproduce`."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from forecheck.cli import options as o
from forecheck.cli.say import put, say
from forecheck.outputs import write_output


def reproduce(
    papers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PAPER]...", help="Papers by name; with --budget alone all, with nothing a list."),
    ] = None,
    claim: Annotated[list[str] | None, typer.Option(help="A claim of the paper, by id; may be repeated.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="quick (all papers in a quarter of an hour on two cores; the default of a paper) or full; or "
            "finished, to run nothing and judge what is saved."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", dir_okay=False, help="Write a page with plots; of several papers an index, their pages beside it."
        ),
    ] = None,
    json: o.Json = None,
    markdown: o.Markdown = None,
    workers: o.Workers = None,
    engine: o.Engine = None,
    address: o.Address = None,
    store: o.StoreFolder = None,
    quiet: o.Quiet = False,
) -> None:
    """Test what papers claim: each claim ends confirmed, refuted, uneven or not testable here.

    Without arguments it lists papers and claims with their last verdicts. What is finished is saved; the same command
    goes on from there.

    For example:

      forecheck reproduce test-time-scaling

      forecheck reproduce curse-of-attention --claim E2 --budget full --html e2.html

      forecheck reproduce --budget quick --html papers.html
    """
    o.check_writable(html, markdown, json)
    if not papers and not claim and budget is None:
        _list(json, store)
        return
    import forecheck as fc
    from forecheck.progress.bar import Bar

    with Bar(quiet=quiet) as bars:
        report = fc.reproduce(
            papers or (),
            claim or (),
            budget or "quick",
            workers=o.read_workers(workers, engine, address),
            store=store,
            progress=bars,
        )
    o.write_report(report, json, html, markdown)


def _list(json: str | None, store: Path | None) -> None:
    """Print papers and claims, or write them as JSON."""
    from forecheck.verbs.reproduce import papers

    known = papers(store)
    text = jsonlib.dumps(known, indent=1, ensure_ascii=False)
    if json == "-":
        put(f"{text}\n")
        return
    from rich.console import Console

    from forecheck.papers.reports.text import listing

    Console().print(listing(known))
    if json is not None:
        write_output(json, f"{text}\n".encode())
        say(f"wrote {json}", err=True)
