"""Values that stand for *missing*."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecheck.data.panel import Panel

CODES = (
    *(-9999.0, -999.0, -99.0, -9999.9, -999.9, -99.9, -99999.0, -32768.0, 999.0, 9999.0, 99999.0, 32767.0),
    *(-(2.0**31), 2.0**31 - 1, 65535.0, 1e20, 1e30, -1e30, 9.96921e36, 9.969209968386869e36, 9.999e20),
)
"""Values that data providers are known to write for *missing*; the far ones of them count from a single row on."""
_SCALES = 8.0
_KINDS = 4  # codes in one channel, at most


@dataclass(frozen=True)
class Sentinel:
    """A value that looks like a code for *missing*.

    Attributes:
        channel: where.
        value: the code, in the panel's units.
        count: rows that hold it.
        first: first of these rows, counted from the start of the panel.
        distance: how far it is from the nearest other value, in widths of the channel's other values.
    """

    channel: str
    value: float
    count: int
    first: int
    distance: float


def sentinels(panel: Panel) -> list[Sentinel]:
    """Values that stand for *missing*, by channel and size.

    A value counts if it is the channel's least or largest; is farther from the nearest other value than all others
    are from each other; is more than 8 robust scales (1.4826 median absolute deviations) from the median; and occurs
    exactly at least twice, or once if it is a well-known code. The second condition spares heavy tails and series
    that are mostly zero (rain), whose robust scale is 0. What is found is taken away and looked for again.
    """
    found = []
    for c, name in enumerate(panel.channels):
        column = panel.values[:, c]
        values, counts = np.unique(column, return_counts=True)
        centre = np.median(column)
        scale = 1.4826 * np.median(np.abs(column - centre))
        for _ in range(_KINDS):
            if len(values) < 3:
                break
            low, high = values[1] - values[0], values[-1] - values[-2]
            end = 0 if low >= high else -1
            rest = values[1:] if end == 0 else values[:-1]
            gap, width, value, count = max(low, high), rest[-1] - rest[0], values[end], int(counts[end])
            known = value in CODES
            if not (gap > width and abs(value - centre) > _SCALES * scale and count >= (1 if known else 2)):
                break
            first = int(np.flatnonzero(column == value)[0])
            found.append(Sentinel(name, float(value), count, first, float(gap / width)))
            values, counts = (z[1:] if end == 0 else z[:-1] for z in (values, counts))
    return found
