"""Plain data: what strict JSON can hold, and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from forecheck.errors import printable


def plain(value: Any) -> Any:
    """A copy of `value` made of dict, list, str, int, float, bool and None only.

    NaN and the infinities become None; numpy's scalars and arrays, tuples, dates and paths become what they stand for.

    Raises:
        TypeError: for anything else; the message names the type.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, (str, Path, date)):
        text = value.isoformat() if isinstance(value, date) else str(value)
        return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be written to a file
    raise TypeError(f"a report holds JSON types only, got {type(value).__name__}")


def printable_texts(value: Any) -> Any:
    """A copy of plain data whose texts hold nothing that a terminal obeys."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(key): printable_texts(part) for key, part in value.items()}
    return [printable_texts(part) for part in value] if isinstance(value, list) else value


def dumps(value: Any) -> str:
    """Strict JSON that people can read: a list of plain values on one line, a newline at the end."""
    return _lines(plain(value), "") + "\n"


def _lines(value: Any, indent: str) -> str:
    inner = indent + "  "
    if isinstance(value, dict) and value:
        parts = [f"{_scalar(key)}: {_lines(part, inner)}" for key, part in value.items()]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(part, (dict, list)) for part in value):
        return "[\n" + ",\n".join(inner + _lines(part, inner) for part in value) + f"\n{indent}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)
