"""What the forecasts of a few test windows are made of, where the forecaster can say so exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from forecheck.data.frequency import stamp
from forecheck.forecasters.samovar import SAMoVAR
from forecheck.forecasters.samovar_coefficients import path_count
from forecheck.forecasters.samovar_explained import Explanation
from forecheck.nn.arx import ArxNetwork
from forecheck.probes.case import Case, Measured

WINDOWS = 3
PATHS = 10


def explanation(case: Case) -> Measured:
    """Additive parts, coefficients, paths and Jacobian of test windows, evenly spread, in one channel each (in turn).

    Arrays, with a window in front: `forecast` and `constant` (horizon) and `parts` (patch, token, horizon), which sum
    to the forecast with the constant, in real units; `coefficients` (head, token), Frobenius norms of the mixture's;
    `path_nodes` and `path_norms` (path); `jacobian` (own or other channels, horizon, patch), norms over the steps of a
    patch, in standardised units. The summary names windows and channels, and counts paths.
    """
    model = case.forecaster
    if not isinstance(model, SAMoVAR):
        return {"why_not": "its forecasts cannot be split exactly"}, {}
    test, panel, scaler = case.experiment.test, case.experiment.panel, case.experiment.scaler
    index = torch.linspace(0, len(test) - 1, min(len(test), WINDOWS)).round().long()
    origins = test.origins[index.numpy()]
    arrays: dict[str, list[np.ndarray[Any, np.dtype[Any]]]] = {}
    windows = []
    for number, (origin, series) in enumerate(zip(origins.tolist(), panel.series_of(origins).tolist(), strict=True)):
        channel = (test.channels - 1 - number) % test.channels
        x, _ = test.gather(index[number : number + 1])
        explained, why_no_paths = _explained(model, x, channel)
        mean, std = float(scaler.mean[series, channel]), float(scaler.std[series, channel])
        for name, values in {
            "forecast": explained.forecast[0, :, 0] * std + mean,
            "constant": explained.constant[0, :, 0] * std + mean,
            "parts": explained.parts[0, ..., 0] * std,
            "coefficients": np.linalg.norm(explained.mixture[0, 0], axis=(-2, -1)),
            "path_nodes": explained.path_nodes[0, 0],
            "path_norms": explained.path_norms[0, 0],
            "jacobian": _by_patch(model, model.jacobian(x, [channel]).values[0, :, 0], channel),
        }.items():
            arrays.setdefault(name, []).append(values)
        windows.append(
            {
                "series": panel.series[series] if len(panel.series) > 1 else "",
                "channel": panel.channels[channel],
                "origin": stamp(panel.time[origin]),
            }
        )
    tokens, layers = arrays["coefficients"][0].shape[1], model.config.layers
    summary = {
        "windows": windows,
        "layers": layers,
        "paths": sum(path_count(tokens, length) for length in range(1, layers + 1)),
        "why_no_paths": why_no_paths,
    }
    return summary, {name: np.stack(values) for name, values in arrays.items()}


def _explained(model: SAMoVAR, x: torch.Tensor, channel: int) -> tuple[Explanation, str]:
    """The explanation, and why it is without paths if there are too many."""
    try:
        return model.explain(x, PATHS, [channel]), ""
    except ValueError as error:
        return model.explain(x, 0, [channel]), str(error)


def _by_patch(model: SAMoVAR, values: np.ndarray[Any, np.dtype[Any]], channel: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Norms of the Jacobian (horizon, lookback, source) over the steps of a patch, in own and in other channels."""
    network = model.module
    assert isinstance(network, ArxNetwork)
    padded = np.pad(values, ((0, 0), (network.tokens.padding, 0), (0, 0)))
    patches = padded.reshape(len(values), network.tokens.patches, -1, values.shape[2])
    other = np.delete(patches, channel, axis=3)
    return np.stack([np.linalg.norm(part, axis=(2, 3)) for part in (patches[..., channel : channel + 1], other)])
