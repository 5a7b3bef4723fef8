"""Where values lie on a drawing, and the axes around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from forecheck.reports import numbers
from forecheck.reports.numbers import Number
from forecheck.reports.svg import NONE, tag, tick_labels, ticks


@dataclass(frozen=True)
class Frame:
    """A drawing of `width` x `height` for x from `first` to `last` and y from `low` to `high`."""

    width: int
    height: int
    first: int
    last: int
    low: float
    high: float
    most: int = 7

    left: int = 52
    top: int = 10

    @property
    def right(self) -> int:
        """Where the last x lies."""
        return self.width - 14

    @property
    def bottom(self) -> int:
        """Where the axis of x lies."""
        return self.height - 34

    def x(self, step: float) -> float:
        """Where a step lies."""
        return self.left + (step - self.first) / (self.last - self.first) * (self.right - self.left)

    def y(self, value: Number) -> float:
        """Where a value lies; not a number if it is missing."""
        if value is None or not numbers.known(value):
            return float("nan")
        return self.bottom - (value - self.low) / (self.high - self.low) * (self.bottom - self.top)

    def steps(self, percent: bool = False) -> Markup:
        """Both axes, x counted in steps."""
        steps = [step for step in ticks(self.first, self.last, 10 if self.width > 400 else 5) if step == round(step)]
        if self.first == 1:
            steps = [1.0, *(step for step in steps if step > 1)]
        return self.values(percent) + NONE.join(self.mark(step, f"{step:.0f}") for step in steps)

    def values(self, percent: bool = False) -> Markup:
        """The axis of y, with a line at each tick."""
        parts = []
        at = ticks(self.low, self.high, self.most)
        for value, label in zip(at, tick_labels(at, percent=percent), strict=True):
            parts.append(tag("path", d=f"M{self.left} {self.y(value):.1f}H{self.right}", class_="grid"))
            text = f"{label} %" if percent else label
            parts.append(tag("text", text, x=self.left - 6, y=self.y(value) + 4, class_="label end"))
        return NONE.join(parts)

    def mark(self, step: float, label: str) -> Markup:
        """A tick of the axis of x."""
        line = tag("path", d=f"M{self.x(step):.1f} {self.bottom}v4", class_="tick")
        return line + tag("text", label, x=self.x(step), y=self.bottom + 17, class_="label")

    def band(self, low: float, high: float) -> Markup:
        """A stripe between two values."""
        top, bottom = self.y(min(high, self.high)), self.y(max(low, self.low))
        return tag(
            "rect", x=self.left, y=top, width=self.right - self.left, height=max(bottom - top, 0.0), class_="band"
        )


def span(series: Sequence[Sequence[Number]], include: Sequence[float] = ()) -> tuple[float, float]:
    """The range of all values and of `include`, with some room."""
    values = [value for values in series for value in values if value is not None and numbers.known(value)]
    low, high = min([*values, *include], default=0.0), max([*values, *include], default=1.0)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room
