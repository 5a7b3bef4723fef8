"""Curves over a number, as `forecheck.papers.plots.curves` gives them: lines, dashes, points, bands and levels.

What is missing or has no place on its axis (not finite, not positive on a logarithmic one) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from forecheck.reports import numbers
from forecheck.reports.axes import CHARACTER, Axis, spanned, usable
from forecheck.reports.numbers import short
from forecheck.reports.plots import swatch
from forecheck.reports.svg import NONE, path, tag, thin
from forecheck.reports.tables import Column, Group, Table

COLOURS = 7
MOST_SERIES = 12
MOST_LEVELS = 4
MOST_POINTS = 400
MOST_ROWS = 24  # of the table of numbers
DOTTED = 18  # a curve of no more points shows them
SIZES = ((760, 290), (340, 240))
STYLES = {"dashed": "dashed", "points": "spots"}  # of a piece of a curve in the legend


@dataclass(frozen=True)
class Point:
    """A value at x, and the ends of the band around it."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curve:
    """One curve: points in their order, None where one is left out."""

    label: str
    classes: str
    style: str
    points: list[Point | None]

    @property
    def known(self) -> list[Point]:
        """The points that are drawn."""
        return [point for point in self.points if point is not None]


@dataclass(frozen=True)
class Level:
    """A horizontal line with its name."""

    label: str
    classes: str
    value: float


@dataclass(frozen=True)
class Drawing:
    """What can be drawn of a chart, and how many values cannot."""

    curves: list[Curve]
    levels: list[Level]
    x_log: bool
    y_log: bool
    left_out: int


def drawing_of(given: Mapping[str, Any]) -> Drawing | None:
    """What can be drawn; None if there is no point at all."""
    x_log, y_log = (given.get(name) == "log" for name in ("x_scale", "y_scale"))
    series = [each for each in given.get("series") or [] if isinstance(each, Mapping)]
    read = [_curve(each, k, x_log, y_log) for k, each in enumerate(series[:MOST_SERIES])]
    curves = [curve for curve in read if curve.known]
    found = [each for each in given.get("levels") or [] if usable(each.get("value"), log=y_log)][:MOST_LEVELS]
    levels = [Level(str(each.get("label")), f"level l{k}", float(each["value"])) for k, each in enumerate(found)]
    there = sum(value is not None for each in series for value in each.get("y") or [])
    return Drawing(curves, levels, x_log, y_log, there - sum(len(each.known) for each in read)) if curves else None


def draw(given: Mapping[str, Any], title: str, drawing: Drawing, said: str, width: int, height: int) -> Markup:
    """The drawing at a size.

    Args:
        given: the chart of a finding or claim; only labels of its axes are read here.
        title: of the chart.
        drawing: what can be drawn of it.
        said: the chart in words, for those who do not see it.
        width: in pixels.
        height: in pixels.
    """
    top, bottom, right = 10.0, height - 38.0, width - 10.0
    upright = spanned(_heights(drawing), bottom, top, log=drawing.y_log, room=0.05)
    marks = upright.ticks(upright=True)
    left = min(12 + CHARACTER * max((len(label) for _, label in marks), default=0), width / 3)
    places = [point.x for curve in drawing.curves for point in curve.known]
    level = spanned(places, left + 8, right - 8, log=drawing.x_log)
    parts = []
    for value, label in marks:
        y = upright.at(value)
        parts.append(tag("path", d=f"M{left:.1f} {y:.1f}H{right:.1f}", class_="grid"))
        parts.append(tag("text", label, x=left - 6, y=y + 4, class_="label end"))
    for value, label in level.ticks(whole=all(place == round(place) for place in places)):
        x, half = level.at(value), CHARACTER * len(label) / 2
        parts.append(tag("path", d=f"M{x:.1f} {bottom}v4", class_="tick"))
        parts.append(tag("text", label, x=min(x, width - half), y=bottom + 17, class_="label"))
    parts += [_band(curve, level, upright) for curve in drawing.curves]
    parts += [_line(curve, level, upright) for curve in drawing.curves]
    for each in drawing.levels:
        line = f"M{left:.1f} {upright.at(each.value):.1f}H{right:.1f}"
        parts.append(tag("path", tag("title", each.label), d=line, class_=each.classes))
    below, fits = _axis_label(given, "x", drawing.x_log), int((width - 12) / CHARACTER)
    below = below if len(below) <= fits else f"{below[: fits - 1]}…"
    parts.append(tag("text", below, x=right, y=height - 4, class_="label end"))
    text = tag("title", title) + tag("desc", said)
    return tag("svg", text + NONE.join(parts), viewBox=f"0 0 {width} {height}", class_="lines", role="img")


def legend(drawing: Drawing) -> list[tuple[str, Markup]]:
    """Names with a piece of their line; one curve alone needs none."""
    if len(drawing.curves) == 1 and not drawing.levels:
        return []
    curves = [(curve.label, swatch(f"{curve.classes} {STYLES.get(curve.style, '')}")) for curve in drawing.curves]
    return curves + [(f"{each.label}: {short(each.value)}", swatch(each.classes)) for each in drawing.levels]


def caption(given: Mapping[str, Any], drawing: Drawing) -> str:
    """`mean squared error by heads`, with the scales that are logarithmic."""
    labels = (_axis_label(given, "y", drawing.y_log) or "value", _axis_label(given, "x", drawing.x_log))
    return " by ".join(label for label in labels if label)


def said(given: Mapping[str, Any], drawing: Drawing) -> str:
    """The curves in a sentence, for those who do not see them."""
    parts = []
    for curve in drawing.curves:
        first, last, values = curve.known[0], curve.known[-1], [point.y for point in curve.known]
        parts.append(f"{curve.label} {short(first.y)} at {short(first.x)}")
        if len(values) > 1:
            inside = f"lowest {short(min(values))}, highest {short(max(values))}"
            parts[-1] += f" to {short(last.y)} at {short(last.x)} ({inside})"
    parts += [f"{each.label} at {short(each.value)}" for each in drawing.levels]
    return f"{caption(given, drawing)}: {'; '.join(parts)}."


def table(given: Mapping[str, Any], title: str, drawing: Drawing) -> Table:
    """The numbers, a row for every x; of long curves evenly chosen ones, of short ones all.

    Args:
        given: the chart of a finding or claim; only labels are read here.
        title: of the table.
        drawing: what can be drawn of the chart.
    """
    kept: set[float] = set()
    for curve in sorted(drawing.curves, key=lambda curve: len(curve.known)):
        new = sorted({point.x for point in curve.known} - kept)
        kept |= set(_even(new, max(MOST_ROWS - len(kept), 2)))
    cells = [{point.x: _cell(point) for point in curve.known} for curve in drawing.curves]
    rows = [[short(x), *(one.get(x, numbers.NOTHING) for one in cells)] for x in sorted(kept)]
    columns = [Column(str(given.get("x_label") or "")), *(Column(each.label, right=True) for each in drawing.curves)]
    more = len({x for one in cells for x in one}) - len(kept)
    note = f"{more:,} more points are in the JSON report." if more else ""
    return Table(title, columns, [Group("", rows)], note)


def _curve(given: Mapping[str, Any], k: int, x_log: bool, y_log: bool) -> Curve:
    style = str(given.get("style") or "line")
    x, y, low, high = (given.get(name) or [] for name in ("x", "y", "low", "high"))
    count = min(len(x), len(y))
    points: list[Point | None] = []
    for i in range(count):
        if not usable(x[i], log=x_log) or not usable(y[i], log=y_log):
            points.append(None)
            continue
        ends = [low[i], high[i]] if i < min(len(low), len(high)) and usable(low[i]) and usable(high[i]) else []
        points.append(Point(float(x[i]), float(y[i]), *map(float, ends)))
    again = " again" if k >= COLOURS and style == "line" else ""  # a colour's second line is dashed
    return Curve(str(given.get("label")), f"c{1 + k % COLOURS}{again}", style, points)


def _heights(drawing: Drawing) -> list[float]:
    """What the upright axis has to reach.

    Bands count no farther off than the values reach, which they would press together otherwise.
    """
    points = [point for curve in drawing.curves for point in curve.known]
    values = [*(point.y for point in points), *(level.value for level in drawing.levels)]
    low, high = min(values), max(values)
    least, most = (low / 10, high * 10) if drawing.y_log else (2 * low - high, 2 * high - low)
    ends = [end for point in points for end in (point.low, point.high) if end is not None]
    return values + ([min(max(end, least), most) for end in ends] if drawing.y_log or most > least else ends)


def _line(curve: Curve, level: Axis, upright: Axis) -> Markup:
    kept = thin([None if point is None else point.y for point in curve.points], MOST_POINTS)
    points = [curve.points[i] for i, _ in kept]
    placed = [(level.at(point.x), upright.at(point.y)) if point else None for point in points]
    name = tag("title", curve.label)
    drawn = NONE
    if curve.style != "points":
        line = path([each or (0.0, None) for each in placed])
        drawn = tag("path", name, d=line, class_=f"line {curve.classes} {STYLES.get(curve.style, '')}".rstrip())
    dotted = curve.style == "points" or (curve.style == "line" and len(curve.known) <= DOTTED)
    dots = [each for each in placed if each] if dotted else _alone(placed)
    # A line of no length, which its round ends make a dot.
    marks = "".join(f"M{x:.1f} {y:.1f}l0 0" for x, y in dots)
    return drawn + tag("path", name, d=marks, class_=f"dots {curve.classes}") if dots else drawn


def _alone(placed: Sequence[tuple[float, float] | None]) -> list[tuple[float, float]]:
    """Points without a neighbour, which no line shows."""
    around = [None, *placed, None]
    return [each for k, each in enumerate(placed) if each and around[k] is None and around[k + 2] is None]


def _band(curve: Curve, level: Axis, upright: Axis) -> Markup:
    """The band as one shape for every stretch without gaps, cut off at the ends of the axis."""
    stretches: list[list[tuple[float, float, float]]] = [[]]
    for point in curve.points:
        if point is None or point.low is None or point.high is None:
            stretches.append([])
        else:
            stretches[-1].append((level.at(point.x), _cut(point.low, upright), _cut(point.high, upright)))
    outlines = []
    for stretch in filter(None, stretches):
        x, low, high = stretch[0]
        shown = stretch if len(stretch) > 1 else [(x - 1.5, low, high), (x + 1.5, low, high)]  # an upright line
        there, back = [(x, high) for x, _, high in shown], [(x, low) for x, low, _ in reversed(shown)]
        outlines.append(f"{path(there + back)}Z")
    return tag("path", d="".join(outlines), class_=f"ribbon {curve.classes}") if outlines else NONE


def _cut(value: float, upright: Axis) -> float:
    if upright.log and value <= 0:
        return upright.start
    return min(max(upright.at(value), upright.stop), upright.start)


def _axis_label(given: Mapping[str, Any], axis: str, log: bool) -> str:
    label = str(given.get(f"{axis}_label") or "")
    return f"{label} (log)" if log and label else label


def _cell(point: Point) -> str:
    bounds = f" [{short(point.low)}, {short(point.high)}]" if point.low is not None else ""
    return f"{short(point.y)}{bounds}"


def _even(values: Sequence[float], most: int) -> Sequence[float]:
    """The values, or `most` of them at even distances with the first and the last."""
    if len(values) <= most:
        return values
    return [values[k * (len(values) - 1) // (most - 1)] for k in range(most)]
