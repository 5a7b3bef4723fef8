"""Standardisation by the training part alone."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from forecheck.data.panel import Panel
from forecheck.data.splits import Borders
from forecheck.errors import DataError


@dataclass(frozen=True, eq=False)
class Scaler:
    """Mean and standard deviation of every channel of every series, over its training rows.

    z = (x - mean) / std, with the population standard deviation (as scikit-learn's StandardScaler, which the
    LTSF benchmarks use).
    """

    mean: Float[np.ndarray, "series channel"]
    std: Float[np.ndarray, "series channel"]

    def scale(self, panel: Panel) -> Float[np.ndarray, "time channel"]:
        """The panel's values, standardised."""
        repeats = panel.lengths
        return (panel.values - np.repeat(self.mean, repeats, axis=0)) / np.repeat(self.std, repeats, axis=0)


def fit_scaler(panel: Panel, borders: Borders) -> Scaler:
    """Scaler of the training rows.

    Raises:
        DataError: if a channel is constant over its training rows: it has no unit to scale by.
    """
    parts = [
        panel.values[offset : offset + end] for offset, end in zip(panel.offsets[:-1], borders.train_end, strict=True)
    ]
    mean = np.stack([part.mean(axis=0) for part in parts])
    std = np.stack([part.std(axis=0) for part in parts])
    constant = np.stack([(part == part[0]).all(axis=0) for part in parts])
    if constant.any():
        series, channel = np.argwhere(constant)[0]
        where = f' of series "{panel.series[series]}"' if len(panel.series) > 1 else ""
        raise DataError(
            f'{panel.name}: channel "{panel.channels[channel]}"{where} is constant '
            f"({parts[series][0, channel]:g}) over its {len(parts[series])} training rows",
            f"Drop the {'series' if where else 'channel'} "
            f"(--drop {shlex.quote(panel.series[series] if where else panel.channels[channel])}), or split so that "
            "training sees it change.",
        )
    return Scaler(mean, std)
