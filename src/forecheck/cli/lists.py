"""`forecheck datasets` and `forecheck models`."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def datasets(json: Json = False) -> None:
    """List the named data sets: size, split, licence, and whether they are on this machine."""
    from forecheck.data import catalog

    sets = catalog.datasets()
    if json:
        rows = [asdict(one) | {"here": one.here} for one in sets]
        typer.echo(jsonlib.dumps(rows, indent=1, default=str))
        return
    columns = ("name", "rows", "channels", "every", "split", "here", "about")
    _table(columns, [[getattr(one, column) for column in columns] for one in sets])


def models(json: Json = False) -> None:
    """List the forecasters: what each does, where it comes from, and its options with defaults."""
    from forecheck import verbs

    known = verbs.models()
    if json:
        typer.echo(jsonlib.dumps(known, indent=1))
        return
    rows = [
        [
            model["model"],
            model["summary"],
            "gradient descent" if model["trained"] else "closed form",
            ", ".join(f"{key}={value}" for key, value in model["options"].items()) or "none",
            model["source"],
        ]
        for model in known
    ]
    _table(("model", "what it does", "fitted by", "options (--set MODEL.OPTION=VALUE)", "source"), rows)


def _table(columns: tuple[str, ...], rows: list[list[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(("yes" if cell else "no") if isinstance(cell, bool) else str(cell) for cell in row))
    Console().print(table)
