"""What is read of a source file: a digest of its code, and the modules that it may import."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path

from forecheck.errors import WriteError
from forecheck.files import replace_file

_IN_A_STRING = re.compile(r"forecheck(\.\w+)+\.?")
_MOST_KEPT = 2000


@dataclass(frozen=True)
class Source:
    """A source file.

    Attributes:
        code: digest of its syntax tree; docstrings, comments and layout do not count.
        imports: modules that it may import, inside functions and in strings too; relative ones begin with dots, folders
            of modules that are imported by name end with one.
    """

    code: str
    imports: list[str]


def read_source(path: Path) -> Source:
    """Read a file.

    Raises:
        SyntaxError: if it is not Python.
    """
    text = path.read_bytes()
    key = hashlib.sha256(text).hexdigest()
    if key not in _known():
        _known()[key] = _parsed(text)
        _fresh.append(key)
    return _known()[key]


def _parsed(text: bytes) -> Source:
    tree = ast.parse(text)
    imports: set[str] = set()
    for node in ast.walk(tree):
        imports.update(_imports(node))
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [each for each in body if not _only_says(each)]  # type: ignore[attr-defined]
    return Source(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), sorted(imports))


def _only_says(node: ast.AST) -> bool:
    """Whether a statement is a string alone: a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imports(node: ast.AST) -> list[str]:
    """Modules that a node may import; `from a import b` may mean the module a.b."""
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        return [module, *(f"{module}{'' if module.endswith('.') else '.'}{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _IN_A_STRING.fullmatch(node.value):
        return [node.value]
    return []


# Parsing takes ten times as long as all the rest of a fingerprint, so what was read is saved beside the compiled
# modules: by contents, so that it is never out of date, in a file that is named after this file's own contents.
_fresh: list[str] = []


@cache
def _place() -> Path:
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return Path(cache_from_source(__file__)).with_suffix(f".{own}.json")  # names the version of Python too


@cache
def _known() -> dict[str, Source]:
    """What was read of files, by their contents."""
    with suppress(OSError, ValueError, TypeError, AttributeError):  # not there, or damaged: they are read again
        return {key: Source(**each) for key, each in json.loads(_place().read_text()).items()}
    return {}


def keep_sources() -> None:
    """Keep what was read anew for the next process; where nothing can be written, that reads it again."""
    if not _fresh or sys.dont_write_bytecode:
        return
    kept = _known() if len(_known()) <= _MOST_KEPT else {key: _known()[key] for key in _fresh}
    text = json.dumps({key: asdict(each) for key, each in kept.items()})
    with suppress(WriteError):
        replace_file(_place(), lambda path: _write(path, text))
    _fresh.clear()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
