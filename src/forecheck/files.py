"""Files and folders that appear whole or not at all, even if the machine stops: flushed before they are renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


def home() -> Path:
    """Where forecheck keeps what it makes: `FORECHECK_HOME`, else the user's cache folder."""
    if os.environ.get("FORECHECK_HOME"):
        return Path(os.environ["FORECHECK_HOME"]).expanduser()
    import pooch

    return Path(pooch.os_cache("forecheck"))


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, then put it in `path`'s place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path)
    try:
        write(part)
        _flush(part)
        part.replace(path)
        _flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def replace_folder(path: Path, write: Callable[[Path], None], *, instead: bool = False) -> None:
    """Let `write` fill a folder beside `path`, then rename it to `path`.

    Args:
        path: of the folder; any number of processes may write the same one at once.
        write: is handed the path of an empty folder.
        instead: whether the new folder replaces one that is there already; else that one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path)
    part.mkdir()
    try:
        write(part)
        for folder, _, names in os.walk(part):
            for name in names:
                _flush(Path(folder, name))
            _flush_folder(Path(folder))
        while not _renamed(part, path) and instead:
            remove_folder(path)
        _flush_folder(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Take a folder away: first its name, so that nobody finds half of it."""
    old = beside(path)
    with contextlib.suppress(FileNotFoundError):  # somebody else was quicker
        path.rename(old)
    shutil.rmtree(old, ignore_errors=True)


def beside(path: Path) -> Path:
    """A name beside `path` that nobody else uses; of work in progress, or of what is on its way out."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def checksum(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _renamed(part: Path, path: Path) -> bool:
    """Rename a folder; false if there is another of that name."""
    try:
        part.rename(path)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    return True


def _flush(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    """Make renames in a folder last; systems that cannot open folders see to that themselves."""
    try:
        opened = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
