"""Results under a URL, as object stores have them: each is one object, and a copy on this machine is what is read."""

from __future__ import annotations

import re
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from forecheck.errors import DataError, UsageError
from forecheck.files import beside, place_folder, remove_folder

_URL = re.compile(r"([A-Za-z][\w+.-]+):/+(.*)", re.DOTALL)  # a path holds one slash of two; one letter is a drive


def as_url(place: Path | str) -> str | None:
    """The URL that a place is, also if a path has swallowed one of its slashes; None for a folder."""
    found = _URL.fullmatch(place.as_posix() if isinstance(place, Path) else place)
    if found is None:
        return None
    scheme, rest = found.groups()
    return f"{scheme}://{'/' if scheme in _ROOTED else ''}{rest.rstrip('/')}"


_ROOTED = ("file", "local")
_FOLDERS = (*_ROOTED, "ftp", "hdfs", "sftp", "smb", "ssh", "webhdfs")
"""Where folders have to be made. Elsewhere a name is enough, and to make a folder may be to make a bucket."""


class Remote:
    """Results under a URL, through fsspec: `s3://`, `gs://`, `abfs://`, `sftp://` and others.

    Objects are not renamed, as folders of results are: a record and the checksums within say whether one is whole.

    Args:
        url: of the place; everything lies under it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._there: set[str] = set()

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """The file system, and the path of the place in it.

        Raises:
            UsageError: if there is no file system for such URLs, or a package is missing.
        """
        import fsspec

        try:
            system, path = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:  # which names the package
            raise UsageError(f"the store {self.url} needs another package: {error}", "Install it with pip.") from error
        except ValueError as error:
            do = f"Name a folder, or a URL of one of: {', '.join(sorted(fsspec.available_protocols()))}."
            raise UsageError(f"the store {self.url} cannot be opened: {error}", do) from error
        return system, path.rstrip("/")

    def check(self) -> None:
        """Write a small object and remove it, which is better tried before the work than after it.

        Raises:
            UsageError: if that cannot be done.
        """
        system, root = self._opened
        probe = f"{root}/probe.{secrets.token_hex(8)}"
        try:
            with self._reached():
                self._make_folder(probe)
                system.pipe_file(probe, b"forecheck")
                system.rm_file(probe)
        except DataError as error:
            raise UsageError(error.message, error.remedy) from error

    def send(self, name: str, folder: Path) -> None:
        """Write a result, in place of any that is there.

        Args:
            name: of the object, without its ending.
            folder: of the result.

        Raises:
            DataError: if the place cannot be reached, or does not let it.
        """
        system, root = self._opened
        part = beside(folder)
        try:
            with zipfile.ZipFile(part, "w", strict_timestamps=False) as packed:
                for path in sorted(each for each in folder.rglob("*") if each.is_file()):
                    packed.write(path, path.relative_to(folder).as_posix())
            with self._reached():
                where = f"{root}/{name}.zip"
                self._make_folder(where)
                system.put_file(str(part), where)
        finally:
            part.unlink(missing_ok=True)
        self._there.add(name)

    def keep(self, name: str, folder: Path) -> None:
        """Write a result unless one is there; asks once."""
        system, root = self._opened
        if name not in self._there:
            with self._reached():
                there = system.exists(f"{root}/{name}.zip")
            if there:
                self._there.add(name)
            else:
                self.send(name, folder)

    def fetch(self, name: str, folder: Path) -> bool:
        """Put a copy of a result in place of what is there; false if there is none, or it cannot be unpacked.

        Args:
            name: of the object, without its ending.
            folder: where the copy is to lie.

        Raises:
            DataError: if the place cannot be reached.
        """
        system, root = self._opened
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = beside(folder)

        def unpack(into: Path) -> None:
            with zipfile.ZipFile(part) as packed:
                packed.extractall(into)
            if folder.exists():
                remove_folder(folder)

        try:
            with self._reached():
                try:
                    system.get_file(f"{root}/{name}.zip", str(part))
                except FileNotFoundError:
                    return False
            place_folder(folder, unpack)
        except zipfile.BadZipFile:
            return False
        finally:
            part.unlink(missing_ok=True)
        self._there.add(name)
        return True

    def _make_folder(self, path: str) -> None:
        """The folder of an object, where there are folders."""
        if self.url.split("://")[0] in _FOLDERS:
            self._opened[0].makedirs(path.rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Say what failed, and where.

        Raises:
            DataError: whatever the file system raises.
        """
        try:
            yield
        except Exception as error:  # each kind of file system has its own errors
            why = (str(error).splitlines() or [""])[0] or type(error).__name__
            do = "See to the address, the network and the credentials; what is finished is saved on this machine."
            raise DataError(f"the store {self.url} does not answer as it should: {why}", do) from error
