"""The curves of a page of forecasts: what was observed, what is forecast, and how one becomes the other's chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from forecheck.reports.axes import CHARACTER, GREATEST, Axis, spanned
from forecheck.reports.dates import Times
from forecheck.reports.numbers import short
from forecheck.reports.svg import NONE, path, tag, thin

Values = Float[np.ndarray, " _"]
LARGE, SMALL, NARROW = (940, 340), (460, 230), (380, 250)
"""Sizes of a drawing: one alone, one of many, and one alone on a narrow screen."""
_TOP, _BELOW, _RIGHT = 10.0, 26.0, 10.0
_MOST_SEASONS = 30
_POINTS = 500
"""Of a line; more are drawn by the least and greatest of each stretch."""


@dataclass(frozen=True, eq=False)
class Earlier:
    """A forecast that was made inside the history, beside what came.

    Attributes:
        back: steps from its first one to the end of the history, that one included.
        values: the forecast, in the units of the data; NaN where nothing was observed.
    """

    back: int
    values: Values


@dataclass(frozen=True, eq=False)
class Curves:
    """One series: the end of its history, and its forecast.

    Attributes:
        name: of the series, as it was in the data.
        unit: what is measured: the channel's name, or empty.
        time: stamps of the history, then of the forecast.
        history: what was observed; NaN where nothing was.
        point: the forecast.
        bands: lower and upper ends by level in percent, the narrowest first.
        earlier: what was forecast inside the history, if that is known.
        loss: how wrong forecasts of this series were; None if that is not known.
    """

    name: str
    unit: str
    time: Times
    history: Values
    point: Values
    bands: dict[float, tuple[Values, Values]]
    earlier: Earlier | None = None
    loss: float | None = None

    @property
    def span(self) -> tuple[float, float]:
        """The least and the greatest value that is drawn; ends of bands no farther off than the values reach."""
        parts = [self.history, self.point, *([self.earlier.values] if self.earlier else [])]
        values = np.concatenate(parts)
        values = np.clip(values[np.isfinite(values)], -GREATEST, GREATEST)
        if not len(values):
            return 0.0, 1.0
        low, high = float(values.min()), float(values.max())
        ends = np.concatenate([end for band in self.bands.values() for end in band] or [values])
        if high == low:
            return min(low, float(ends.min())), max(high, float(ends.max()))
        return max(min(low, float(ends.min())), 2 * low - high), min(max(high, float(ends.max())), 2 * high - low)


def draw(curves: Curves, ticks: Sequence[tuple[int, str]], period: int, size: tuple[int, int]) -> Markup:
    """One series as SVG.

    Args:
        curves: the series.
        ticks: places of `curves.time` and their labels.
        period: steps of a season, at whose multiples from the origin thin lines stand; 1 for none.
        size: width and height.
    """
    width, height = size
    bottom, start = height - _BELOW, len(curves.history)
    upright = spanned(curves.span, bottom, _TOP, log=False, room=0.04)
    marks = upright.ticks(upright=True)
    left = min(14 + CHARACTER * max((len(label) for _, label in marks), default=0), width / 3)
    level = spanned((0, max(len(curves.time) - 1, 1)), left + 2, width - _RIGHT, log=False)
    origin = level.at(start - 0.5)
    parts = [tag("rect", x=origin, y=_TOP, width=width - _RIGHT - origin, height=bottom - _TOP, class_="ahead")]
    for value, label in marks:
        y = upright.at(value)
        parts.append(tag("path", d=f"M{left:.1f} {y:.1f}H{width - _RIGHT:.1f}", class_="grid"))
        parts.append(tag("text", label, x=left - 6, y=y + 4, class_="label end"))
    lines = "".join(f"M{level.at(at):.1f} {_TOP}V{bottom}" for at in seasons(start, len(curves.time), period))
    parts.append(tag("path", d=lines, class_="season") if lines else NONE)
    free = 0.0
    for place, label in ticks:
        x, half = level.at(place), CHARACTER * len(label) / 2 + 2
        parts.append(tag("path", d=f"M{x:.1f} {bottom}v4", class_="tick"))
        at = min(max(x, half), width - half)
        if at - half >= free:
            parts.append(tag("text", label, x=at, y=bottom + 18, class_="label"))
            free = at + half + CHARACTER
    for low, high in reversed(curves.bands.values()):
        parts.append(tag("path", d=_outline(low, high, start, level, upright), class_="ribbon c1"))
    if curves.earlier is not None:
        first = start - curves.earlier.back
        placed = [(level.at(first + k), _at(upright, v)) for k, v in _thin(curves.earlier.values)]
        parts.append(tag("path", d=path(placed), class_="line c2 earlier"))
    seen = [(level.at(k), _at(upright, v)) for k, v in _thin(curves.history)]
    parts.append(tag("path", d=path(seen), class_="line c0 observed"))
    ahead = [(level.at(start + k), _at(upright, v)) for k, v in _thin(curves.point)]
    parts.append(tag("path", d=path([*seen[-1:], *ahead]), class_="line c1 forecast"))
    parts.append(tag("path", d=f"M{origin:.1f} {_TOP}V{bottom}", class_="origin"))
    parts.append(tag("path", d="", class_="cursor"))
    text = tag("title", curves.name) + tag("desc", said(curves))
    box = {"data_left": round(level.at(0), 2), "data_right": round(level.at(len(curves.time) - 1), 2)}
    return tag("svg", text + NONE.join(parts), viewBox=f"0 0 {width} {height}", class_="lines", role="img", **box)


def seasons(start: int, count: int, period: int) -> list[int]:
    """Places that lie whole seasons from the first step of the forecast.

    Args:
        start: steps before the forecast.
        count: steps in all.
        period: steps a season; below 2 there is none.

    Returns:
        Places from 0; none if there would be too many to be drawn.
    """
    if period < 2 or count / period > _MOST_SEASONS:
        return []
    return list(range(start % period, count, period))


def said(curves: Curves) -> str:
    """The series in a sentence, for those who do not see it."""
    known = curves.history[np.isfinite(curves.history)]
    last = f"last {short(float(known[-1]))}, " if len(known) else ""
    ends = f"{short(float(curves.point[0]))} to {short(float(curves.point[-1]))}"
    return f"{len(curves.history)} observed steps, {last}then {len(curves.point)} forecast steps, {ends}."


def _outline(low: Values, high: Values, start: int, level: Axis, upright: Axis) -> str:
    """A band as a closed path, cut off at the ends of the axis; that of one step is most of a step wide."""
    kept = np.unique(np.linspace(0, len(low) - 1, min(len(low), _POINTS)).round().astype(int))
    places = [float(start + k) for k in kept] if len(low) > 1 else [start - 0.4, start + 0.4]
    ends = [[_cut(upright, float(v)) for v in np.resize(end[kept], len(places))] for end in (high, low)]
    x = [level.at(place) for place in places]
    return path([*zip(x, ends[0], strict=True), *list(zip(x, ends[1], strict=True))[::-1]]).replace("l0 0", "") + "Z"


def _thin(values: Values) -> list[tuple[int, float]]:
    return [(k, np.nan if v is None else float(v)) for k, v in thin(values.tolist(), _POINTS)]


def _cut(axis: Axis, value: float) -> float:
    return min(max(axis.at(value), axis.stop), axis.start)


def _at(axis: Axis, value: float) -> float | None:
    return _cut(axis, value) if np.isfinite(value) else None
