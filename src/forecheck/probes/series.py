"""What the data themselves show, without any forecaster."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from forecheck.data.sentinels import Sentinel
from forecheck.data.windows import Experiment, Windows
from forecheck.probes.case import batches, spread
from forecheck.statistics.metrics import observed_mean

_WINDOWS = 4096
NEAR_CONSTANT = 1e-3
"""A window counts as near-constant under this share of the training rows' standard deviation."""


def near_constant(windows: Windows) -> Float[np.ndarray, " channel"]:
    """Share of input windows whose standard deviation is under a thousandth of the training rows', by channel.

    Of at most 4096 windows, evenly spread.
    """
    index = spread(windows, _WINDOWS)
    total = torch.zeros(windows.channels, dtype=torch.float64)
    for x, _ in batches(windows, index):
        total += (x.double().std(dim=1, correction=0) < NEAR_CONSTANT).sum(dim=0)
    return (total / len(index)).numpy()


def target_spread(windows: Windows) -> dict[str, float]:
    """Mean squared distance of all targets from the window's last value (`last`), and their variance (`mean`).

    What an R² is over: 1 - mse / spread. The variance is a channel's, all windows and steps together.
    """
    counts, last = np.zeros(windows.channels), 0.0
    sums, squares = np.zeros(windows.channels), np.zeros(windows.channels)
    for _, x, y in windows.batches(256):
        y64 = y.double()
        last += float((y64 - x[:, -1:]).square().nan_to_num().sum())
        sums += y64.nan_to_num().sum(dim=(0, 1)).numpy()
        squares += y64.square().nan_to_num().sum(dim=(0, 1)).numpy()
        counts += (~torch.isnan(y)).sum(dim=(0, 1)).numpy()
    seen = counts > 0  # a channel that was never observed in the part says nothing
    variance = squares[seen] / counts[seen] - np.square(sums[seen] / counts[seen])
    return {"last": last / float(counts.sum()), "mean": float(variance.mean())}


def difference_autocorrelation(experiment: Experiment) -> Float[np.ndarray, " channel"]:
    r"""Lag-1 autocorrelation of first differences over training rows, by channel; NaN for one that never changes.

    :math:`\sum_t d_t d_{t+1} / \sum_t d_t^2` with :math:`d_t = x_t - x_{t-1}` less its mean, over all series. White
    noise gives -1/2, a random walk 0, a smooth curve nearly 1.
    """
    panel, train = experiment.panel, experiment.train
    values = train.values if train.targets is None else train.targets  # differences of what was observed
    top, bottom = np.zeros(panel.values.shape[1]), np.zeros(panel.values.shape[1])
    for offset, end in zip(panel.offsets[:-1], experiment.borders.train_end, strict=True):
        steps = np.diff(values[offset : offset + end], axis=0)
        if len(steps) < 2:
            continue
        steps = steps - np.nan_to_num(observed_mean(steps, axis=0))
        top += np.nansum(steps[1:] * steps[:-1], axis=0)
        bottom += np.nansum(np.square(steps), axis=0)
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def sentinel_rows(found: list[Sentinel]) -> list[dict[str, Any]]:
    """As JSON types."""
    return [vars(each) for each in found]
