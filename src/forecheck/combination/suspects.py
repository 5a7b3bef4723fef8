"""Columns that deserve a second look before they are tried: constant ones, some that tell the same, some that leak."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from forecheck.combination.features import Column, Raw, columns_of
from forecheck.combination.ragged import Ragged
from forecheck.combination.worth import Worth

_SAME = 1e-6
"""Share of a column's variance that others leave unexplained, below which it tells nothing new."""
_LEAK = 0.98
"""Correlation of changes from which a column is the target itself."""
_FEWEST = 20
_SERIES = 200
"""Series that are looked at for leaks."""
_REACH = 200
"""Steps that are looked ahead and back."""


def untried(batch: Ragged, raw: Raw, channels: int) -> tuple[list[Column], Worth]:
    """How known or past columns enter, and what is known of their worth before they are tried.

    Args:
        batch: channels within series.
        raw: columns of the series.
        channels: of every series.
    """
    columns, constant = columns_of(raw)
    return columns, Worth(
        used=False,
        why="the history is too short to try them" if columns else "they never change in the history",
        constant=tuple(constant),
        collinear=tuple(collinear(raw)),
        leaking=leaking(batch, raw, channels),
    )


def collinear(raw: Raw) -> list[str]:
    """Columns of numbers that others give exactly, of which ridge shares the effect.

    Args:
        raw: known columns.
    """
    names = [name for name in raw.names if name not in raw.levels]
    if len(names) < 2:
        return []
    history = raw.values[:, : -raw.horizon]
    places = [raw.names.index(name) for name in names]
    x = history[..., places].reshape(-1, len(places))
    x = x[~np.isnan(x).any(axis=1)]
    x = x - x.mean(axis=0) if len(x) else x
    size = np.sqrt(np.square(x).sum(axis=0))
    varies = size > 0
    names = [name for name, kept in zip(names, varies, strict=True) if kept]
    if len(names) < 2:
        return []
    x = x[:, varies] / size[varies]
    values, vectors = np.linalg.eigh(x.T @ x)
    null = vectors[:, values < _SAME]
    return [name for name, row in zip(names, null, strict=True) if np.abs(row).max(initial=0.0) > 0.1]


def leaking(batch: Ragged, raw: Raw, channels: int) -> dict[str, int]:
    r"""Columns whose changes are those of the target, and by how many steps they are behind it.

    .. math:: \max_{k < H} | \operatorname{corr}(\Delta x_t, \Delta y_{t-k}) | > .98

    A column that is the target of k < H steps before, of the same step (k = 0) or of a later one (k < 0) cannot be
    known over a horizon of H steps, unless the target is.

    Args:
        batch: channels within series.
        raw: known columns of the series.
        channels: of every series.
    """
    width = batch.values.shape[1]
    reach = min(raw.horizon, _REACH)
    found: dict[str, int] = {}
    for place, name in enumerate(raw.names):
        if name in raw.levels:
            continue
        best = (_LEAK, 0)
        dx = np.diff(raw.values[:_SERIES, :width, place], axis=1)
        if not np.nan_to_num(dx).any():
            continue
        for channel in range(channels):
            y = np.where(batch.truth, batch.values, np.nan)[channel : _SERIES * channels : channels]
            dy = np.diff(y, axis=1)
            for k in range(-reach, reach):
                size = _correlation(_behind(dx, -k), _behind(dy, k))
                best = max(best, (size, k))
        if best[0] > _LEAK:
            found[name] = best[1]
    return found


def _behind(x: Float[np.ndarray, "series step"], k: int) -> Float[np.ndarray, "series rest"]:
    """Without the last k steps; for a negative number without the first ones."""
    return x[:, : x.shape[1] - k] if k > 0 else x


def _correlation(a: Float[np.ndarray, "series left"], b: Float[np.ndarray, "series right"]) -> float:
    """Of what both have, after the longer one has lost its first steps; mean over series."""
    steps = min(a.shape[1], b.shape[1])
    a, b = a[:, a.shape[1] - steps :], b[:, b.shape[1] - steps :]
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = np.where(known, a, 0.0), np.where(known, b, 0.0)
    count = np.maximum(1, known.sum(axis=1))
    a = np.where(known, a - (a.sum(axis=1) / count)[:, None], 0.0)
    b = np.where(known, b - (b.sum(axis=1) / count)[:, None], 0.0)
    size = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    seen = (size > 0) & (known.sum(axis=1) >= _FEWEST)
    return float(np.abs((a * b).sum(axis=1)[seen] / size[seen]).mean()) if seen.any() else 0.0
