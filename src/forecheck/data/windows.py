"""Windows: panel + lookback + horizon + origins, gathered batch by batch from strided views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecheck.data.panel import Panel
from forecheck.data.scaling import Scaler, fit_scaler
from forecheck.data.splits import PARTS, Borders, Part, origins, parse_split


@dataclass(frozen=True, eq=False)
class Windows:
    """Input and target windows at given origins; nothing is materialised but the batch in hand.

    Attributes:
        values: standardised observations, float64.
        lookback: L, steps of input.
        horizon: H, steps of target.
        origins: row of every window's first target step, as `splits.origins` makes them.
        step: rows between two origins of a series.
    """

    values: Float[np.ndarray, "time channel"]
    lookback: int
    horizon: int
    origins: Int[np.ndarray, " window"]
    step: int = 1

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def channels(self) -> int:
        """C, channels of a window."""
        return self.values.shape[1]

    @property
    def overlap(self) -> int:
        """Consecutive windows that share target rows: H for a step of 1."""
        return -(-self.horizon // self.step)

    @cached_property
    def _strided(self) -> Float[Tensor, "start channel length"]:
        """A view of every stretch of lookback + horizon rows, straddling or not; origins pick the right ones."""
        values = torch.from_numpy(self.values.astype(np.float32))
        return values.unfold(0, self.lookback + self.horizon, 1)

    def gather(
        self, index: Int[Tensor, " batch"] | slice
    ) -> tuple[Float[Tensor, "batch lookback channel"], Float[Tensor, "batch horizon channel"]]:
        """Inputs and targets of the windows at `index`, float32; memory is that of the batch."""
        rows = torch.from_numpy(self.origins)[index] - self.lookback
        both = self._strided[rows].transpose(1, 2)  # (batch, lookback + horizon, channel)
        return both[:, : self.lookback], both[:, self.lookback :]

    def batches(
        self, size: int
    ) -> Iterator[tuple[slice, Float[Tensor, "batch lookback channel"], Float[Tensor, "batch horizon channel"]]]:
        """All windows in order, `size` at a time; the last, partial batch is kept."""
        for start in range(0, len(self), size):
            index = slice(start, min(start + size, len(self)))
            yield (index, *self.gather(index))

    def strided(self, stride: int) -> Windows:
        """Every `stride`-th window, the first one kept."""
        return replace(self, origins=self.origins[::stride], step=self.step * stride)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Stretches of consecutive origins as (first, last + 1): closed forms add these up without windows."""
        cuts = np.flatnonzero(np.diff(self.origins) != 1) + 1
        for run in np.split(self.origins, cuts):
            if len(run):
                yield int(run[0]), int(run[-1]) + 1


@dataclass(frozen=True, eq=False)
class Experiment:
    """A panel cut into training, validation and test windows under one protocol.

    The three parts share lookback, horizon and the scaler of the training rows.
    """

    panel: Panel
    split: str
    borders: Borders
    scaler: Scaler
    train: Windows
    validation: Windows
    test: Windows

    def part(self, part: Part) -> Windows:
        """The windows of one part."""
        windows: Windows = getattr(self, part)
        return windows


def prepare(panel: Panel, lookback: int, horizon: int, split: str | None = None, step: int = 1) -> Experiment:
    """Cut a panel by its standard split or by `split`, and standardise it by the training rows.

    A step above 1 keeps only every step-th origin of all parts; see `splits.origins`.

    Raises:
        DataError: if a part is too short for one window, or a channel is constant in training.
        UsageError: if `split` cannot be read.
    """
    split = split or panel.split
    borders = parse_split(split, panel)
    cut = {part: origins(panel, borders, part, lookback, horizon, step) for part in PARTS}
    scaler = fit_scaler(panel, borders)
    values = scaler.scale(panel)
    windows = {part: Windows(values, lookback, horizon, cut[part], step) for part in PARTS}
    return Experiment(panel, split, borders, scaler, **windows)
