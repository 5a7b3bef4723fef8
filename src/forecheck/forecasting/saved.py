"""Fits in folders: JSON and safetensors, read back without trusting what they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from forecheck.data.frequency import Frequency
from forecheck.data.scaling import Scaler
from forecheck.errors import DataError, ForecheckError, UsageError
from forecheck.files import replace_folder
from forecheck.forecasters import registry
from forecheck.forecasting.combined import Combined
from forecheck.forecasting.fitted import Fitted
from forecheck.trials.store import Array

_FORMAT = 1
_FILES = {"fit.json", "scaling.safetensors", "intervals.safetensors", "forecaster.json", "weights.safetensors"}


def check_place(folder: Path) -> None:
    """Refuse to write a fit where something else lies; an earlier fit will be replaced.

    Raises:
        UsageError: if the folder holds anything but a fit, is a file, or its parent does not exist.
    """
    if not folder.absolute().parent.is_dir():
        raise UsageError(f"cannot write {folder}: the folder {folder.absolute().parent} does not exist")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"cannot write {folder}: it is a file")
    strange = {path.name for path in folder.iterdir()} - _FILES
    if strange:
        raise UsageError(
            f"cannot write {folder}: it holds {min(strange)}, which is no part of a fit", "Name another folder."
        )


def save_fit(fitted: Fitted | Combined, folder: Path) -> None:
    """Write a fit into a folder, whole or not at all; an earlier fit there is replaced.

    `forecaster.json` and `weights.safetensors` are the forecaster's own, `scaling.safetensors` holds `mean` and `std`
    (series, channel), `intervals.safetensors` the half-widths by level (horizon, channel), `fit.json` the rest. A
    combination is `fit.json` alone: it is made anew of the data that it forecasts.

    Raises:
        UsageError: as `check_place`.
    """
    check_place(folder)
    described: dict[str, Any] = {
        "format": _FORMAT,
        "channels": list(fitted.channels),
        "frequency": asdict(fitted.frequency),
        "info": fitted.info,
        "origin": fitted.origin,
    }
    if isinstance(fitted, Combined):
        described["combination"] = {"horizon": fitted.horizon, "period": fitted.period}
    else:
        described["series"] = list(fitted.series)

    def write(part: Path) -> None:
        (part / "fit.json").write_text(json.dumps(described, indent=1))
        if isinstance(fitted, Combined):
            return
        fitted.forecaster.save(part)
        scaling = {"mean": fitted.scaler.mean, "std": fitted.scaler.std}
        save_file({key: np.ascontiguousarray(value) for key, value in scaling.items()}, part / "scaling.safetensors")
        widths = {level: np.ascontiguousarray(width) for level, width in fitted.widths.items()}
        save_file(widths, part / "intervals.safetensors")

    replace_folder(folder, write, instead=True)


def load_fit(folder: Path) -> Fitted | Combined:
    """Read what `save_fit` wrote; safe on folders from others (JSON and safetensors, no pickle).

    Raises:
        DataError: if files are missing, damaged, do not belong together, or are of a newer version.
    """
    if not (folder / "fit.json").is_file():
        raise DataError(f"{folder} does not hold a fit", "Make one with forecheck fit DATA --horizon H -o FOLDER.")
    try:
        return _read(folder)
    except ForecheckError as error:
        raise DataError(f"{folder} does not hold a fit: {error}") from error
    except Exception as error:  # a file from others can break anything
        raise DataError(f"{folder} does not hold a fit: {type(error).__name__}: {error}") from error


def _read(folder: Path) -> Fitted | Combined:
    described = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
    _need(isinstance(described, dict), "fit.json holds no object")
    _need(described["format"] == _FORMAT, f"its format is {described['format']!r}, this version reads {_FORMAT}")
    channels = _names(described, "channels")
    frequency = _frequency(described["frequency"])
    info, origin = described["info"], described["origin"]
    _need(isinstance(info, dict) and isinstance(origin, dict), "info and origin must be objects")
    if "combination" in described:
        return _combined(described["combination"], channels, frequency, info, origin)
    series = _names(described, "series")
    task = json.loads((folder / "forecaster.json").read_text(encoding="utf-8"))["task"]
    for key in ("lookback", "horizon", "channels", "period"):
        _need(type(task[key]) is int and 0 < task[key] < 2**31, f"{key} must be a positive whole number")
    _need(task["channels"] == len(channels), f"the model has {task['channels']} channels, not {len(channels)}")
    scaling = load_file(folder / "scaling.safetensors")
    mean, std = (_finite(scaling, key, (len(series), len(channels))).astype(np.float64) for key in ("mean", "std"))
    _need(bool((std > 0).all()), "standard deviations must be positive")
    intervals = load_file(folder / "intervals.safetensors")
    shape = (task["horizon"], len(channels))
    widths = {level: _finite(intervals, level, shape) for level in sorted(intervals, key=_level)}
    _need(all(bool((width >= 0).all()) for width in widths.values()), "widths must not be negative")
    forecaster = registry.load(folder)
    return Fitted(forecaster, Scaler(mean, std), series, channels, frequency, widths, info, origin)


def _combined(
    made: Any, channels: tuple[str, ...], frequency: Frequency, info: dict[str, Any], origin: dict[str, Any]
) -> Combined:
    _need(isinstance(made, dict) and isinstance(info.get("rule"), str), "the combination is not described")
    horizon, period = made["horizon"], made["period"]
    for value in (horizon, *([] if period is None else [period])):
        _need(type(value) is int and 0 < value < 2**31, "horizon and period must be positive whole numbers")
    return Combined(horizon, period, channels, frequency, info, origin)


def _need(held: bool, message: str) -> None:
    if not held:
        raise DataError(message)


def _names(described: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = described[key]
    _need(isinstance(names, list) and bool(names) and all(isinstance(name, str) for name in names), f"{key}: no names")
    _need(len(set(names)) == len(names), f"{key}: a name occurs twice")
    return tuple(names)


def _frequency(described: Mapping[str, Any]) -> Frequency:
    frequency = Frequency(**described)
    end: Any = frequency.month_end
    numbers: tuple[Any, ...] = (frequency.count, frequency.day, frequency.season)
    _need(frequency.unit in ("step", "us", "month", "weekday"), f"no step of time is called {frequency.unit!r}")
    _need(all(type(number) is int and number >= 0 for number in numbers), "a step of time has whole numbers")
    _need(isinstance(end, bool) and frequency.count > 0, "a step of time must go forward")
    return frequency


def _level(text: str) -> float:
    level = float(text)
    _need(0 < level < 100 and f"{level:g}" == text, f"{text!r} is no level in percent")
    return level


def _finite(arrays: Mapping[str, Array], key: str, shape: tuple[int, ...]) -> Array:
    """An array of finite numbers of one shape."""
    array = arrays[key]
    _need(array.shape == shape, f"{key} has shape {array.shape}, but needs {shape}")
    _need(array.dtype in (np.float32, np.float64) and bool(np.isfinite(array).all()), f"{key} holds no finite numbers")
    return array
