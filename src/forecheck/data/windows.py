"""Windows: panel + lookback + horizon + origins, gathered batch by batch from strided views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecheck.data.causal import causal
from forecheck.data.panel import Panel
from forecheck.data.scaling import Scaler, fit_scaler, scalable
from forecheck.data.splits import PARTS, Borders, Part, notes, origins, parse_split
from forecheck.data.stamped import Stamped, Times

_ROUNDING = 1e-6  # of a step: calendars of series on other grids are fractions


@dataclass(frozen=True, eq=False)
class Windows:
    """Input and target windows at given origins; nothing is materialised but the batch in hand.

    Attributes:
        values: standardised observations, float64; where something was filled, what inputs see of it
            (`forecheck.data.causal`).
        lookback: L, steps of input.
        horizon: H, steps of target.
        origins: row of every window's first target step, as `splits.origins` makes them.
        step: rows between two origins of a series.
        targets: what targets are where they are not `values`: NaN for what was filled, which no loss counts. None if
            nothing was filled.
        calendar: steps of every row from the earliest stamp of the panel, None for a single series: its rows.
        stamps: of every row, where inputs are to know when they are (`forecheck.data.stamped`); None elsewhere.
        device: where the values are put, once, and batches are gathered.
    """

    values: Float[np.ndarray, "time channel"]
    lookback: int
    horizon: int
    origins: Int[np.ndarray, " window"]
    step: int = 1
    targets: Float[np.ndarray, "time channel"] | None = None
    calendar: Float[np.ndarray, " time"] | None = None
    stamps: Times | None = None
    device: str = "cpu"

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def channels(self) -> int:
        """C, channels of a window."""
        return self.values.shape[1]

    @property
    def times(self) -> Float[np.ndarray, " window"]:
        """Steps of the calendar at every origin: what several series have in common."""
        return self.origins.astype(np.float64) if self.calendar is None else self.calendar[self.origins]

    @cached_property
    def overlap(self) -> int:
        """The largest number of distinct origin times within H steps of the calendar: H for a step of 1.

        Losses are pooled by time, so that of two series whose origins take turns twice as many times share targets.
        """
        least = -(-self.horizon // self.step)
        if self.calendar is None:
            return least
        times = np.unique(self.times)
        reached = np.searchsorted(times, times + (self.horizon - _ROUNDING))
        return max(least, int((reached - np.arange(len(times))).max(initial=0)))

    @cached_property
    def _strided(self) -> Float[Tensor, "start channel length"]:
        """A view of every stretch of lookback + horizon rows, straddling or not; origins pick the right ones."""
        return _stretches(self.values, self.lookback + self.horizon, self.device)

    @cached_property
    def _strided_targets(self) -> Float[Tensor, "start channel horizon"]:
        assert self.targets is not None
        return _stretches(self.targets, self.horizon, self.device)

    def gather(
        self, index: Int[Tensor, " batch"] | slice
    ) -> tuple[Float[Tensor, "batch lookback channel"], Float[Tensor, "batch horizon channel"]]:
        """Inputs and targets of the windows at `index`, float32; memory is that of the batch.

        Targets are NaN where they were filled.
        """
        rows = torch.from_numpy(self.origins)[index].to(self.device)
        both = self._strided[rows - self.lookback].transpose(1, 2)  # (batch, lookback + horizon, channel)
        x, y = both[:, : self.lookback], both[:, self.lookback :]
        if self.stamps is not None:
            x = Stamped.of(x, rows, self.stamps)
        return x, y if self.targets is None else self._strided_targets[rows].transpose(1, 2)

    def observed(self, index: Int[Tensor, " batch"] | slice) -> Int[np.ndarray, " horizon"]:
        """How many targets of the windows at `index` were observed, over all channels, by step of the horizon."""
        rows = self.origins[index if isinstance(index, slice) else index.numpy()]
        if self.targets is None:
            return np.full(self.horizon, len(rows) * self.channels)
        seen = (~np.isnan(self.targets)).sum(axis=1)
        return np.array([int(seen[rows + ahead].sum()) for ahead in range(self.horizon)])

    def batches(
        self, size: int
    ) -> Iterator[tuple[slice, Float[Tensor, "batch lookback channel"], Float[Tensor, "batch horizon channel"]]]:
        """All windows in order, `size` at a time; the last, partial batch is kept."""
        for start in range(0, len(self), size):
            index = slice(start, min(start + size, len(self)))
            yield (index, *self.gather(index))

    def on(self, device: str) -> Windows:
        """The same windows, gathered on a device."""
        return self if device == self.device else replace(self, device=device)

    def strided(self, stride: int) -> Windows:
        """Every `stride`-th window, the first one kept; of several series those of the same times."""
        if self.calendar is None:
            kept = self.origins[::stride]
        else:
            turn = np.floor(self.times).astype(np.int64) // self.step
            kept = self.origins[(turn - (turn.min() if len(turn) else 0)) % stride == 0]
        return replace(self, origins=kept, step=self.step * stride)

    def shortened(self, lookback: int) -> Windows:
        """All windows of a shorter input that lie inside these: the same ones, and earlier ones.

        Args:
            lookback: steps of input, at most L.
        """
        reach = (self.lookback - lookback) // self.step * self.step
        firsts = self.origins[np.flatnonzero(np.diff(self.origins, prepend=-1) != self.step)]
        earlier = [np.arange(first - reach, first, self.step) for first in firsts]
        rows = np.unique(np.concatenate([*earlier, self.origins]))
        return replace(self, lookback=lookback, origins=rows)

    def of_channels(self, channels: slice) -> Windows:
        """The same windows of some channels."""
        targets = None if self.targets is None else self.targets[:, channels]
        return replace(self, values=self.values[:, channels], targets=targets)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Stretches of consecutive origins as (first, last + 1): closed forms add these up without windows."""
        cuts = np.flatnonzero(np.diff(self.origins) != 1) + 1
        for run in np.split(self.origins, cuts):
            if len(run):
                yield int(run[0]), int(run[-1]) + 1


def _stretches(
    values: Float[np.ndarray, "time channel"], length: int, device: str
) -> Float[Tensor, "start channel length"]:
    return torch.from_numpy(values.astype(np.float32)).to(device).unfold(0, length, 1)


@dataclass(frozen=True, eq=False)
class Experiment:
    """A panel cut into training, validation and test windows under one protocol.

    The three parts share lookback, horizon and the scaler of the training rows.

    Attributes:
        panel: the data.
        split: how it was cut.
        borders: of every series; those of series without a scale are empty.
        scaler: of the training rows.
        train, validation, test: windows of the parts.
        notes: sentences on series that do not serve in every part.
    """

    panel: Panel
    split: str
    borders: Borders
    scaler: Scaler
    train: Windows
    validation: Windows
    test: Windows
    notes: tuple[str, ...] = ()

    def part(self, part: Part) -> Windows:
        """The windows of one part."""
        windows: Windows = getattr(self, part)
        return windows

    def stamped(self) -> Experiment:
        """The same with inputs that know when they are, for a model that asks for their times."""
        train, validation, test = (replace(self.part(part), stamps=self.panel.time) for part in PARTS)
        return replace(self, train=train, validation=validation, test=test)


def prepare(
    panel: Panel, lookback: int, horizon: int, split: str | None = None, step: int = 1, scaler: Scaler | None = None
) -> Experiment:
    """Cut a panel by its standard split or by `split`, and standardise it by the training rows, or by `scaler`.

    A step above 1 keeps only every step-th origin of all parts; see `splits.origins`.

    Series of a panel with too few training rows have no scale and no windows; `Experiment.notes` names them. Inputs
    see what was filled as `causal` says, and the training mean before a channel's first observation; targets that were
    filled are NaN.

    Args:
        panel: the data.
        lookback: L, steps of input.
        horizon: H, steps of target.
        split: see `parse_split`; None for the panel's own.
        step: origins are multiples of it, in all parts.
        scaler: mean and standard deviation of every series and channel; None to fit them on the training rows.

    Raises:
        DataError: if a part is too short for one window, or a channel is constant in training.
        UsageError: if `split` cannot be read.
    """
    split = split or panel.split
    borders = parse_split(split, panel)
    borders = borders.only(scalable(panel, borders))
    cut = {part: origins(panel, borders, part, lookback, horizon, step) for part in PARTS}
    scaler = fit_scaler(panel, borders) if scaler is None else scaler
    values, targets = scaler.scale(panel), None
    if panel.filled is not None:
        targets = np.where(panel.filled, np.nan, values)
        known = causal(panel)
        values = np.where(np.isnan(known), 0.0, scaler.scale(panel, known))
    calendar = panel.calendar if len(panel.series) > 1 else None
    windows = {part: Windows(values, lookback, horizon, cut[part], step, targets, calendar) for part in PARTS}
    return Experiment(panel, split, borders, scaler, **windows, notes=notes(panel, borders, cut))
