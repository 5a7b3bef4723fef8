"""Axes of numbers, linear or logarithmic: where a value lies, and ticks whose labels do not collide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from forecheck.reports import numbers
from forecheck.reports.svg import ticks

GREATEST = 1e250  # beyond it differences and powers of ten overflow
FINEST = 1e-9  # a range that is narrower, in parts of its values, is drawn as one value
CHARACTER, LINE = 7.0, 14.0  # how much room a sign of a label takes
GAP = 10.0
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`, which lie from `start` to `stop` on the drawing.

    Attributes:
        low, high: the ends; their logarithms to base 10 on a logarithmic axis.
        start, stop: where they lie; an upright axis starts at the bottom.
        log: whether it is logarithmic.
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies; it may lie beyond the ends."""
        placed = math.log10(value) if self.log else value
        return self.start + (placed - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self, *, upright: bool = False, whole: bool = False) -> list[tuple[float, str]]:
        """Values and labels: as many round numbers as have room, and no broken ones if all must be `whole`."""
        length = abs(self.stop - self.start)
        best: list[tuple[float, str]] = []
        for values in self._candidates(int(length // 45) + 2):
            if whole and any(value != round(value) for value in values):
                continue
            labelled = list(zip(values, _labels(values, self.log), strict=True))
            places = [(self.at(value), LINE if upright else CHARACTER * len(label)) for value, label in labelled]
            if all(abs(b - a) >= (one + two) / 2 + (0 if upright else GAP) for (a, one), (b, two) in pairwise(places)):
                return labelled
            best = best or labelled[:1]
        return best

    def _candidates(self, most: int) -> Iterator[list[float]]:
        """Sets of ticks, the fullest first."""
        if not self.log:
            yield from (ticks(self.low, self.high, count) for count in range(most, 0, -1))
            return
        powers = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
        if len(powers) < 3:
            near = range(math.floor(self.low), math.ceil(self.high) + 1)
            fine = [factor * 10.0**power for power in near for factor in (1, 2, 5)]
            inside = [value for value in fine if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9]
            if len(inside) < 3:
                low, high = 10.0**self.low, 10.0**self.high
                yield from (ticks(low, high, count) for count in range(min(most, 6), 2, -1))
            yield inside
        yield from ([10.0**power for power in powers if power % step == 0] for step in range(1, max(len(powers), 1)))
        yield [10.0**power for power in powers[:1]]


def usable(value: object, *, log: bool = False) -> bool:
    """Whether a value has a place on an axis: a finite number, and a positive one if the axis is logarithmic."""
    if not numbers.known(value):
        return False
    assert isinstance(value, (int, float))
    return (1 / GREATEST if log else -GREATEST) <= value <= GREATEST


def spanned(values: Sequence[float], start: float, stop: float, *, log: bool, room: float = 0.0) -> Axis:
    """The axis of these values, with some room at both ends (a share of their range); one alone is in the middle.

    Args:
        values: at least one; positive if `log`.
        start: pixel of the lower end of the axis.
        stop: pixel of its upper end.
        log: whether the axis is logarithmic.
        room: free share of the range at each end.
    """
    placed = [math.log10(value) for value in values] if log else list(values)
    low, high = min(placed), max(placed)
    if high - low <= max(FINEST * max(abs(low), abs(high)), 1e-280):
        half = 0.5 if log else abs(high) / 10 or 1.0
        return Axis(low - half, high + half, start, stop, log)
    room *= high - low
    return Axis(low - room, high + room, start, stop, log)


def _labels(values: Sequence[float], log: bool) -> list[str]:
    """Labels with just the digits that tell them apart."""
    if log and all(math.isclose(value, 10.0 ** round(math.log10(value))) for value in values):
        powers = [round(math.log10(value)) for value in values]
        if not all(-3 <= power <= 4 for power in powers):
            return [f"10{str(power).translate(_SUPERSCRIPTS)}" for power in powers]
        return [f"{value:,.{max(-power, 0)}f}" for value, power in zip(values, powers, strict=True)]
    if log:
        return [f"{value:,.6g}" if 1e-4 <= value < 1e6 else _powered(f"{value:.5e}") for value in values]
    most = max(map(abs, values), default=0.0)
    gap = min((b - a for a, b in pairwise(values)), default=most)
    fine = -math.floor(math.log10(gap) + 1e-9) if gap else 0
    if most and not 1e-4 <= most < 1e6:
        size = math.floor(math.log10(most))
        return [_powered(f"{round(value / gap) * gap:.{max(size + fine, 0)}e}") if value else "0" for value in values]
    return [f"{value:,.{max(fine, 0)}f}" for value in values]


def _powered(text: str) -> str:
    """`1.50000e-07` as `1.5·10⁻⁷`."""
    digits, power = text.split("e")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{digits}·10{str(int(power)).translate(_SUPERSCRIPTS)}"
