"""Which code a measurement rests on: what is kept of other code does not count."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

_SOURCES = Path(__file__).parents[2]
_PACKAGE = "forecheck"


@cache
def fingerprint(module: str) -> str:
    """SHA-256 of the sources of a module and of all of ours that it imports, at any depth.

    Modules that are found by name while running, as forecasters are, are not seen; the ledger versions their results.
    """
    seen: dict[str, bytes] = {}
    left = [module]
    while left:
        name = left.pop()
        path = _path(name)
        if name not in seen and path is not None:
            seen[name] = path.read_bytes()
            left += _imports(seen[name])
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name] + b"\0")
    return digest.hexdigest()[:16]


def _path(name: str) -> Path | None:
    """The file of a module of ours; None for a name inside a module."""
    place = _SOURCES.joinpath(*name.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.exists():
            return path
    return None


def _imports(source: bytes) -> list[str]:
    """What a module imports; `from a import b` may mean the module a.b. The house has no relative imports.

    The package itself only hands on everything, and decides nothing.
    """
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return [name for name in found if name.startswith(f"{_PACKAGE}.")]
