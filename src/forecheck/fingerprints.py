"""Which code a result rests on: what other code gave does not count."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Collection
from functools import cache
from importlib.metadata import version
from importlib.util import resolve_name
from pathlib import Path

from forecheck.sources import keep_sources, read_source

_ROOT = Path(__file__).parents[1]
# They hand names on, and say where a result lies; neither decides what a result is.
_ASIDE = frozenset({"forecheck", "forecheck.trials.named"})


def fingerprint(*modules: str, without: Collection[str] = ()) -> str:
    r"""SHA-256 of the code of modules, of all of ours that they import at any depth, and of what computes for them.

    .. math:: F = h(v_\text{torch}, v_\text{numpy}, \{(m, h(\mathrm{tree}_m)) : m \text{ reached from modules}\})

    Trees are syntax trees: docstrings, comments and layout do not count (Python's minor version does, as trees differ).
    Imports inside functions count, and so do names in strings: `"forecheck.a.b"` is a module, and a string that begins
    by `"forecheck.a."` is any module of that folder, for so the registries import what they are asked for by name.

    Args:
        modules: names. Of one that is not ours, what it imports of its own package counts too, as far as it is loaded.
        without: modules, and folders (`"forecheck.a."`), that are not followed: the result does not use them, or it
            uses of a folder what is given among `modules`.

    Returns:
        16 hexadecimal digits.
    """
    tops = {"forecheck", *(name.partition(".")[0] for name in modules)}
    found: dict[str, str] = {}
    seen: set[str] = set()
    left = set(modules)
    while left:
        name = left.pop()
        seen.add(name)
        code, imports = _module(name)
        if code:
            found[name] = code
        left |= {each for each in imports if each.partition(".")[0] in tops} - seen - _ASIDE - set(without)
    keep_sources()
    described = json.dumps([*_versions(), sorted(found.items())])
    return hashlib.sha256(described.encode()).hexdigest()[:16]


@cache
def _versions() -> tuple[str, ...]:
    return version("torch"), version("numpy")


@cache  # a file counts as it was when it was first asked for
def _module(name: str) -> tuple[str, frozenset[str]]:
    """Digest of a module's code, and the names of what it imports; of a folder, no code and all its modules."""
    if name.endswith("."):
        return "", frozenset(name + path.stem for path in _ROOT.joinpath(*name.split(".")).glob("*.py"))
    path = find_source(name)
    if path is None:
        return "", frozenset()
    source = read_source(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return source.code, frozenset(resolve_name(each, package) for each in source.imports)


def find_source(name: str) -> Path | None:
    """The file of a module of ours or of one that is loaded; None for a name inside a module, or what has no file."""
    if name.startswith("forecheck."):
        place = _ROOT.joinpath(*name.split("."))
        return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()), None)
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file) if file is not None and file.endswith(".py") else None
