"""Whether everything in a store is as it was written: every checksum is computed anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from forecheck.files import remove_folder
from forecheck.progress import Progress
from forecheck.trials.record import RECORD, read_record
from forecheck.trials.runs import KINDS
from forecheck.trials.store import Store


@dataclass
class Health:
    """What was found in a store.

    Attributes:
        results: how many are whole.
        size: bytes of their files.
        damaged: folder of each that is not as it was written, and why.
        unfinished: what is being written, or was when its process was killed.
        mended: of the damaged, those that were removed.
        in_use: of the damaged, those that stay as another process uses them.
    """

    results: int = 0
    size: int = 0
    damaged: dict[Path, str] = field(default_factory=dict)
    unfinished: list[Path] = field(default_factory=list)
    mended: list[Path] = field(default_factory=list)
    in_use: list[Path] = field(default_factory=list)


def check_store(store: Store, *, mend: bool = False, progress: Progress | None = None) -> Health:
    """Read every file of a store and compare it with the checksum of when it was written.

    Args:
        store: read only, unless `mend`.
        mend: remove what is damaged, so that it is made anew; what another process uses stays.
        progress: called with the share that is done.

    Raises:
        UsageError: if it lies under a URL.
    """
    store.check_folder()
    found = Health()
    places = [(kind, folder) for kind in KINDS for folder in _places(store.root / kind)]
    for done, (kind, folder) in enumerate(places):
        if folder.name.startswith("."):
            found.unfinished.append(folder)
            continue
        found.unfinished += folder.glob(".*.part")
        why = _fault(folder, kind)
        if why and _fault(folder, kind) and folder.exists():  # looked at twice: it may just have been replaced
            found.damaged[folder] = why
            if mend:
                (found.mended if _remove(store, kind, folder) else found.in_use).append(folder)
        elif not why:
            found.results += 1
            found.size += sum(_sizes(folder))
        if progress is not None:
            progress((done + 1) / len(places), "store")
    return found


def _places(root: Path) -> Iterator[Path]:
    """Every address, and files where folders of addresses should be."""
    if root.exists() and not root.is_dir():
        yield root
        return
    for folder in sorted(root.glob("*")):
        yield from sorted(folder.glob("*")) if folder.is_dir() else [folder]


def _fault(folder: Path, kind: str) -> str:
    """Why a result does not count; empty if it does."""
    if not folder.is_dir():
        return "a file where a folder should be"
    record = read_record(folder)
    if record is None:
        return f"{RECORD} is missing, damaged, or of another result"
    if record.key.kind != kind:
        return f"{RECORD} is of a {record.key.kind}"
    bad = [name for name in record.files if not record.holds(folder, name)]
    return f"{', '.join(bad)} is not as it was written" if bad else ""


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        try:
            yield path.stat().st_size if path.is_file() else 0
        except OSError:  # it is just being removed
            continue


def _remove(store: Store, kind: str, folder: Path) -> bool:
    """Remove a result unless another process uses it."""
    name = f"{kind} {folder.name}"
    if not store.locks.alone(name):
        return False
    try:
        remove_folder(folder)
    finally:
        store.locks.release(name)
    return True
