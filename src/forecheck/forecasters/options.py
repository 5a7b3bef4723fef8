"""Options from text: `ridge=0`, `heads=8`, `clip=none`, read as the type of the config's field."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin


def read_option(value: Any, kind: Any) -> Any:
    """`value` as `kind` (bool, int, float, str, Literal, Optional or tuple of these); text is parsed.

    Raises:
        ValueError: if it cannot be read; the message says what is allowed.
    """
    if get_origin(kind) is Literal:
        return _choice(value, get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        members = get_args(kind)
        if types.NoneType in members and value in (None, "none", "None", ""):
            return None
        try:
            return read_option(value, next(member for member in members if member is not types.NoneType))
        except ValueError as error:
            raise ValueError(f"{error}, or none" if types.NoneType in members else str(error)) from error
    if get_origin(kind) is tuple:
        parts = value.split(":") if isinstance(value, str) else value if isinstance(value, tuple | list) else (value,)
        return tuple(read_option(part, get_args(kind)[0]) for part in parts)
    readers: dict[Any, Callable[[Any], Any]] = {bool: _bool, int: _int, float: _float}
    return readers.get(kind, str)(value)


def _choice(value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if value == choice or str(value) == str(choice):
            return choice
    raise ValueError(f"must be one of {', '.join(map(str, choices))}")


def _bool(value: Any) -> bool:
    text = str(value).lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise ValueError("must be true or false")


def _int(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("must be a whole number") from error
    if number != value and not isinstance(value, str):
        raise ValueError("must be a whole number")
    return number


def _float(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("must be a number") from error
    if math.isnan(number):
        raise ValueError("must be a number")
    return number
