"""What an audit's report tabulates and draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from forecheck.auditing.check import ATTENTION
from forecheck.auditing.evidence import LINEAR, Arm, Evidence
from forecheck.data.frequency import stamp
from forecheck.statistics.inference import AS_FORECASTER
from forecheck.trials.scored import example_windows

_MAP_TOKENS = 64  # larger patterns are averaged down: a picture has no use for more


def arm_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row an arm for the report's table and forest plot."""
    rows = []
    for arm in evidence.arms:
        c = evidence.comparison(arm)
        fitted = "validation_mse" in arm.results[0].summary
        rows.append(
            {
                "label": arm.label,
                "family": arm.family,
                "mse": arm.mean("mse"),
                "mae": arm.mean("mae"),
                "mse_real": arm.mean("mse_real"),
                "mae_real": arm.mean("mae_real"),
                "validation_mse": arm.mean("validation_mse") if fitted else None,
                "seeds": len(arm.results),
                "seconds": arm.seconds,
                "parameters": arm.parameters,
                "effect": c.effect if c else None,
                "interval": list(c.interval) if c else None,
                "outcome": (AS_FORECASTER if arm.family == "reference" else ATTENTION)[c.outcome] if c else None,
            }
        )
    return rows


def attention_maps(raw: Arm) -> list[dict[str, Any]]:
    """Mean raw pattern of every layer and head of the first seed, over training windows."""
    arrays = raw.results[0].arrays
    maps = []
    for layer in range(len([key for key in arrays if key.startswith("attention_")])):
        for head, pattern in enumerate(arrays[f"attention_{layer}"]):
            small = _shrink(_shrink(pattern, 0), 1)
            matrix = [[round(float(value), 4) for value in row] for row in small]
            maps.append({"layer": layer, "head": head, "matrix": matrix})
    return maps


def _shrink(pattern: np.ndarray[Any, np.dtype[Any]], axis: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Average neighbours along an axis so that at most `_MAP_TOKENS` are left."""
    if pattern.shape[axis] <= _MAP_TOKENS:
        return pattern
    parts = np.array_split(pattern, _MAP_TOKENS, axis=axis)
    return np.concatenate([part.mean(axis=axis, keepdims=True) for part in parts], axis=axis)


def examples(evidence: Evidence) -> list[dict[str, Any]]:
    """Forecasts of a few evenly spread test windows, in real units, one channel each (they take turns).

    What was filled is left out: it was not observed.
    """
    e = evidence.experiment
    observed = e.panel.values if e.panel.filled is None else np.where(e.panel.filled, np.nan, e.panel.values)
    linear = evidence.best_reference(LINEAR)
    arms = [evidence.raw, *evidence.family("retrained")[:1], *([linear] if linear else [])]
    drawn = []
    origins = e.test.origins[example_windows(e.test).numpy()]
    for number, (origin, series) in enumerate(zip(origins.tolist(), e.panel.series_of(origins).tolist(), strict=True)):
        channel = (len(e.panel.channels) - 1 - number) % len(e.panel.channels)
        mean, std = e.scaler.mean[series, channel], e.scaler.std[series, channel]
        forecasts = {arm.label: arm.results[0].arrays["examples"][number][:, channel] * std + mean for arm in arms}
        values = observed[:, channel]
        drawn.append(
            {
                "series": e.panel.series[series] if len(e.panel.series) > 1 else "",
                "channel": e.panel.channels[channel],
                "origin": stamp(e.panel.time[origin]),
                "unit": "real",
                "input": _numbers(values[origin - e.test.lookback : origin]),
                "truth": _numbers(values[origin : origin + e.test.horizon]),
                "forecasts": {label: _numbers(forecast) for label, forecast in forecasts.items()},
            }
        )
    return drawn


def loss_curves(evidence: Evidence) -> list[dict[str, Any]]:
    """Loss by horizon step of the raw forecaster, its retrained arms and the best reference."""
    linear = evidence.best_reference(LINEAR)
    arms = [evidence.raw, *evidence.family("retrained"), *([linear] if linear else [])]
    return [{"label": arm.label, "family": arm.family, "mse": _numbers(arm.horizon_mse)} for arm in arms]


def _numbers(values: np.ndarray[Any, np.dtype[Any]]) -> list[float | None]:
    """To six digits; None for what is not known."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]
