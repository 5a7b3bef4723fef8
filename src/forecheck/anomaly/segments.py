"""Runs of marked points, how two lists of runs overlap, and how far points are from a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Real


@dataclass(frozen=True, eq=False)
class Segments:
    """Disjoint intervals in their order, half-open: `starts[j] <= t < ends[j]`.

    Attributes:
        starts: first points.
        ends: points after the last ones.
    """

    starts: Real[np.ndarray, "segment"]
    ends: Real[np.ndarray, "segment"]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> Real[np.ndarray, "segment"]:
        """Points of each."""
        return self.ends - self.starts


def segments(y: Bool[np.ndarray, "time"]) -> Segments:
    r"""The maximal runs of marked points.

    .. math:: [a_j, b_j) : y_t = 1 \text{ for } a_j \le t < b_j, \quad y_{a_j - 1} = y_{b_j} = 0

    Args:
        y: which points are marked.

    Returns:
        Starts and ends, half-open, in order.
    """
    changes = np.flatnonzero(y[1:] != y[:-1]) + 1
    if len(y) and y[0]:
        changes = np.concatenate(([0], changes))
    if len(y) and y[-1]:
        changes = np.concatenate((changes, [len(y)]))
    return Segments(changes[::2], changes[1::2])


def counts(y: Bool[np.ndarray, "time"], within: Segments) -> Int[np.ndarray, "segment"]:
    """How many points are marked in each of some segments."""
    sums = np.concatenate(([0], np.cumsum(y)))
    return sums[within.ends] - sums[within.starts]


@dataclass(frozen=True, eq=False)
class Overlaps:
    """What two lists of segments share, a row for each pair that overlaps, by the first, then by the second.

    Attributes:
        first, second: places in the two lists.
        starts, ends: what is shared, half-open.
    """

    first: Int[np.ndarray, "pair"]
    second: Int[np.ndarray, "pair"]
    starts: Real[np.ndarray, "pair"]
    ends: Real[np.ndarray, "pair"]

    @property
    def lengths(self) -> Real[np.ndarray, "pair"]:
        """Points of each."""
        return self.ends - self.starts


def overlaps(first: Segments, second: Segments) -> Overlaps:
    """The pairs that overlap; at most `len(first) + len(second)`, since each list is disjoint and sorted."""
    low = np.searchsorted(second.ends, first.starts, side="right")
    many = np.maximum(np.searchsorted(second.starts, first.ends, side="left") - low, 0)
    i = np.repeat(np.arange(len(first)), many)
    j = np.arange(len(i)) - np.repeat(np.cumsum(many) - many, many) + np.repeat(low, many)
    return Overlaps(i, j, np.maximum(first.starts[i], second.starts[j]), np.minimum(first.ends[i], second.ends[j]))


def distances(y: Bool[np.ndarray, "time"]) -> Int[np.ndarray, "time"]:
    r"""Distance of each point to the nearest marked one.

    .. math:: d_t = \min_{u : y_u = 1} |t - u|

    Args:
        y: which points are marked; at least one is.
    """
    n = len(y)
    at = np.arange(n)
    before = np.maximum.accumulate(np.where(y, at, -n))
    after = np.minimum.accumulate(np.where(y, at, 2 * n)[::-1])[::-1]
    return np.minimum(at - before, after - at)


def first_marked(y: Bool[np.ndarray, "time"], within: Segments) -> Int[np.ndarray, "segment"]:
    """The first marked point at or after each segment's start, wherever it lies; the length of `y` if there is none."""
    marked = np.append(np.flatnonzero(y), len(y))
    return marked[np.searchsorted(marked[:-1], within.starts)]
