"""Fits in folders: JSON and safetensors, read back without trusting what they hold."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from forecheck.data.frequency import Frequency
from forecheck.data.memory import available_memory
from forecheck.data.scaling import Scaler
from forecheck.errors import DataError, ForecheckError, UsageError
from forecheck.files import checksum, place_folder
from forecheck.forecasters import registry
from forecheck.forecasting.combined import Combined
from forecheck.forecasting.fitted import Fitted
from forecheck.outputs import finish_update, is_progress, update_folder
from forecheck.trials.record import is_whole, sealed
from forecheck.trials.store import Array

_FORMAT = 1
_DESCRIPTION = "fit.json"
_FILES = {_DESCRIPTION, "scaling.safetensors", "intervals.safetensors", "forecaster.json", "weights.safetensors"}
_PARTS = {"known", "past", "static", "calendar"}
_OF_THE_SYSTEM = {"lost+found", ".DS_Store"}


_SAID = {"model": str, "rule": str, "test_mse": float, "lookback": int, "calibration_windows": int}


def check_place(folder: Path, others: Collection[str] = ()) -> None:
    """Refuse to write a fit where something else lies; an earlier fit will be replaced.

    Args:
        folder: where it shall lie.
        others: names of files that may lie there beside those of a fit.

    Raises:
        UsageError: if the folder holds anything but a fit, is a file, or cannot be written to, or its parent does not
            exist.
    """
    try:
        place = folder.resolve()
        if not place.exists():
            _check_parent(folder, place.parent)
            return
        if not place.is_dir():
            raise UsageError(f"cannot write {folder}: it is a file")
        names = {path.name for path in place.iterdir() if not is_progress(path.name)} - _OF_THE_SYSTEM
    except (OSError, RuntimeError) as error:  # a name that is too long; links in a circle
        raise UsageError(f"cannot write {folder}: {getattr(error, 'strerror', None) or error}") from error
    if strange := names - _FILES - set(others):
        raise UsageError(
            f"cannot write {folder}: it holds {min(strange)}, which is no part of a fit", "Name another folder."
        )
    if names and _DESCRIPTION not in names and not (place / ".next").exists():
        raise UsageError(
            f"cannot write {folder}: it holds {min(names)} without {_DESCRIPTION}, so it is no fit, or a damaged one",
            "Name another folder, or empty this one.",
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {folder}: no permission to write to it")


def _check_parent(folder: Path, parent: Path) -> None:
    if not parent.is_dir():
        raise UsageError(f"cannot write {folder}: the folder {parent} does not exist")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {folder}: no permission to write to the folder {parent}")


def save_fit(fitted: Fitted | Combined, folder: Path) -> None:
    """Write a fit into a folder, whole or not at all; an earlier fit there is replaced.

    `forecaster.json` and `weights.safetensors` are the forecaster's own, `scaling.safetensors` holds `mean` and `std`
    (series, channel), `intervals.safetensors` the half-widths by level (horizon, channel), `fit.json` the rest, with
    the SHA-256 of every other file and, in its first line, of itself. A combination is `fit.json` alone: it is made
    anew of the data that it forecasts.

    Raises:
        UsageError: as `check_place`.
        WriteError: if the system does not let it.
    """
    check_place(folder)
    place = folder.resolve()  # of a link, what it points to
    if place.exists() or not place_folder(place, lambda part: fill_fit(fitted, part)):
        update_folder(place, lambda part: fill_fit(fitted, part))


def fill_fit(fitted: Fitted | Combined, part: Path) -> None:
    """Write the files of a fit into a folder that is there and empty."""
    described: dict[str, Any] = {
        "format": _FORMAT,
        "channels": list(fitted.channels),
        "frequency": asdict(fitted.frequency),
        "info": fitted.info,
        "origin": fitted.origin,
    }
    if isinstance(fitted, Combined):
        described["combination"] = {"horizon": fitted.horizon, "period": fitted.period}
        if fitted.asked:
            described["combination"]["covariates"] = fitted.asked
    else:
        described["series"] = list(fitted.series)
    if isinstance(fitted, Fitted):
        fitted.forecaster.save(part)
        scaling = {"mean": fitted.scaler.mean, "std": fitted.scaler.std}
        arrays = {key: np.ascontiguousarray(value) for key, value in scaling.items()}
        save_file(arrays, part / "scaling.safetensors")
        widths = {level: np.ascontiguousarray(width) for level, width in fitted.widths.items()}
        save_file(widths, part / "intervals.safetensors")
    files = {path.name: checksum(path) for path in sorted(part.iterdir())}
    (part / _DESCRIPTION).write_text(sealed(described | {"files": files}), encoding="utf-8")


def load_fit(folder: Path) -> Fitted | Combined:
    """Read what `save_fit` wrote; safe on folders from others (JSON and safetensors, no pickle).

    Raises:
        DataError: if files are missing, damaged, do not belong together, or are of a newer version.
    """
    try:
        finish_update(folder)
        found = (folder / _DESCRIPTION).is_file()
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}") from error
    if not found:
        raise DataError(f"{folder} does not hold a fit", "Make one with forecheck fit DATA --horizon H -o FOLDER.")
    try:
        try:
            return _read(folder)
        except _DamagedError:  # or another fit was just being put in its place
            finish_update(folder)
            return _read(folder)
    except ForecheckError as error:
        raise DataError(f"{folder} does not hold a fit: {error}") from error
    except Exception as error:  # a file from others can break anything
        raise DataError(f"{folder} does not hold a fit: {type(error).__name__}: {error}") from error


def asked_of(folder: Path) -> dict[str, list[str]]:
    """Columns beside the channels that a fit was made with, as `forecheck.load` takes them.

    Args:
        folder: of a fit.

    Raises:
        DataError: as `load_fit`.
    """
    fitted = load_fit(folder)
    return fitted.asked if isinstance(fitted, Combined) else {}


class _DamagedError(DataError):
    """A file is not as it was written."""


def _check_whole(folder: Path, text: str, described: Mapping[str, Any]) -> None:
    """Refuse a description or other files that are not as they were written together."""
    remedy = "It was damaged or edited: fit again, or fetch the folder again from where it came from."
    if not is_whole(text):
        raise _DamagedError(f"{_DESCRIPTION} is not as it was written", remedy)
    for name in sorted(_FILES - {_DESCRIPTION} if "combination" not in described else ()):
        if checksum(folder / name) != described["files"][name]:
            raise _DamagedError(f"{name} is not as it was written", remedy)


def _read(folder: Path) -> Fitted | Combined:
    text = (folder / _DESCRIPTION).read_text(encoding="utf-8")
    described = json.loads(text)
    _need(isinstance(described, dict), "fit.json holds no object")
    _need(described["format"] == _FORMAT, f"its format is {described['format']!r}, this version reads {_FORMAT}")
    if "files" in described or "sha256" in described:  # earlier versions wrote no checksums
        _check_whole(folder, text, described)
    channels = _names(described, "channels")
    frequency = _frequency(described["frequency"])
    info, origin = described["info"], described["origin"]
    _need(isinstance(info, dict) and isinstance(origin, dict), "info and origin must be objects")
    if "combination" in described:
        return _combined(described["combination"], channels, frequency, info, origin)
    series = _names(described, "series")
    for key, kind in _SAID.items():
        _need(isinstance(info[key], kind), f"info: {key} is of another type")
    task = json.loads((folder / "forecaster.json").read_text(encoding="utf-8"))["task"]
    for key in ("lookback", "horizon", "channels", "period"):
        _need(type(task[key]) is int and 0 < task[key] < 2**31, f"{key} must be a positive whole number")
    numbers = 64 * (task["lookback"] + task["horizon"]) * task["channels"]  # of a batch
    free = available_memory()
    _need(free is None or 8 * numbers < free, "the windows that it forecasts are larger than the free memory")
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
    asked = made.get("covariates", {})
    _need(isinstance(asked, dict) and set(asked) <= _PARTS, "covariates: no such part")
    return Combined(
        horizon, period, channels, frequency, info, origin, {part: list(_names(asked, part)) for part in asked}
    )


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
