"""Files of named sets: found in the user's folder or in the cache, else downloaded; verified by checksum."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pooch

from forecheck.data.reading.files import unpacked
from forecheck.data.source import Source
from forecheck.errors import DataError
from forecheck.files import home


@dataclass(frozen=True)
class Remote:
    """A file of a public repository.

    Attributes:
        repository: owner/name on GitHub.
        commit: the commit it is pinned to.
        path: its path there.
        place: its path in a folder that is laid out set by set.
        sha256: digest of the plain (unpacked) file; empty if not known.
        member: the file's path inside the archive at `path`, if that is a ZIP archive.
    """

    repository: str
    commit: str
    path: str
    place: str
    sha256: str = ""
    member: str = ""

    @property
    def url(self) -> str:
        """Address of the file."""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"

    @property
    def plain_name(self) -> str:
        """Bare name of the unpacked file."""
        return PurePosixPath(self.member or self.path).name.removesuffix(".gz")


def folders() -> list[Path]:
    """Where sets are looked for: `FORECHECK_DATA`, then the cache."""
    own = os.environ.get("FORECHECK_DATA")
    return [*([Path(own).expanduser()] if own else []), cache()]


def cache() -> Path:
    """Where downloads go: `FORECHECK_HOME`/datasets, else the user's cache folder."""
    return home() / "datasets"


def find(remote: Remote) -> Path | None:
    """The file in one of the folders: at the origin's path, at its place, or by bare name, plain or gzipped."""
    for folder in folders():
        for relative in (remote.path, remote.place, PurePosixPath(remote.path).name, remote.plain_name):
            plain = folder / relative.removesuffix(".gz")
            for path in (plain, plain.with_name(plain.name + ".gz")):
                if path.is_file():
                    return path
    return None


def content(remote: Remote, source: Source) -> bytes:
    """The plain bytes of the file, downloaded if it is not here.

    Raises:
        DataError: if it is neither here nor to be had, or if its checksum is another; the message says where it may
            be put, or names both digests.
    """
    path = find(remote)
    if path is not None:
        return _verified(path, remote, source)
    path = _download(remote, source)
    try:
        return _verified(path, remote, source)
    except DataError:
        path.unlink()  # or every later call would find the same bad file
        raise


def _verified(path: Path, remote: Remote, source: Source) -> bytes:
    if path.suffix == ".zip":
        try:
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
                data = archive.read(remote.member)
        except (zipfile.BadZipFile, KeyError, OSError) as error:
            raise DataError(
                f"{path} is damaged or does not hold {remote.member}: {error}", "Fetch it again."
            ) from error
    else:
        data = unpacked(path, source)
    digest = hashlib.sha256(data).hexdigest()
    if remote.sha256 and digest != remote.sha256:
        raise DataError(
            f"{path} is not {source.name} as catalogued: its SHA-256 (unpacked) is {digest}, expected {remote.sha256}",
            f"Fetch it again from {remote.url}, or read it as a file of your own by its path.",
        )
    return data


def _download(remote: Remote, source: Source) -> Path:
    pooch.get_logger().setLevel(logging.WARNING)  # at INFO it prints a digest and advice meant for developers
    try:
        fetched = pooch.retrieve(
            remote.url, known_hash=None, fname=PurePosixPath(remote.path).name, path=cache(), progressbar=False
        )
    except (OSError, ValueError) as error:
        # requests says at length what a user without network sees at a glance.
        offline = type(error).__module__.startswith("requests") and type(error).__name__ == "ConnectionError"
        reason = "no connection" if offline else (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{source.name} is not on this machine, and {remote.url} could not be fetched: {reason}",
            f"Put the file at {cache() / remote.plain_name} (plain or .gz), or set FORECHECK_DATA to a folder that "
            f"holds {remote.place} or {remote.plain_name}.",
        ) from error
    return Path(fetched)
