"""Windows of which some targets were never observed: sums over their inputs, step by step of the horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from forecheck.data.windows import Windows

_CHUNK = 1 << 18  # numbers held at once


@dataclass(frozen=True, eq=False)
class Gaps:
    r"""Sums over the inputs of the windows that miss step h of their target.

    A missing value of row r is step h of the window with origin r - h, so the inputs of all windows that miss it are
    slices of one stretch :math:`w_r` of L + H - 1 rows before r, and one matrix has the sums of every step in it:

    .. math:: D_h = \sum_r x_{r-h} x_{r-h}^\top = \Bigl( \sum_r w_r w_r^\top \Bigr)_{s:s+L,\, s:s+L},
              \qquad s = H - 1 - h

    Rows near the ends of a run of origins are missed by fewer than H windows; their stretches are kept one by one.

    Attributes:
        count: rows (of all channels) that are missed by H windows.
        total: sum of their stretches.
        products: :math:`\sum w_r w_r^\top` over them.
        stretches: those of the other rows.
        missed: whether there is a window that misses such a row at step h.
    """

    count: int
    total: Float[np.ndarray, " length"]
    products: Float[np.ndarray, "length length"]
    stretches: Float[np.ndarray, "row length"]
    missed: Bool[np.ndarray, "row horizon"]

    def __add__(self, other: Gaps) -> Gaps:
        """Gaps of both sets of windows together."""
        return Gaps(
            count=self.count + other.count,
            total=self.total + other.total,
            products=self.products + other.products,
            stretches=np.concatenate([self.stretches, other.stretches]),
            missed=np.concatenate([self.missed, other.missed]),
        )

    def at(self, step: int) -> tuple[int, Float[np.ndarray, " lookback"], Float[np.ndarray, "lookback lookback"]]:
        """How many windows miss a step (from 0), and the sums of their inputs and of the products of these."""
        horizon = self.missed.shape[1]
        lookback = len(self.total) - horizon + 1
        rows = slice(horizon - 1 - step, horizon - 1 - step + lookback)
        x = self.stretches[self.missed[:, step], rows]
        return self.count + len(x), self.total[rows] + x.sum(axis=0), self.products[rows, rows] + x.T @ x


def gaps(windows: Windows) -> Gaps:
    """Gaps of windows with targets that are NaN where nothing was observed."""
    assert windows.targets is not None
    L, H = windows.lookback, windows.horizon
    length = L + H - 1
    starts = np.zeros(len(windows.values) + H, dtype=bool)  # behind the last row, so that r - h < 0 finds nothing
    starts[windows.origins] = True
    row, channel = np.nonzero(np.isnan(windows.targets))
    missed = starts[row[:, None] - np.arange(H)]
    row, channel, missed = (part[missed.any(axis=1)] for part in (row, channel, missed))
    whole = missed.all(axis=1)
    total, products = np.zeros(length), np.zeros((length, length))
    size = max(1, _CHUNK // length)
    inner_row, inner_channel = row[whole], channel[whole]
    for first in range(0, len(inner_row), size):
        w = _stretches(windows.values, inner_row[first : first + size], inner_channel[first : first + size], length)
        total += w.sum(axis=0)
        products += w.T @ w
    edges = _stretches(windows.values, row[~whole], channel[~whole], length)
    return Gaps(int(whole.sum()), total, products, edges, missed[~whole])


def _stretches(
    values: Float[np.ndarray, "time channel"],
    row: Int[np.ndarray, " row"],
    channel: Int[np.ndarray, " row"],
    length: int,
) -> Float[np.ndarray, "row length"]:
    """The rows before every row; what would lie before the first is never looked at."""
    found: Float[np.ndarray, "row length"] = values[
        np.maximum(row[:, None] + np.arange(-length, 0), 0), channel[:, None]
    ]
    return found
