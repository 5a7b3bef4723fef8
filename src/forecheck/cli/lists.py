"""`forecheck datasets` and `forecheck models`."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from typing import Annotated, Any

import typer

from forecheck.cli.say import put, say

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def datasets(json: Json = False) -> None:
    """List the named data sets: size, split, licence, and whether they are on this machine."""
    from forecheck.data import catalog

    sets = catalog.datasets()
    if json:
        rows = [asdict(one) | {"here": one.here} for one in sets]
        put(jsonlib.dumps(rows, indent=1, default=str) + "\n")
        return
    columns = ("name", "rows", "channels", "every", "split", "here", "about")
    table(columns, [[getattr(one, column) for column in columns] for one in sets])


def models(json: Json = False) -> None:
    """List the forecasters: source, parameters, what they mix, what an audit can edit, and options with defaults."""
    import forecheck as fc

    known = fc.models()
    if json:
        put(jsonlib.dumps(known, indent=1) + "\n")
        return
    from rich.console import Console
    from rich.padding import Padding

    console = Console(highlight=False)
    for model in known:
        console.print(f"[bold]{model['model']}[/]  {model['summary']}", soft_wrap=True)
        for line in _facts(model):
            console.print(Padding(line, (0, 0, 0, 4)), markup=False)
    console.print(
        "\nParameters are those for a lookback of 336, a horizon of 96 and 7 channels.\n"
        "Set an option with --set MODEL.OPTION=VALUE, as in --set nlinear.ridge=0.\n"
        "forecast and fit know combination, too: a mean of classical and linear methods.",
        markup=False,
    )


def _facts(model: dict[str, Any]) -> tuple[str, ...]:
    """Further facts on a forecaster, a line each."""
    options = ", ".join(f"{key}={_plain(value)}" for key, value in model["options"].items())
    fitted = "trained by gradient descent" if model["trained"] else "closed form"
    reached = model["attention"] or (
        f"black-box checks only: {model['why_not']}" if model["trained"] else "no attention"
    )
    return (
        f"{fitted}, {model['parameters']:,} parameters; {model['source']}",
        f"mixes: {model['mixes']}",
        f"audit: {reached}",
        f"remedies: {', '.join(model['remedies']) or 'none'}",
        f"options: {options or 'none'}",
    )


def _plain(value: Any) -> str:
    """An option's value as `--set` reads it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def table(columns: tuple[str, ...], rows: list[list[Any]]) -> None:
    """One line a row, however narrow the screen: it stays readable and can be searched."""
    cells = [columns, *([("no", "yes")[cell] if isinstance(cell, bool) else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
