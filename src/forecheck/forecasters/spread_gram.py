"""Gram matrix of windows that are divided by their own spread: least squares for errors of unequal size."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.forecasters.folds import stride_for
from forecheck.forecasters.gram import Gram

_CALMEST = 0.3  # share of windows that count as much as the one at this quantile of spread
_ROWS = 12000  # windows times channels: more overlap with these and add little
_FEWEST = 100  # windows, however many channels there are
_CHUNK = 1 << 21  # numbers of gathered windows held at once


def spread_gram(windows: Windows, span: int, period: int) -> Gram:
    r"""Gram matrix of windows z = (x, y), each divided by how much it moved of late.

    .. math:: G = \sum_z \frac{z z^\top}{\max(s_z, q)^2}, \qquad s_z = \mathrm{std}(x_{L-K+1}, \dots, x_L)

    Errors of a forecast grow with the spread of what came before. Plain least squares is led by the few stretches
    (and channels) that move most; dividing makes errors alike in size, which is generalised least squares. The floor q
    is a low quantile of all spreads, so that windows in which nothing moves do not lead in their turn.

    Args:
        windows: to add up; of many only every n-th, through all phases of `period`.
        span: K, steps over which the spread is taken; the whole window if it is shorter.
        period: steps a season.

    Source: Aitken 1935, *On Least Squares and Linear Combination of Observations* (weights by inverse variance).
    """
    L, H = windows.lookback, windows.horizon
    most = max(_FEWEST, _ROWS // windows.channels)
    windows = windows.strided(stride_for(len(windows), most, period))
    spreads = _spreads(windows, min(span, L))
    moving = spreads[spreads > 0]
    lowest = float(np.quantile(moving.numpy(), _CALMEST)) if len(moving) else 1.0
    products = np.zeros((L, L + H))
    totals, squares = np.zeros(L + H), np.zeros(L + H)
    size = max(1, _CHUNK // ((L + H) * windows.channels))
    for index, x, y in windows.batches(size):
        z = torch.cat([x, y], dim=1).transpose(1, 2) / spreads[index].clamp(min=lowest)[..., None]
        z = z.reshape(-1, L + H)  # (window*channel, L + H)
        products += (z[:, :L].T @ z).numpy()
        totals += z.double().sum(dim=0).numpy()
        squares += z.double().square().sum(dim=0).numpy()
    largest = max(float(products.diagonal().max()), 0.0)
    return Gram(
        count=len(windows) * windows.channels,
        inputs=products[:, :L],
        cross=products[:, L:],
        input_sum=totals[:L],
        target_sum=totals[L:],
        target_square=squares[L:],
        # Products are those of float32, errors of which add up like a random walk.
        floor=float(np.finfo(np.float32).eps) * math.sqrt(L) * largest,
    )


def _spreads(windows: Windows, span: int) -> Float[Tensor, "window channel"]:
    """Standard deviation of the last `span` inputs."""
    size = max(1, _CHUNK // (windows.lookback * windows.channels))
    return torch.cat([x[:, -span:].std(dim=1, correction=0) for _, x, _ in windows.batches(size)])
