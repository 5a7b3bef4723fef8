"""Gram matrix of all windows of a panel, from lagged products, without building a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from jaxtyping import Complex, Float, Int

from forecheck.data.windows import Windows
from forecheck.forecasters.gaps import Gaps, gaps

# Below this many consecutive origins a matrix product over gathered windows is cheaper than the recurrence.
_SHORT_RUN = 8
# Numbers held at once for gathered windows or run edges: 2 MB.
_CHUNK = 1 << 18


@dataclass(frozen=True, eq=False)
class Gram:
    r"""Sums over all windows z = (x, y) of all channels: everything that linear least squares knows of its data.

    Attributes:
        count: n, windows times channels.
        inputs: :math:`\sum x x^\top`.
        cross: :math:`\sum x y^\top`.
        input_sum: :math:`\sum x`.
        target_sum: :math:`\sum y`.
        target_square: :math:`\sum y_h^2` of every step h.
        floor: eigenvalues of `inputs` below this are rounding of the sums, not data. It grows with the level of the
            series, so series come standardised.
        gaps: what to take off the sums over inputs for every step, where some targets were never observed: sums with
            targets are over those that were. Then only `steps` can be normalised, centred or mapped. None where all
            were observed.
    """

    count: int
    inputs: Float[np.ndarray, "lookback lookback"]
    cross: Float[np.ndarray, "lookback horizon"]
    input_sum: Float[np.ndarray, " lookback"]
    target_sum: Float[np.ndarray, " horizon"]
    target_square: Float[np.ndarray, " horizon"]
    floor: float
    gaps: Gaps | None = None

    def __add__(self, other: Gram) -> Gram:
        """Gram of both sets of windows together: every sum is additive.

        The floor is that of sums of products of the windows as they are, so add before anything is subtracted.
        """
        inputs = self.inputs + other.inputs
        return Gram(
            count=self.count + other.count,
            inputs=inputs,
            cross=self.cross + other.cross,
            input_sum=self.input_sum + other.input_sum,
            target_sum=self.target_sum + other.target_sum,
            target_square=self.target_square + other.target_square,
            floor=_floor(inputs),
            gaps=None if self.gaps is None or other.gaps is None else self.gaps + other.gaps,
        )

    def steps(self) -> Iterator[Gram]:
        r"""Gram of every step of the horizon by itself, over the windows in which it was observed.

        .. math:: G_h = G - D_h

        with D of `gaps`: what least squares knows of step h, exactly. Steps differ in their windows, so that they do
        not share G.
        """
        for step in range(self.cross.shape[1]):
            missing = self.gaps.at(step) if self.gaps is not None else None
            count, total, products = missing or (0, np.zeros_like(self.input_sum), np.zeros_like(self.inputs))
            yield Gram(
                count=self.count - count,
                inputs=self.inputs - products,
                cross=self.cross[:, step : step + 1],
                input_sum=self.input_sum - total,
                target_sum=self.target_sum[step : step + 1],
                target_square=self.target_square[step : step + 1],
                floor=self.floor,
            )

    def normalised(self, functional: Float[np.ndarray, " lookback"]) -> Gram:
        r"""Gram of the windows less a linear functional of their input.

        .. math:: z' = z - (p^\top x) 1, \qquad G' = G - g 1^\top - 1 g^\top + (p^\top G p) 1 1^\top, \quad g = G p

        Args:
            functional: p; the last unit vector subtracts the last value, 1/L the window mean.
        """
        g_input, g_target = self.inputs @ functional, functional @ self.cross
        level = functional @ self.input_sum
        square = functional @ g_input
        return replace(
            self,
            inputs=self.inputs - g_input[:, None] - (g_input - square),
            cross=self.cross - g_input[:, None] - (g_target - square),
            input_sum=self.input_sum - level,
            target_sum=self.target_sum - level,
            target_square=self.target_square - 2 * g_target + square,
        )

    def centred(self, inputs: Float[np.ndarray, " lookback"], targets: Float[np.ndarray, " horizon"]) -> Gram:
        r"""Gram of the windows less a fixed centre c, which need not be their own mean.

        .. math:: G' = G - s c^\top - c s^\top + n c c^\top, \qquad s = \sum z
        """
        n = self.count
        return replace(
            self,
            inputs=self.inputs - self.input_sum[:, None] * inputs - inputs[:, None] * (self.input_sum - n * inputs),
            cross=self.cross - self.input_sum[:, None] * targets - inputs[:, None] * (self.target_sum - n * targets),
            input_sum=self.input_sum - n * inputs,
            target_sum=self.target_sum - n * targets,
            target_square=self.target_square - targets * (2 * self.target_sum - n * targets),
        )

    def mapped(self, features: Float[np.ndarray, "lookback lookback"]) -> Gram:
        r"""Gram of the windows with input :math:`F^\top x` in place of x: :math:`F^\top G F`."""
        return replace(
            self,
            inputs=features.T @ self.inputs @ features,
            cross=features.T @ self.cross,
            input_sum=features.T @ self.input_sum,
        )


def gram(windows: Windows) -> Gram:
    r"""Gram matrix over all windows and channels, O(T log L + L (L + H)) a channel and exact up to rounding.

    For N consecutive origins over a series x, z_t = (x_t, ..., x_{t+L+H-1}) and

    .. math:: G_{ij} = \sum_{t<N} x_{t+i} x_{t+j}, \qquad
              G_{i+1,j+1} = G_{ij} - x_i x_j + x_{N+i} x_{N+j}.

    The first row is one correlation (by FFT, block by block). The correction is a difference of two Gram matrices of
    the edges of the runs alone, so channels, series and runs are added up *before* the recurrence runs, once, down
    the diagonals. Sums of z and of its squares obey the same recurrence. Isolated origins (strided windows) are
    gathered a chunk at a time instead. Only the rows of inputs are made; of targets only their squares.

    Where targets were never observed, sums with them are over windows gathered a chunk at a time, and `gaps` tells what
    is to be taken off the others.
    """
    # Inputs and targets differ where something was filled, so they do not come from one recurrence.
    sums = _Sums.zeros(windows.lookback, windows.horizon if windows.targets is None else 0)
    long: list[tuple[int, int]] = []
    short: list[Int[np.ndarray, " window"]] = []
    for first, end in windows.runs():
        if end - first < _SHORT_RUN:
            short.append(np.arange(first, end))
        else:
            long.append((first - windows.lookback, end - windows.lookback))
    if long:
        sums.add_runs(windows.values, long)
    if short:
        sums.add_windows(windows.values, np.concatenate(short) - windows.lookback)
    L = windows.lookback
    if windows.targets is not None:
        count, floor = len(windows) * windows.channels, _floor(sums.products)
        return replace(_observed(windows), count=count, inputs=sums.products, input_sum=sums.totals, floor=floor)
    return Gram(
        count=len(windows) * windows.channels,
        inputs=sums.products[:, :L],
        cross=sums.products[:, L:],
        input_sum=sums.totals[:L],
        target_sum=sums.totals[L:],
        target_square=sums.squares[L:],
        floor=_floor(sums.products[:, :L]),
    )


def gram_of(windows: Windows, channels: slice) -> Gram:
    """Gram matrix over all windows of some channels."""
    return gram(windows.of_channels(channels))


def _observed(windows: Windows) -> Gram:
    """Sums over observed targets, windows gathered a chunk at a time; those over inputs alone are zero."""
    assert windows.targets is not None
    L, H = windows.lookback, windows.horizon
    inputs = np.lib.stride_tricks.sliding_window_view(windows.values, L, axis=0)  # (start, channel, L)
    targets = np.lib.stride_tricks.sliding_window_view(windows.targets, H, axis=0)  # (start, channel, H)
    cross, total, square = np.zeros((L, H)), np.zeros(H), np.zeros(H)
    size = max(1, _CHUNK // ((L + H) * windows.channels))
    for start in range(0, len(windows), size):
        rows = windows.origins[start : start + size]
        x, y = inputs[rows - L].reshape(-1, L), targets[rows].reshape(-1, H)  # (window*channel, L and H)
        y = np.where(np.isnan(y), 0.0, y)
        cross += x.T @ y
        total += y.sum(axis=0)
        square += np.square(y).sum(axis=0)
    return Gram(0, np.zeros((L, L)), cross, np.zeros(L), total, square, 0.0, gaps(windows))


def _floor(inputs: Float[np.ndarray, "lookback lookback"]) -> float:
    """Sums of products carry an error of a few eps times the largest square, in each of L rows."""
    return 8 * len(inputs) * float(np.finfo(np.float64).eps) * max(float(inputs.diagonal().max()), 0.0)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Accumulators over windows of length K = L + H, the products of the first L positions with all K."""

    products: Float[np.ndarray, "lookback length"]
    totals: Float[np.ndarray, " length"]
    squares: Float[np.ndarray, " length"]

    @classmethod
    def zeros(cls, lookback: int, horizon: int) -> _Sums:
        length = lookback + horizon
        return cls(np.zeros((lookback, length)), np.zeros(length), np.zeros(length))

    def add_runs(self, values: Float[np.ndarray, "time channel"], runs: Sequence[tuple[int, int]]) -> None:
        """Add runs of consecutive windows, each as its (first, last + 1) start rows; adds to zeros only."""
        G, totals, squares = self.products, self.totals, self.squares
        L, K = G.shape
        for group in _groups(runs, max(1, _CHUNK // (4 * K * values.shape[1]))):
            heads = np.concatenate([values[start : start + K - 1].T for start, _ in group])  # (run*channel, K-1)
            tails = np.concatenate([values[stop : stop + K - 1].T for _, stop in group])  # (run*channel, K-1)
            G[1:, 1:] += tails[:, : L - 1].T @ tails - heads[:, : L - 1].T @ heads
            totals[1:] += (tails - heads).sum(axis=0)
            squares[1:] += (tails * tails - heads * heads).sum(axis=0)
        totals[0] = sum(values[start:stop].sum() for start, stop in runs)
        G[0] = lagged_products(values, runs, K)
        G[:, 0] = G[0, :L]
        squares[0] = G[0, 0]
        for i in range(1, L):
            G[i, 1:] += G[i - 1, :-1]
        np.cumsum(totals, out=totals)
        np.cumsum(squares, out=squares)

    def add_windows(self, values: Float[np.ndarray, "time channel"], starts: Int[np.ndarray, " window"]) -> None:
        """Add single windows by their start rows."""
        L, K = self.products.shape
        every = np.lib.stride_tricks.sliding_window_view(values, K, axis=0)  # (start, channel, K)
        size = max(1, _CHUNK // (K * values.shape[1]))
        for index in range(0, len(starts), size):
            z = every[starts[index : index + size]].reshape(-1, K)  # (window*channel, K)
            self.products[...] += z[:, :L].T @ z
            self.totals[...] += z.sum(axis=0)
            self.squares[...] += (z * z).sum(axis=0)


def lagged_products(
    values: Float[np.ndarray, "time channel"], runs: Sequence[tuple[int, int]], length: int
) -> Float[np.ndarray, " length"]:
    r"""Sums of lagged products over runs and channels: :math:`\sum_t x_t x_{t+j}` for j < K.

    Correlations by FFT, in overlapping blocks whose spectra are added, so that one inverse serves all.

    Args:
        values: the series.
        runs: stretches of t as (first, last + 1).
        length: K, number of lags; `values` reach K - 1 rows beyond every run.
    """
    longest = max(stop - start for start, stop in runs)
    # Four window lengths balance the overlap against the cost of a longer transform.
    size = 1 << (min(4 * length, longest + length - 1) - 1).bit_length()
    block = size - length + 1
    spectrum: Complex[np.ndarray, " frequency"] = np.zeros(size // 2 + 1, dtype=np.complex128)
    for start, stop in runs:
        for first in range(start, stop, block):
            end = min(first + block, stop)
            both = np.fft.rfft(values[first : end + length - 1].T, size)  # (channel, frequency)
            lead = np.fft.rfft(values[first:end].T, size)  # (channel, frequency)
            spectrum += (lead.conj() * both).sum(axis=0)
    return np.fft.irfft(spectrum, size)[:length]


def _groups(runs: Sequence[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    """The runs, `size` at a time."""
    rest = iter(runs)
    while group := list(islice(rest, size)):
        yield group
