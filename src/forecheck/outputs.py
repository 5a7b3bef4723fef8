"""What a user asked to be written, where they asked for it: files, links, devices, and folders that stay."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from forecheck.errors import UsageError, writing
from forecheck.files import beside, flush_file, flush_folder, flush_tree, rename_folder

_NEXT = ".next"
_OLD = 86400.0  # seconds, after which nobody is still at work on a part
_NOT_BY_RENAMING = {errno.EACCES, errno.EBUSY, errno.EPERM, errno.EROFS, errno.EXDEV}


def write_output(path: Path | str, content: bytes) -> None:
    """Write a file as `>` of a shell does, but whole or not at all where there can be either.

    A device or a pipe is written to. A regular file is replaced in one step and keeps its mode and owner; of a link,
    the file that it points to. Where nothing can be renamed (a file that is mounted, a folder without permission), the
    file is written over.

    Raises:
        WriteError: if the system does not let it.
    """
    path = Path(path)
    with writing(path):
        status = _status(path)
        if status is not None and (stream := _standard(status)) is not None:
            stream.flush()
            stream.buffer.write(content)
            stream.flush()
        elif status is not None and not stat.S_ISREG(status.st_mode):
            with path.open("wb") as device:
                device.write(content)
        else:
            _replace(path.resolve(), content, status)


def check_output(path: Path) -> None:
    """Refuse before the work what cannot be written after it.

    Raises:
        UsageError: if the folder does not exist or cannot be written to, `path` is a folder, or its name is too long.
    """
    try:
        target = path.resolve()
        status = _status(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise UsageError(f"cannot write {path}: it is a folder")
        folder = target.parent
        if status is None and not folder.is_dir():
            raise UsageError(f"cannot write {path}: the folder {folder} does not exist")
    except (OSError, RuntimeError) as error:  # a name that is too long; links in a circle
        raise UsageError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
    if status is not None and os.access(path, os.W_OK):
        return
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise UsageError(f"cannot write {path}: no permission")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {path}: no permission to write to the folder {folder}")


def _status(path: Path) -> os.stat_result | None:
    """What a path leads to; None if there is nothing yet."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _standard(status: os.stat_result) -> TextIO | None:
    """Standard output or error if that is what a path leads to: opened anew, a file would lose what stands there."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or has no file
            if os.path.samestat(status, os.fstat(stream.fileno())):
                return stream
    return None


def _replace(target: Path, content: bytes, status: os.stat_result | None) -> None:
    """Put a file in place of one that may be there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent, f".{glob.escape(target.name[:40])}.*.part")
    part = beside(target)
    try:
        if status is not None:  # before anything is in it that others may not read
            part.touch(mode=0o600, exist_ok=False)
        part.write_bytes(content)
        if status is not None:
            with contextlib.suppress(PermissionError, AttributeError):  # not root's; no owners on this system
                os.chown(part, status.st_uid, status.st_gid)
            part.chmod(stat.S_IMODE(status.st_mode))
        flush_file(part)
        part.replace(target)
        flush_folder(target.parent)
    except OSError as error:
        if status is None or error.errno not in _NOT_BY_RENAMING:
            raise
        with target.open("r+b") as file:
            file.write(content)
            file.truncate()
            os.fsync(file.fileno())
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def update_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder with files, then put them in place of those of the same names in `folder`, together.

    The folder itself stays, so that it may be a mount point or the working folder. Within it the new files first
    become `.next`, in one step; from then on they are what the folder holds, and whoever comes by puts them in place
    (`finish_update`).

    Raises:
        WriteError: if the system does not let it.
    """
    with writing(folder):
        sweep(folder, f".{_NEXT}.*.part")
        part = beside(folder / _NEXT)
        part.mkdir()
        try:
            write(part)
            flush_tree(part)
            finish_update(folder)
            while not rename_folder(part, folder / _NEXT):  # somebody else was quicker
                finish_update(folder)
            flush_folder(folder)
            finish_update(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def finish_update(folder: Path) -> None:
    """Put files in their place that an update left in `.next`, as it was killed."""
    try:
        left = sorted((folder / _NEXT).iterdir())
    except (FileNotFoundError, NotADirectoryError):  # as nearly always
        return
    for file in left:
        with contextlib.suppress(FileNotFoundError):  # somebody else was quicker
            file.replace(folder / file.name)
    flush_folder(folder)
    with contextlib.suppress(OSError):  # gone, or holds somebody else's update already
        (folder / _NEXT).rmdir()


def is_progress(name: str) -> bool:
    """Whether a name in a folder is one of an update that was killed."""
    return name == _NEXT or (name.startswith(f".{_NEXT}.") and name.endswith(".part"))


def sweep(folder: Path, pattern: str) -> None:
    """Remove what was left, long ago, by processes that were killed while they wrote."""
    with contextlib.suppress(OSError):
        for part in folder.glob(pattern):
            if time.time() - part.stat().st_mtime > _OLD:
                shutil.rmtree(part) if part.is_dir() else part.unlink()
