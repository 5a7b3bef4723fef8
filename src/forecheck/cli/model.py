"""`--model path/to/file.py:build`: a model of the user's own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from forecheck.errors import UsageError

_WHAT = "Write a function build(lookback, horizon, channels) in it that gives the trained model."


def read_model(text: str) -> Any:
    """The function behind `file.py:function`, or the name of a forecaster as it is.

    Raises:
        UsageError: if the file or the function is not there, or the file cannot be run.
    """
    path, colon, function = text.rpartition(":")
    if not (colon and path.endswith(".py")):
        return text
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"there is no file {path}", _WHAT)
    spec = importlib.util.spec_from_file_location(f"forecheck_model_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if (folder := str(file.resolve().parent)) not in sys.path:  # what stands beside the file is imported from there
        sys.path.insert(0, folder)
    sys.modules[spec.name] = module  # where dataclasses and pickling-free copies look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    build = getattr(module, function, None)
    if not callable(build):
        raise UsageError(f"{path} has no function {function!r}", _WHAT)
    return build


def read_call(text: str | None) -> Any:
    """The function behind `file.py:function`, or the name of a way of calling as it is; None for none.

    Raises:
        UsageError: if there is no such name, or as `read_model`.
    """
    call = None if text is None else read_model(text)
    if isinstance(call, str):
        from forecheck.forecasters.calling import named_call

        named_call(call)
    return call


def check_call(text: str | None, models: Iterable[Any]) -> None:
    """Refuse a way of calling where every model is one by name (UsageError).

    Args:
        text: as it was typed; None for none.
        models: as `read_model` gave them.
    """
    if text is not None and all(isinstance(each, str) for each in models):
        raise UsageError("--call is for models of yours", "Name one by its file: --model my_model.py:build.")


def build_model(build: Any, lookback: int, horizon: int, channels: int) -> Any:
    """What the user's function gives.

    Args:
        build: the function, called with the other arguments by name.
        lookback: steps of input.
        horizon: steps of a forecast.
        channels: of the data.

    Raises:
        UsageError: if it fails or gives nothing.
    """
    try:
        model = build(lookback=lookback, horizon=horizon, channels=channels)
    except Exception as error:
        name = getattr(build, "__name__", "build")
        raise UsageError(f"{name} failed: {type(error).__name__}: {error}", _WHAT) from error
    if model is None:
        raise UsageError("the model file's function gives nothing", _WHAT)
    return model
