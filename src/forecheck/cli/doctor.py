"""`forecheck doctor`."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from forecheck.cli import options as o
from forecheck.cli.lists import Json
from forecheck.cli.runs import size_in_words
from forecheck.cli.say import put, say

_MOST = 10


def doctor(
    mend: Annotated[bool, typer.Option("--mend", help="Remove damaged results, so that they are made anew.")] = False,
    store: o.StoreFolder = None,
    json: Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Does this installation work? Versions, threads, linear algebra, devices, extras, and every file of the store.

    The exit code is 1 if something is wrong.
    """
    from forecheck.progress.bar import Bar
    from forecheck.verbs.doctor import doctor as verb

    with Bar(quiet=quiet) as bar:
        found = verb(store, mend=mend, progress=lambda done, word: bar.part(word, round(100 * done), 100))
    if json:
        put(jsonlib.dumps(found, indent=1) + "\n")
    else:
        for line in _lines(found):
            say(line)
    if not found["healthy"]:
        raise typer.Exit(1)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"forecheck {found['forecheck']}"
    yield from _folded("packages", [f"{name} {have or 'missing'}" for name, have in found["versions"].items()])
    there = [f"{name} {'yes' if extra['installed'] else 'no'}" for name, extra in found["extras"].items()]
    yield from _folded("extras", there)
    if found["machine"]:
        yield from _of_machine(found["machine"])
    if found["store"]:
        yield from _of_store(found["store"])
    problems = found["problems"]
    for problem in problems[:_MOST]:
        yield f"\nwrong: {problem['what']}\n  {problem['do']}"
    if len(problems) > _MOST:
        yield f"\nand {len(problems) - _MOST:,} more, which --json lists"
    if not problems:
        yield "nothing is wrong"


def _of_machine(machine: dict[str, Any]) -> Iterator[str]:
    yield f"machine    Python {machine['python']}, {machine['system']} {machine['architecture']}"
    yield f"cores      {machine['usable cores']} of {machine['cores']}"
    settings = [f"{name}={value}" for name, value in machine["environment"].items()]
    yield from _folded("threads", [f"{machine['threads']} a process", *settings])
    yield f"algebra    numpy: {machine['blas']['numpy']}, torch: {machine['blas']['torch']}"
    yield f"devices    {'; '.join(machine['devices'])}"


def _of_store(store: dict[str, Any]) -> Iterator[str]:
    if store["url"]:
        yield f"store      {store['url']}, copies of which are in"
    yield f"{'' if store['url'] else 'store':<11}{store['folder']}"
    many = "result as it was" if store["results"] == 1 else "results as they were"
    yield f"           {store['results']:,} {many} written ({size_in_words(store['size'])})"
    if left := len(store["unfinished"]):
        yield f"           {left:,} being written, or left by a kill: forecheck runs --prune removes what is left"
    if store["mended"]:
        yield f"           {len(store['mended']):,} damaged, removed"


def _folded(head: str, items: list[str], width: int = 88) -> Iterator[str]:
    """A heading and its items, in lines of at most `width` characters."""
    line = f"{head:<11}"
    for place, item in enumerate(items):
        text = item + (", " if place + 1 < len(items) else "")
        if len(line) + len(text.rstrip()) > width and line.strip() != head:
            yield line.rstrip()
            line = " " * 11
        line += text
    yield line.rstrip()
