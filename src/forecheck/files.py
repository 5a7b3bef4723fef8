"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def home() -> Path:
    """Where forecheck keeps what it makes: `FORECHECK_HOME`, else the user's cache folder."""
    if os.environ.get("FORECHECK_HOME"):
        return Path(os.environ["FORECHECK_HOME"]).expanduser()
    import pooch

    return Path(pooch.os_cache("forecheck"))


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, then put it in `path`'s place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def replace_folder(path: Path, write: Callable[[Path], None], *, instead: bool = False) -> None:
    """Let `write` fill a folder beside `path`, then rename it to `path`.

    A folder that is there already stays, or is replaced where the new one is wanted `instead`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        write(part)
        if instead and path.exists():
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(old)
            part.rename(path)
            shutil.rmtree(old)
            return
        try:
            part.rename(path)
        except OSError:
            if not path.exists():  # somebody else may have finished the same content first
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
