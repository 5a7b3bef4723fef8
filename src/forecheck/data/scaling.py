"""Standardisation by the training part alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from forecheck.data.panel import Panel
from forecheck.data.splits import Borders
from forecheck.errors import DataError

FEWEST = 8
"""Training rows with an observation that a series of a panel needs: fewer tell no scale."""


@dataclass(frozen=True, eq=False)
class Scaler:
    """Mean and standard deviation of every channel of every series, over its training rows.

    z = (x - mean) / std, with the population standard deviation (as scikit-learn's StandardScaler, which the
    LTSF benchmarks use). NaN for a series that has no scale, see `scalable`.
    """

    mean: Float[np.ndarray, "series channel"]
    std: Float[np.ndarray, "series channel"]

    def scale(
        self, panel: Panel, values: Float[np.ndarray, "time channel"] | None = None
    ) -> Float[np.ndarray, "time channel"]:
        """The panel's values, or others of its rows, standardised."""
        values, repeats = panel.values if values is None else values, panel.lengths
        return (values - np.repeat(self.mean, repeats, axis=0)) / np.repeat(self.std, repeats, axis=0)

    @property
    def known(self) -> Bool[np.ndarray, " series"]:
        """Which series have a scale."""
        return ~np.isnan(self.mean).any(axis=1)


def scalable(panel: Panel, borders: Borders) -> Bool[np.ndarray, " series"]:
    """Series of a panel that have enough training rows to be scaled by, and are not constant there.

    A single series has to do.
    """
    return np.array([True]) if len(panel.series) == 1 else scalable_among(panel, borders)


def scalable_among(panel: Panel, borders: Borders) -> Bool[np.ndarray, " series"]:
    """As `scalable`, for some series of more."""
    parts = [slice(int(start), int(start + end)) for start, end in zip(panel.offsets, borders.train_end, strict=False)]
    seen = [None if panel.filled is None else ~panel.filled[part] for part in parts]
    enough = [
        part.stop - part.start >= FEWEST if mask is None else bool(mask.sum(axis=0).min() >= FEWEST)
        for part, mask in zip(parts, seen, strict=True)
    ]
    return np.array(
        [
            known and not _constant(panel.values[part], mask).any()
            for part, mask, known in zip(parts, seen, enough, strict=True)
        ]
    )


def _constant(
    values: Float[np.ndarray, "time channel"], seen: Bool[np.ndarray, "time channel"] | None
) -> Bool[np.ndarray, " channel"]:
    """Which channels have one value alone, among those that were observed."""
    if seen is None:
        return np.asarray((values == values[0]).all(axis=0))
    first = np.take_along_axis(values, seen.argmax(axis=0)[None], axis=0)
    return np.asarray(((values == first) | ~seen).all(axis=0))


def fit_scaler(panel: Panel, borders: Borders, known: Bool[np.ndarray, " series"] | None = None) -> Scaler:
    """Scaler of the observed values of the training rows; series that are not `scalable` get none.

    Args:
        panel: the data.
        borders: of the training rows.
        known: series that get one, where they are not the `scalable` ones.

    Raises:
        DataError: if a channel is constant over its training rows, or has no value there: it has no unit to scale by.
    """
    shape = len(panel.series), len(panel.channels)
    mean, std = np.full(shape, np.nan), np.full(shape, np.nan)
    for series in np.flatnonzero(scalable(panel, borders) if known is None else known):
        offset, end = int(panel.offsets[series]), int(borders.train_end[series])
        part = panel.values[offset : offset + end]
        if panel.filled is None:
            mean[series], std[series] = part.mean(axis=0), part.std(axis=0)
            constant = _constant(part, None)
        else:
            seen = ~panel.filled[offset : offset + end]
            empty = ~seen.any(axis=0)
            if empty.any():
                raise _no_unit(panel, int(series), int(np.argmax(empty)), f"has no value in its {end} training rows")
            mean[series], std[series] = part.mean(axis=0, where=seen), part.std(axis=0, where=seen)
            constant = _constant(part, seen)
        if constant.any():
            channel = int(np.argmax(constant))
            why = f"is constant ({mean[series, channel]:g}) over its {end} training rows"
            raise _no_unit(panel, int(series), channel, why, others=np.flatnonzero(constant).tolist()[1:])
    return Scaler(mean, std)


def _no_unit(panel: Panel, series: int, channel: int, why: str, others: Sequence[int] = ()) -> DataError:
    where = f' of series "{panel.series[series]}"' if len(panel.series) > 1 else ""
    dropped = [panel.series[series]] if where else [panel.channels[each] for each in (channel, *others)]
    more = f" and {len(others)} other{'s' * (len(others) > 1)}" if len(others) else ""
    what = ("series" if where else "channel") + "s" * (len(dropped) > 1)
    drop = f"Drop the {what} ({' '.join(f'--drop {shlex.quote(name)}' for name in dropped)})"
    alone = len(panel.series) == 1 and len(dropped) == len(panel.channels)  # nothing would be left
    return DataError(
        f'{panel.name}: channel "{panel.channels[channel]}"{more}{where} {why}',
        ("S" if alone else f"{drop}, or s")
        + "plit so that training sees it change; a forecast alone needs no training part: --model combination.",
    )
