"""`forecheck checks`."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from forecheck.cli.lists import Json, table
from forecheck.cli.say import put


def checks(
    code: Annotated[str | None, typer.Argument(help="Explain this check, FC301 for example.")] = None,
    json: Json = False,
) -> None:
    """List the checks of an audit, or explain one of them."""
    from forecheck.auditing import pages
    from forecheck.auditing.catalogue import CHECKS, find_check

    if code is not None:
        check = find_check(code)
        if json:
            put(jsonlib.dumps(pages.describe_check(check), indent=1) + "\n")
            return
        from rich.console import Console
        from rich.markdown import Markdown

        console = Console()
        # Links lead nowhere on a terminal.
        console.print(Markdown(pages.page(check).replace("; [all checks](README.md)", "")))
        return
    described = [pages.describe_check(check) for check in CHECKS.values()]
    if json:
        put(jsonlib.dumps(described, indent=1) + "\n")
        return
    columns = ("code", "family", "slow", "title", "question")
    table(columns, [[check[column] for column in columns] for check in described])
