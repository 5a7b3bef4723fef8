"""`forecheck calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from forecheck.cli import options as o
from forecheck.cli.say import put, say


def calibrate(
    budget: Annotated[str, typer.Option(help="quick (minutes) or full (an hour): how many repetitions.")] = "quick",
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="A part: size, decisions, negative, real, recall, lag, events or equivalence; may be repeated."
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
    """Put the audit to data on which the right answer is known: can its verdicts be trusted?

    Exits with 1 if something does not keep its bound. What is finished is saved; the same command goes on from there.

    For example:

      forecheck calibrate --only size

      forecheck calibrate --budget full --markdown calibration.md
    """
    o.check_writable(markdown, json)
    import forecheck as fc
    from forecheck.progress.bar import Bar

    with Bar(quiet=quiet) as watcher:
        found = fc.calibrate(
            budget, only=only or (), workers=o.read_workers(workers, engine, address), store=store, progress=watcher
        )
    if json == "-":
        put(found.to_json())
    else:
        show(found)
        if json is not None:
            found.to_json(Path(json))
    if markdown is not None:
        found.to_markdown(markdown)
    for path in (None if json == "-" else json, markdown):
        if path is not None:
            say(f"wrote {path}", err=True)
    if not found.passed:
        raise typer.Exit(1)


def show(found: Any) -> None:
    """Print the checks of every part, and at the end whether all pass."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from forecheck.calibration.result import percent

    console = Console(highlight=False)
    styles = {True: "green", False: "bold red", None: "dim"}
    for part in found.parts:
        table = Table(title=part.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("what", overflow="fold")
        for column in ("ours [95 %]", "nominal", "of", ""):
            table.add_column(column, no_wrap=True, justify="right")
        for check in part.checks:
            name, *_, count, verdict = check.cells()
            ours = f"{percent(check.value)} \\[{100 * check.low:.1f}, {100 * check.high:.1f}]"
            nominal = f"{'≥' if check.above else '≤'} {percent(check.bound)}" if check.required else ""
            table.add_row(name, ours, nominal, count, f"[{styles[check.passed]}]{verdict}[/]")
        if part.checks:
            console.print(table)
        if part.skipped:
            console.print(f"{part.title}: not run, as {part.skipped}", markup=False)
    console.print("all pass" if found.passed else "NOT all pass", style="green" if found.passed else "bold red")
