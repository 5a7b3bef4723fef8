"""A record: what a result is of and what it is, sealed by checksums of itself and of the files beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from forecheck.files import checksum
from forecheck.fingerprints import fingerprint

RECORD = "result.json"
_SEAL = '{"sha256": "%s",\n'


@dataclass(frozen=True)
class Key:
    """What a result is of.

    Attributes:
        kind: trial, checkpoint, part, verdict, calibration or panel.
        address: where it lies.
        what: in words.
        described: everything that decides the result but the code, as JSON types.
        modules: whose code makes the result, as far as they have a source file.
        code: fingerprint of the code.
    """

    kind: str
    address: str
    what: str
    described: Mapping[str, Any]
    modules: tuple[str, ...] = ()
    code: str = ""

    @classmethod
    def of(cls, kind: str, what: str, described: Mapping[str, Any], *modules: str) -> Key:
        """Of the code of modules, and of all that they import.

        Args:
            kind: trial, checkpoint, part, verdict, calibration or panel.
            what: the result is of, in words.
            described: everything that decides the result but the code, as JSON types.
            *modules: names of those whose code makes the result; without any the code does not count.
        """
        code = fingerprint(*modules) if modules else ""
        return cls(kind, address_of(described, code), what, described, modules, code)


def address_of(described: Mapping[str, Any], code: str) -> str:
    """SHA-256 of a canonical description and of the code that makes the result, 32 hexadecimal digits."""
    text = json.dumps({**described, "code": code}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Record:
    """A result.

    Attributes:
        key: what it is of.
        value: what it is, as JSON types.
        files: SHA-256 of every file beside the record, by its path from there.
    """

    key: Key
    value: Any
    files: Mapping[str, str]

    def whole(self, folder: Path) -> bool:
        """Whether every file is there as it was written."""
        return all(self.holds(folder, name) for name in self.files)

    def holds(self, folder: Path, name: str) -> bool:
        """Whether one file is there as it was written."""
        try:
            return checksum(folder / name) == self.files[name]
        except OSError:
            return False


def write_record(path: Path, key: Key, value: Any, files: Mapping[str, str]) -> None:
    """Write a record; its first line is the SHA-256 of all the others.

    Args:
        path: of the file.
        key: what the result is of.
        value: the result, as JSON types.
        files: SHA-256 of every file beside the record, by its path from there.
    """
    path.write_text(sealed(asdict(key) | {"files": dict(files), "value": value}), encoding="utf-8")


def sealed(described: Mapping[str, Any]) -> str:
    """An object as JSON, whose first line is the SHA-256 of all the others."""
    rest = json.dumps(described, indent=1, default=as_plain).removeprefix("{\n")
    return _SEAL % _digest(rest) + rest


def is_whole(text: str) -> bool:
    """Whether a text is as `sealed` wrote it."""
    seal, line_break, rest = text.partition("\n")
    return seal + line_break == _SEAL % _digest(rest)


def read_record(folder: Path) -> Record | None:
    """The record of a folder; None if it is not there, damaged, or lies under the address of another one."""
    try:
        text = (folder / RECORD).read_bytes().decode()
        if not is_whole(text):
            return None
        found = json.loads(text)
        key = Key(**{name: found[name] for name in Key.__dataclass_fields__} | {"modules": tuple(found["modules"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Record(key, found["value"], found["files"]) if key.address == folder.name else None


def as_plain(value: Any) -> Any:
    """What of numpy is among the numbers; `default` of `json.dumps`."""
    return value.tolist()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
