"""What a store holds: listed, and removed where nothing needs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from forecheck.files import home, remove_folder
from forecheck.fingerprints import find_source, fingerprint
from forecheck.trials.record import RECORD, Key, read_record
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial

KINDS = ("trial", "checkpoint", "part", "verdict", "calibration", "panel")


@dataclass(frozen=True)
class Entry:
    """What lies under an address.

    Attributes:
        key: what it is of.
        folder: where it lies.
        size: bytes of all its files.
        made: when it was written, in seconds since 1970.
        used: whether the present code would use it; None if that cannot be said here, as the module of its forecaster
            is not loaded.
    """

    key: Key
    folder: Path
    size: int
    made: float
    used: bool | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        made = datetime.fromtimestamp(self.made, UTC).isoformat(timespec="seconds")
        about = {"kind": self.key.kind, "address": self.key.address, "what": self.key.what}
        return about | {"size": self.size, "made": made, "used": self.used}


@dataclass(frozen=True)
class Pruned:
    """What was removed, or would be.

    Attributes:
        removed: these are gone.
        in_use: these would be, but other processes use them.
    """

    removed: list[Entry]
    in_use: list[Entry]


def list_entries(store: Store) -> list[Entry]:
    """All that a store holds, by kind, the newest first. Files beside records are not read.

    Args:
        store: in a folder.

    Raises:
        UsageError: if it lies under a URL.
    """
    store.check_folder()
    used = _judge()
    found = [entry for kind in KINDS[:-1] for entry in _entries(store, kind, used)]
    wanted = _panels_of(entry for entry in found if entry.used is not False)
    panels = list(_entries(store, "panel", lambda key: key.address in wanted))
    names = {panel.key.address: panel.key.described.get("name") for panel in panels}
    found = [_on(entry, names.get(entry.key.described.get("data", ""))) for entry in found]
    return [*_parts(store), *_earlier(store), *found, *panels]


def _parts(store: Store) -> Iterator[Entry]:
    """Files that were being written beside a record by processes that were killed."""
    for kind in KINDS:
        for path in sorted((store.root / kind).glob("*/*/.*.part")):
            yield Entry(Key(kind, path.parent.name, "unfinished", {}), path, *_measured(path), used=False)


def _earlier(store: Store) -> Iterator[Entry]:
    """What versions without a store left beside it."""
    folder = store.root.with_name("ledger")
    if store.root == home() / "store" and folder.is_dir():
        yield Entry(Key("earlier", "ledger", "results of earlier versions", {}), folder, *_measured(folder), used=False)


def _on(entry: Entry, panel: str | None) -> Entry:
    """With the name of the panel that a trial is about, which the trial does not know."""
    return replace(entry, key=replace(entry.key, what=f"{entry.key.what}, {panel}")) if panel else entry


def prune(store: Store, *, older: float | None = None, everything: bool = False, dry_run: bool = False) -> Pruned:
    """Remove what the present code does not use, and panels that no result is left of.

    What another process uses stays: every process locks what it has read or written until it ends (`Locks`).

    Args:
        store: to remove from.
        older: seconds; whatever is older goes, too.
        everything: remove all.
        dry_run: remove nothing, and say what would be removed.
    """
    now, removed, in_use = time.time(), [], []
    left: list[Entry] = []
    for entry in list_entries(store):
        if entry.key.kind == "panel":  # they come last
            useless = entry.key.address not in _panels_of(left)
        else:
            useless = entry.used is False or (older is not None and now - entry.made > older)
        if not (useless or everything):
            left.append(entry)
        elif _remove(store, entry, dry_run=dry_run):
            removed.append(entry)
        else:
            in_use.append(entry)
            left.append(entry)
    return Pruned(removed, in_use)


def _remove(store: Store, entry: Entry, *, dry_run: bool) -> bool:
    name = f"{entry.key.kind} {entry.key.address}"
    if not store.locks.alone(name):
        return False
    try:
        if not dry_run:
            remove_folder(entry.folder)
    finally:
        store.locks.release(name)
    return True


def _entries(store: Store, kind: str, used: Callable[[Key], bool | None]) -> Iterator[Entry]:
    """Of one kind, the newest first; with what was left by processes that were killed while they wrote."""
    found = []
    for folder in (store.root / kind).glob("*/*"):
        record = read_record(folder)
        if record is not None and record.key.kind == kind:
            key, needed = record.key, used(record.key)
        else:
            hidden = folder.name.startswith(".")
            address = folder.name.split(".")[1] if hidden else folder.name
            key, needed = Key(kind, address, "unfinished" if hidden else "damaged", {}), False
        found.append(Entry(key, folder, *_measured(folder), needed))
    yield from sorted(found, key=lambda entry: -entry.made)


def _measured(folder: Path) -> tuple[int, float]:
    """Bytes of a folder, and when its record was written."""
    size, made = 0, 0.0
    for path in (folder, *folder.rglob("*")):
        try:
            status = path.stat()
        except FileNotFoundError:  # it is just being removed
            continue
        size += status.st_size if path.is_file() else 0
        made = status.st_mtime if path.name == RECORD or not made else made
    return size, made


def _panels_of(entries: Iterator[Entry] | Collection[Entry]) -> set[str]:
    """Panels that trials are about."""
    return {str(entry.key.described["data"]) for entry in entries if "data" in entry.key.described}


def _judge() -> Callable[[Key], bool | None]:
    """Whether the present code would use a result."""
    code_of = cache(fingerprint)

    def used(key: Key) -> bool | None:
        if any(not module.startswith("forecheck.") and find_source(module) is None for module in key.modules):
            return None
        if key.kind in ("trial", "checkpoint"):
            return _same_trial(key)
        return not key.modules or code_of(*key.modules) == key.code

    return used


def _same_trial(key: Key) -> bool:
    try:
        return Trial(**key.described).address == key.address
    except TypeError:  # trials had other fields
        return False
