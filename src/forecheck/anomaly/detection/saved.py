"""Detectors in folders: a fit, and what makes a detector of it; JSON and safetensors, read back without trust."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

from forecheck.anomaly.detection.alarms import Rule
from forecheck.anomaly.detection.calibrated import rate_of
from forecheck.anomaly.detection.detector import Detector, Ground
from forecheck.anomaly.detection.expected import ForecastSource
from forecheck.anomaly.detection.fit import Fits
from forecheck.anomaly.detection.scoring import Scoring
from forecheck.data.frequency import stamp
from forecheck.errors import DataError, ForecheckError
from forecheck.files import checksum, place_folder
from forecheck.forecasting.fitted import Fitted
from forecheck.forecasting.saved import check_place, fill_fit, load_fit
from forecheck.outputs import finish_update, update_folder
from forecheck.trials.record import is_whole, sealed
from forecheck.trials.scored import versions

_FORMAT = 1
_DESCRIPTION, _ARRAYS = "detector.json", "detector.safetensors"
_SEALED = (_ARRAYS, "fit.json")


@dataclass(frozen=True, eq=False)
class Saved:
    """A detector with what ties it to its data."""

    fitted: Fitted
    ground: Ground
    detector: Detector


def check_detector_place(folder: Path) -> None:
    """Refuse to write a detector where something else lies (UsageError); an earlier one, or a fit, is replaced."""
    check_place(folder, (_DESCRIPTION, _ARRAYS))


def save_detector(fits: Fits, folder: Path) -> None:
    """Write what detects into a folder, whole or not at all.

    The files of a fit, which forecasts as any other does, and beside them `detector.json` and `detector.safetensors`
    with weights, spreads and the scores of the calibration part.

    Raises:
        UsageError: as `check_detector_place`.
        WriteError: if the system does not let it.
    """
    check_detector_place(folder)
    detector, ground, panel = fits.chosen, fits.ground, fits.panel
    assert isinstance(detector.source, ForecastSource)
    record = {"name": panel.name, "fingerprint": panel.fingerprint, "rows": len(panel.values), "fills": panel.fills}
    record |= {"first": stamp(panel.time.min()), "last": stamp(panel.time.max())}
    origin = {"data": record} | versions()
    series, frequency = ground.series, panel.frequency
    fitted = Fitted(fits.forecaster, ground.scaler, series, panel.channels, frequency, {}, fits.info, origin)
    start = ground.start
    described = {
        "format": _FORMAT,
        "false_alarms": detector.false_alarms,
        "merge": detector.rule.merge,
        "least": detector.rule.least,
        "period": ground.period,
        "start": int(start.astype("datetime64[us]").astype(np.int64))
        if isinstance(start, np.datetime64)
        else int(start),
        "dates": isinstance(start, np.datetime64),
    }
    arrays = {"weights": detector.source.weights, "centre": detector.scoring.centre, "scale": detector.scoring.scale}
    arrays |= {"correlation": detector.scoring.correlation}
    arrays |= {f"calibration_{stream}": scores for stream, scores in enumerate(detector.calibration)}

    def write(part: Path) -> None:
        fill_fit(fitted, part)
        save_file({key: np.ascontiguousarray(each) for key, each in arrays.items()}, part / _ARRAYS)
        files = {name: checksum(part / name) for name in _SEALED}
        (part / _DESCRIPTION).write_text(sealed(described | {"files": files}), encoding="utf-8")

    place = folder.resolve()
    if place.exists() or not place_folder(place, write):
        update_folder(place, write)


def load_detector(folder: Path) -> Saved:
    """Read what `save_detector` wrote.

    Raises:
        DataError: if files are missing, damaged or do not belong together.
    """
    remedy = f"Make one with forecheck detect DATA --save {folder}."
    try:
        finish_update(folder)
        found = (folder / _DESCRIPTION).is_file()
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}") from error
    if not found:
        what = "a fit that is not calibrated as a detector" if (folder / "fit.json").is_file() else "no detector"
        raise DataError(f"{folder} holds {what}", remedy)
    fitted = load_fit(folder)
    try:
        return _read(folder, fitted)
    except ForecheckError as error:
        raise DataError(f"{folder} does not hold a detector: {error.message}", remedy) from error
    except Exception as error:  # a file from others can break anything
        raise DataError(f"{folder} does not hold a detector: {type(error).__name__}: {error}", remedy) from error


def _read(folder: Path, fitted: Any) -> Saved:
    text = (folder / _DESCRIPTION).read_text(encoding="utf-8")
    _need(is_whole(text), f"{_DESCRIPTION} is not as it was written")
    record = json.loads(text)
    _need(record["format"] == _FORMAT, f"its format is {record['format']!r}, this version reads {_FORMAT}")
    for name in _SEALED:
        _need(checksum(folder / name) == record["files"][name], f"{name} is not as it was written")
    _need(isinstance(fitted, Fitted), "a combination is no detector")
    arrays = load_file(folder / _ARRAYS)
    task, period, start = fitted.forecaster.task, record["period"], record["start"]
    _need(type(period) is int and 0 < period < 2**31 and type(start) is int, "period and start are whole numbers")
    channels = len(fitted.channels)
    streams = channels if channels == 1 else channels + 1
    shape = (len(fitted.series), period, channels)
    shapes = {"weights": (task.horizon, channels), "centre": shape, "scale": shape, "correlation": (channels,) * 2}
    for key, expected in shapes.items():
        _need(arrays[key].shape == expected, f"{key} has shape {arrays[key].shape}, but needs {expected}")
    calibration = tuple(arrays[f"calibration_{stream}"] for stream in range(streams))
    for each in arrays.values():
        _need(each.dtype == np.float64 and bool(np.isfinite(each).all()), "an array holds no finite numbers")
    for each in calibration:
        _need(each.ndim == 1 and bool((np.diff(each) >= 0).all()), "calibration scores are not sorted")
    _need(bool((arrays["scale"] > 0).all()), "scales must be positive")
    _need(_is_correlation(arrays["correlation"]), "the correlations are none")
    _need(isinstance(record["false_alarms"], float) and math.isfinite(record["false_alarms"]), "the rate is no number")
    rate = rate_of(min(map(len, calibration)), record["false_alarms"])
    ground = Ground(fitted.scaler, fitted.series, period, np.datetime64(start, "us") if record["dates"] else start)
    scoring = Scoring(arrays["centre"], arrays["scale"], arrays["correlation"])
    source = ForecastSource(fitted.forecaster, arrays["weights"])
    rule = Rule(record["merge"], record["least"])
    return Saved(fitted, ground, Detector(fitted.forecaster.name, source, scoring, calibration, rate, rule))


def _is_correlation(matrix: Float[np.ndarray, "channel channel"]) -> bool:
    """Whether a matrix is symmetric with ones on its diagonal, and positive definite."""
    if not (np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1)):
        return False
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _need(held: bool, message: str) -> None:
    if not held:
        raise DataError(message)
