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

from forecheck.errors import system_codes, writing

_TRIES = 5
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def home() -> Path:
    """Where forecheck keeps what it makes: `FORECHECK_HOME`, else the user's cache folder."""
    if os.environ.get("FORECHECK_HOME"):
        return Path(os.environ["FORECHECK_HOME"]).expanduser()
    import pooch

    return Path(pooch.os_cache("forecheck"))


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, then put it in `path`'s place in one step.

    It is written again if another process takes the folder away meanwhile, as one does that has finished the same fit.

    Raises:
        WriteError: if the system does not let it.
    """
    with writing(path):
        for left in reversed(range(_TRIES)):
            try:
                _replace(path, write)
            except Exception as error:
                if not left or errno.ENOENT not in system_codes(error):
                    raise
            else:
                return


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path)
    try:
        write(part)
        flush_file(part)
        if path.is_dir():  # damage: a file was there
            remove_folder(path)
        part.replace(path)
        flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def place_folder(path: Path, write: Callable[[Path], None]) -> bool:
    """Let `write` fill a folder beside `path`, then rename it to `path`; one that is there already stays.

    Args:
        path: of the folder; any number of processes may write the same one at once.
        write: is handed the path of an empty folder.

    Returns:
        Whether it was put there; false if there was another.

    Raises:
        WriteError: if the system does not let it.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = beside(path)
        part.mkdir()
        try:
            write(part)
            flush_tree(part)
            placed = rename_folder(part, path)
            flush_folder(path.parent)
            return placed
        finally:
            shutil.rmtree(part, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Take a folder, or a file in its place, away: first its name, so that nobody finds half of it."""
    old = beside(path)
    with contextlib.suppress(FileNotFoundError):  # somebody else was quicker
        path.rename(old)
    shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(OSError):
        old.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """A name beside `path` that nobody else uses; of work in progress, or of what is on its way out.

    It is drawn, so that threads, forks and containers that see one folder do not meet; and short, since the name of
    `path` may be as long as names can be.
    """
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")


def checksum(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rename_folder(part: Path, path: Path) -> bool:
    """Rename a folder; false if there is another of that name."""
    try:
        part.rename(path)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    return True


def flush_tree(folder: Path) -> None:
    """Make a folder with all that is in it last, and its files readable to whom the folder is."""
    for place, _, names in os.walk(folder):
        mode = Path(place).stat().st_mode & 0o666
        for name in names:
            Path(place, name).chmod(mode)  # safetensors lets nobody but the user read
            flush_file(Path(place, name))
        flush_folder(Path(place))


def flush_file(path: Path) -> None:
    """Make the contents of a file last."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Make renames in a folder last; systems that cannot open folders see to that themselves."""
    try:
        opened = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some shared file systems know no such thing
            raise
    finally:
        os.close(opened)
