"""Forecasters by name, and their options from text."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from forecheck.errors import DataError, ForecheckError, UsageError
from forecheck.forecasters.base import Forecaster, Task
from forecheck.forecasters.options import read_option
from forecheck.forecasters.room import check_room

_MODULES = {
    "last": "naive",
    "seasonal": "naive",
    "mean": "naive",
    "nlinear": "linear",
    "rlinear": "linear",
    "linear": "linear",
    "dlinear": "linear",
    "nlinear-sgd": "linear_sgd",
    "dlinear-sgd": "linear_sgd",
    "tsmixer": "tsmixer",
    "samformer": "samformer",
    "latst": "latst",
    "patchtst": "patchtst",
    "itransformer": "itransformer",
    "vq-patchtst": "vq_patchtst",
    "vq-differential": "vq_patchtst",
    "differential": "differential",
    "fixedvar": "fixedvar",
    "lintrans": "lintrans",
    "samovar": "samovar",
    "vq-tokens": "vq_tokens",
    "transformer": "transformer",
    "informer": "informer",
    "autoformer": "autoformer",
    "fedformer": "fedformer",
    "anchored": "anchored",
    "anchored-net": "anchored_net",
}
"""Where our forecasters are, by name; a module is imported when one of its forecasters is asked for."""
_REGISTRY: dict[str, type[Forecaster]] = {}


def register(forecaster: type[Forecaster]) -> type[Forecaster]:
    """Class decorator: make a forecaster known by its name."""
    _REGISTRY[forecaster.name] = forecaster
    return forecaster


def all_forecasters() -> list[type[Forecaster]]:
    """Every known forecaster, the simplest first."""
    for module in dict.fromkeys(_MODULES.values()):
        import_module(f"forecheck.forecasters.{module}")
    return sorted(_REGISTRY.values(), key=lambda forecaster: forecaster.rank)


def registered() -> dict[str, type[Forecaster]]:
    """By name, the forecasters whose modules have been imported, and those of others that were registered."""
    return dict(_REGISTRY)


def find(name: str) -> type[Forecaster]:
    """The forecaster called `name`.

    Raises:
        UsageError: if there is none; the message names the nearest.
    """
    if name not in _REGISTRY and name in _MODULES:
        import_module(f"forecheck.forecasters.{_MODULES[name]}")
    if name not in _REGISTRY:
        known = [forecaster.name for forecaster in all_forecasters()]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"no forecaster is called {name!r}", f"{hint}Known: {', '.join(known)}.")
    return _REGISTRY[name]


def create(name: str, task: Task, options: Mapping[str, Any] | None = None) -> Forecaster:
    """A forecaster by name, its options given as values or as text (`ridge=0`).

    Args:
        name: of the forecaster.
        task: what is to be forecast.
        options: that differ from the defaults.

    Raises:
        UsageError: if the name or an option is unknown, a value cannot be read as the option's type, or nothing can be
            built from these options for this task.
    """
    forecaster = find(name)
    config = read_config(forecaster, options or {})
    try:
        check_room(forecaster, task, config)
        return forecaster(task, config)
    except ForecheckError:
        raise
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{name}: {error}") from error


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
            values[key] = read_option(value, hints[key])
        except ValueError as error:
            raise UsageError(f"option {forecaster.name}.{key} = {value!r}: {error}") from error
    try:
        return forecaster.Config(**values)
    except ValueError as error:
        raise UsageError(f"{forecaster.name}: {error}") from error


def defaults(forecaster: type[Forecaster]) -> dict[str, Any]:
    """Options of a forecaster with their defaults."""
    return asdict(forecaster.Config())


def load(folder: Path) -> Forecaster:
    """A saved forecaster, whichever it is.

    Raises:
        DataError: if the folder holds none.
    """
    import json

    try:
        name = json.loads((folder / "forecaster.json").read_text())["name"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} does not hold a saved forecaster: {error}") from error
    return find(str(name)).load(folder)
