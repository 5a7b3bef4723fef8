"""Forecasters by name, and their options from text."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from forecheck.errors import DataError, UsageError
from forecheck.forecasters.base import Forecaster, Task

# Modules are imported on first use, in the order of their forecasters' rank.
_MODULES = ("naive", "linear", "patchtst")
_REGISTRY: dict[str, type[Forecaster]] = {}


def register(forecaster: type[Forecaster]) -> type[Forecaster]:
    """Class decorator: make a forecaster known by its name."""
    _REGISTRY[forecaster.name] = forecaster
    return forecaster


def all_forecasters() -> list[type[Forecaster]]:
    """Every known forecaster, the simplest first."""
    for module in _MODULES:
        import_module(f"forecheck.forecasters.{module}")
    return sorted(_REGISTRY.values(), key=lambda forecaster: forecaster.rank)


def find(name: str) -> type[Forecaster]:
    """The forecaster called `name`.

    Raises:
        UsageError: if there is none; the message names the nearest.
    """
    known = {forecaster.name: forecaster for forecaster in all_forecasters()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"no forecaster is called {name!r}", f"{hint}Known: {', '.join(known)}.")
    return known[name]


def create(name: str, task: Task, options: Mapping[str, Any] | None = None) -> Forecaster:
    """A forecaster by name, its options given as values or as text (`ridge=0`).

    Raises:
        UsageError: if the name or an option is unknown, or a value cannot be read as the option's type.
    """
    forecaster = find(name)
    return forecaster(task, read_config(forecaster, options or {}))


def read_config(forecaster: type[Forecaster], options: Mapping[str, Any]) -> Any:
    """Config of a forecaster with `options` over its defaults."""
    hints = get_type_hints(forecaster.Config)
    known = [field.name for field in fields(forecaster.Config)]
    values = {}
    for key, value in options.items():
        if key not in known:
            raise UsageError(
                f"{forecaster.name} has no option {key!r}", f"Options: {', '.join(known) if known else 'none'}."
            )
        try:
            values[key] = _read(value, hints[key])
        except ValueError as error:
            raise UsageError(f"option {forecaster.name}.{key} = {value!r}: {error}") from error
    try:
        return forecaster.Config(**values)
    except ValueError as error:
        raise UsageError(f"{forecaster.name}: {error}") from error


def _read(value: Any, kind: Any) -> Any:
    """`value` as `kind`; text is parsed, other values must already fit."""
    if get_origin(kind) is Literal:
        for choice in get_args(kind):
            if value == choice or str(value) == str(choice):
                return choice
        raise ValueError(f"must be one of {', '.join(map(str, get_args(kind)))}")
    if get_origin(kind) in (Union, types.UnionType):
        members = get_args(kind)
        if types.NoneType in members and value in (None, "none", "None", ""):
            return None
        return _read(value, next(member for member in members if member is not types.NoneType))
    if get_origin(kind) is tuple:
        parts = value.split(":") if isinstance(value, str) else value
        return tuple(_read(part, get_args(kind)[0]) for part in parts)
    if kind is bool:
        if str(value).lower() in ("true", "1", "yes", "on"):
            return True
        if str(value).lower() in ("false", "0", "no", "off"):
            return False
        raise ValueError("must be true or false")
    if kind in (int, float):
        try:
            number = kind(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"must be a number ({kind.__name__})") from error
        if number != number or (kind is int and isinstance(value, float) and value != number):  # noqa: PLR0124
            raise ValueError(f"must be a number ({kind.__name__})")
        return number
    return str(value)


def load(folder: Path) -> Forecaster:
    """A saved forecaster, whichever it is.

    Raises:
        DataError: if the folder holds none.
    """
    import json

    try:
        name = json.loads((folder / "forecaster.json").read_text())["name"]
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise DataError(f"{folder} does not hold a saved forecaster: {error}") from error
    return find(str(name)).load(folder)
