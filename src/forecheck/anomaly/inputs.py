"""Labels, alarms and scores as people have them: what cannot be measured is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from forecheck.errors import DataError, UsageError


def one_series(values: Any, what: str) -> np.ndarray:
    """Values of one series as an array of numbers or truth values.

    Raises:
        DataError: if there are none, they are not one-dimensional, or one is missing or not a finite number.
    """
    if isinstance(values, np.ma.MaskedArray):  # whose mask an array would drop
        values = np.ma.filled(values.astype(float), np.nan) if np.ma.is_masked(values) else values.data
    found = np.asarray(values)
    if found.ndim != 1:
        raise DataError(f"{what} have the shape {found.shape}", "Give one value a point; several channels one by one.")
    if len(found) == 0:
        raise DataError(f"{what} are empty", "Give one value a point.")
    if found.dtype == object:
        try:
            found = np.asarray([np.nan if each is None else each for each in found.tolist()], dtype=float)
        except (TypeError, ValueError) as error:
            raise DataError(f"{what} are not numbers: {error}", "Give numbers or truth values.") from error
    if found.dtype.kind not in "biuf":
        raise DataError(f"{what} are of type {found.dtype}", "Give numbers or truth values.")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        bad = np.flatnonzero(~np.isfinite(found))
        raise DataError(
            f"{what} have {len(bad)} values that are missing or infinite, the first at position {bad[0]}",
            "Drop these points from labels and scores alike, or fill them: what is missing is neither right nor wrong.",
        )
    return found


def read_labels(values: Any) -> Bool[np.ndarray, "time"]:
    """Which points are anomalous.

    Raises:
        DataError: if they are not 0 and 1, or truth values.
    """
    found = one_series(values, "labels")
    if found.dtype.kind != "b" and not ((found == 0) | (found == 1)).all():
        bad = int(np.flatnonzero((found != 0) & (found != 1))[0])
        raise DataError(
            f"labels are 0 or 1, or truth values; at position {bad} there is {found[bad]}",
            "Give labels > 0, or whatever tells an anomaly; labels of 0 to 3 are read by edf and ldf alone.",
        )
    return found.astype(bool)


def read_graded(values: Any) -> Int[np.ndarray, "time"]:
    """Labels of 0 normal, 1 early, 2 anomalous, 3 late.

    Raises:
        DataError: if there are others.
    """
    found = one_series(values, "labels")
    if not np.isin(found, (0, 1, 2, 3)).all():
        bad = int(np.flatnonzero(~np.isin(found, (0, 1, 2, 3)))[0])
        raise DataError(f"graded labels are 0, 1, 2 or 3; at position {bad} there is {found[bad]}", _GRADES)
    return found.astype(np.int64)


_GRADES = "0 is normal, 1 the early window of an event, 2 the anomaly, 3 the late window."


def read_detections(values: Any, n: int) -> Bool[np.ndarray, "time"] | Float[np.ndarray, "time"]:
    """Alarms as truth values, if they are truth values or whole numbers 0 and 1, else scores.

    Args:
        values: of a detector.
        n: points of the labels.

    Raises:
        DataError: if they are not as many as the labels, or one is not a finite number.
        UsageError: if they are whole numbers other than 0 and 1, which may be either.
    """
    found = one_series(values, "scores or alarms")
    if len(found) != n:
        raise DataError(
            f"there are {n} labels and {len(found)} scores or alarms",
            "Give both for the same points, in the same order.",
        )
    if found.dtype.kind == "b":
        return found
    if found.dtype.kind == "f":
        return found.astype(float)
    if ((found == 0) | (found == 1)).all():
        return found.astype(bool)
    raise UsageError(
        "whole numbers other than 0 and 1 may be scores or numbers of clusters",
        "Give scores as floating-point numbers (scores.astype(float)), or alarms as truth values (found > 0).",
    )


def check_times(times: Any, n: int) -> None:
    """Refuse times that do not rise, since segments are runs of successive points.

    Raises:
        DataError: if they are not as many as the points, one is missing, two are equal, or they are not sorted.
    """
    found = np.asarray(times)
    if found.shape != (n,):
        raise DataError(f"there are {n} labels and times of shape {found.shape}", "Give one time a point.")
    missing = np.isnat(found) if found.dtype.kind in "mM" else found != found  # noqa: PLR0124  a missing one differs
    if missing.any():
        raise DataError(f"the time at position {int(np.flatnonzero(missing)[0])} is missing", "Drop that point.")
    if n < 2:
        return
    equal = np.flatnonzero(found[1:] == found[:-1])
    if len(equal):
        raise DataError(
            f"the time {found[equal[0]]} stands at positions {equal[0]} and {equal[0] + 1}",
            "Keep one point a time; several series are evaluated one by one.",
        )
    falling = np.flatnonzero(found[1:] < found[:-1])
    if len(falling):
        raise DataError(
            f"times are not sorted: {found[falling[0] + 1]} follows {found[falling[0]]} at position {falling[0] + 1}",
            "Sort labels, scores and times by time.",
        )
