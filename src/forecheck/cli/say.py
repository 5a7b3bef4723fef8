"""What is printed: names from data and folders of others may hold what a terminal obeys, so it is written out."""

from __future__ import annotations

import sys

import typer

from forecheck.errors import printable


def say(text: str, *, err: bool = False) -> None:
    """Print a line for people."""
    typer.echo(printable(text), err=err)


def put(text: str) -> None:
    """Print data on standard output, as they are unless it is a terminal."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
