"""`forecheck runs`."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from forecheck.cli import options as o
from forecheck.cli.lists import Json, table
from forecheck.cli.say import put, say
from forecheck.errors import UsageError

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_USED = {True: "yes", False: "no", None: "unknown"}


def runs(
    prune: Annotated[bool, typer.Option("--prune", help="Remove what the present code no longer uses.")] = False,
    older: Annotated[
        str | None, typer.Option(help="With --prune: remove all that is older, too ([b]30d[/b], [b]12h[/b]).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="With --prune: remove all.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --prune: say what would be removed.")] = False,
    store: o.StoreFolder = None,
    json: Json = False,
) -> None:
    """List what is stored of earlier runs: what it is, its size and age, and whether it would be used again.

    What another process uses is never removed.

    For example:

      forecheck runs --prune --dry-run

      forecheck runs --prune --older 30d
    """
    if not prune and (older is not None or everything or dry_run):
        raise UsageError("--older, --all and --dry-run belong to --prune", "Write forecheck runs --prune ...")
    from forecheck.trials.store import Store
    from forecheck.verbs import runs as verbs

    root = str(Store(store).root)
    if prune:
        seconds = None if older is None else read_age(older)
        found = verbs.prune(store, older=seconds, everything=everything, dry_run=dry_run)
        _say_pruned(root, found, json=json, dry_run=dry_run)
        return
    known = verbs.runs(store)
    if json:
        put(jsonlib.dumps({"store": root, "size": _size(known), "runs": known}, indent=1) + "\n")
        return
    if known:
        table(_COLUMNS, [_row(each) for each in known])
    say(f"{_count(known)} in {root}")
    if unused := [each for each in known if each["used"] is False]:
        say(f"{_count(unused)} not used by the present code: forecheck runs --prune")


def read_age(text: str) -> float:
    """Seconds of `30d`.

    Raises:
        UsageError: if it is no age.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip())
    if found is None:
        raise UsageError(f"cannot read the age {text!r}", "Write 90m, 12h, 30d or 4w.")
    return float(found[1]) * _SECONDS[found[2]]


_COLUMNS = ("kind", "used", "size", "age", "what")


def _row(entry: dict[str, Any]) -> list[str]:
    age = (datetime.now(UTC) - datetime.fromisoformat(entry["made"])).total_seconds()
    return [entry["kind"], _USED[entry["used"]], size_in_words(entry["size"]), _age(max(age, 0.0)), entry["what"]]


def _say_pruned(root: str, found: dict[str, list[dict[str, Any]]], *, json: bool, dry_run: bool) -> None:
    removed, in_use = found["removed"], found["in_use"]
    if json:
        result = {"store": root, "dry_run": dry_run, "size": _size(removed), **found}
        put(jsonlib.dumps(result, indent=1) + "\n")
        return
    if removed and dry_run:
        table(_COLUMNS, [_row(each) for each in removed])
    say(f"{'would remove' if dry_run else 'removed'} {_count(removed)} from {root}")
    if in_use:
        say(f"another process uses {_count(in_use)}: left where {'it is' if len(in_use) == 1 else 'they are'}")


def _count(entries: Sequence[dict[str, Any]]) -> str:
    return f"{len(entries):,} result{'' if len(entries) == 1 else 's'} ({size_in_words(_size(entries))})"


def _size(entries: Sequence[dict[str, Any]]) -> int:
    return sum(entry["size"] for entry in entries)


def size_in_words(size: float) -> str:
    """In decimal units: `999 B`, `1.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} B" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _age(seconds: float) -> str:
    """The largest unit that is reached: `5 min`, `3 h`, `12 d`."""
    unit, word = next((each for each in ((86400, "d"), (3600, "h"), (60, "min")) if seconds >= each[0]), (1, "s"))
    return f"{seconds // unit:.0f} {word}"
