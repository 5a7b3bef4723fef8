"""Line plots as inline SVG: the loss along the horizon, and examples of forecasts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from forecheck.reports import content, numbers, tables
from forecheck.reports.frame import Frame, span
from forecheck.reports.numbers import Number
from forecheck.reports.svg import NONE, path, tag, thin

COLOURS = 7  # the palette of the style sheet; the model itself has the colour of the text
MOST_CURVES = 24
MOST_EXAMPLES = 8
MOST_POINTS = 3600  # of all curves of a drawing together
NARROW_POINTS = 1200
CURVE_POINTS = 400
DASHES = {"post-hoc": "dotted", "reference": "dashed"}


@dataclass(frozen=True)
class Line:
    """A curve: `classes` say its colour and dash."""

    name: str
    classes: str
    values: Sequence[Number]
    start: int = 0


@dataclass(frozen=True)
class Panel:
    """One drawing, and what the pointer needs to read a value off it."""

    title: str
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class Horizon:
    """The loss along the horizon, and the same relative to the model.

    `readings` holds whole multiples of `unit`, which are shorter than the losses.
    """

    panels: list[Panel]
    legend: list[tuple[str, Markup]]
    readings: str
    unit: float
    base: str
    beyond: str
    left_out: int


@dataclass(frozen=True)
class Example:
    """One forecast beside what came."""

    title: str
    drawing: Markup


@dataclass(frozen=True)
class Examples:
    """Forecasts beside what came, with one legend for all."""

    examples: list[Example]
    legend: list[tuple[str, Markup]]


def styles(data: Mapping[str, Any]) -> dict[str, str]:
    """The colour class of every label: one for the model, the palette in turn for the others, the same in all plots."""
    if data["kind"] == "audit":
        first = [str(arm.get("label")) for arm in data.get("arms") or [] if arm.get("family") == "raw"]
        names = [str(arm.get("label")) for arm in data.get("arms") or [] if arm.get("family") != "raw"]
    else:
        first = [str((data.get("winner") or {}).get("model"))]
        names = [str(row.get("model")) for row in data.get("table") or []]
    others = [name for name in dict.fromkeys(names) if name not in first]
    return dict.fromkeys(first, "c0") | {name: f"c{1 + k % COLOURS}" for k, name in enumerate(others)}


def horizon(data: Mapping[str, Any]) -> Horizon | None:
    """The loss of every curve at each step ahead; None if there are no curves."""
    curves = [curve for curve in (data.get("horizon") or {}).get("curves") or [] if curve.get("mse")]
    colours = styles(data)
    lines = [_curve(curve, colours) for curve in curves[:MOST_CURVES]]
    if not lines:
        return None
    base = next((line for line in lines if line.classes == "c0"), lines[0])
    relative = [
        Line(line.name, line.classes, _relative(line.values, base.values)) for line in lines if line is not base
    ]
    panels = [_panel(f"Test MSE, {content.units(data)}", lines)]
    margin = data.get("protocol", {}).get("margin")
    near, beyond = _near(relative, margin)
    if near:
        panels.append(_panel(f"Change of test MSE against {base.name}", near, percent=True, margin=margin))
    unit = _unit([value for line in lines for value in line.values])
    series = [[line.name, [_whole(value, unit) for value in line.values]] for line in lines]
    return Horizon(
        panels,
        [(line.name, swatch(line.classes)) for line in lines],
        json.dumps(series, ensure_ascii=False, separators=(",", ":")),
        unit,
        base.name,
        ", ".join(f"{line.name} {numbers.percent(_mean(line.values))} on average" for line in beyond),
        len(curves) - len(lines),
    )


def examples(data: Mapping[str, Any]) -> Examples | None:
    """What went in, what came and what was forecast; None if there are no examples."""
    colours = styles(data)
    shown = [each for each in data.get("examples") or [] if each.get("truth")][:MOST_EXAMPLES]
    if not shown:
        return None
    names = list(dict.fromkeys(name for each in shown for name in each.get("forecasts") or {}))
    legend = [("observed", swatch("seen"))] + [(name, swatch(f"{colours.get(name, 'c7')} forecast")) for name in names]
    return Examples([_example(each, colours) for each in shown], legend)


def swatch(classes: str) -> Markup:
    """A short piece of a line, for a legend."""
    line = tag("path", d="M1 5h26", class_=f"line {classes}")
    return tag("svg", line, class_="swatch", width=28, height=10, viewBox="0 0 28 10", aria_hidden="true")


def _curve(curve: Mapping[str, Any], colours: Mapping[str, str]) -> Line:
    family = curve.get("family")
    colour = colours.get(str(curve.get("label")), "c7")
    if colour == "c0" and family not in {None, "raw"}:
        colour = "c7"
    return Line(tables.curve_name(curve), f"{colour} {DASHES.get(str(family), '')}".strip(), curve["mse"])


def _panel(title: str, lines: Sequence[Line], percent: bool = False, margin: Number = None) -> Panel:
    draw = [_draw(title, lines, width, height, percent, margin) for width, height in ((940, 300), (360, 240))]
    return Panel(title, *draw)


def _draw(title: str, lines: Sequence[Line], width: int, height: int, percent: bool, margin: Number) -> Markup:
    steps = max(len(line.values) for line in lines)
    frame = Frame(
        width, height, 1, max(steps, 2), *span([line.values for line in lines], include=(0.0,) if percent else ())
    )
    parts = [frame.steps(percent)]
    if percent and margin is not None and numbers.known(margin):
        parts.append(frame.band(-margin, margin))
    if percent:
        parts.append(tag("path", d=f"M{frame.left} {frame.y(0):.1f}H{frame.right}", class_="zero"))
    limit = min((MOST_POINTS if width > 400 else NARROW_POINTS) // len(lines), CURVE_POINTS)
    # The model is drawn last: it lies on top of what is compared to it.
    for line in sorted(lines, key=lambda line: line.classes == "c0"):
        points = [(frame.x(k + 1), frame.y(value)) for k, value in thin(line.values, limit)]
        parts.append(
            tag("path", tag("title", line.name), d=path(points), class_=f"line {line.classes}", data_name=line.name)
        )
    parts.append(tag("text", "steps ahead", x=frame.right, y=height - 4, class_="label end"))
    parts.append(tag("path", d="", class_="cursor"))
    ends = ", ".join(
        f"{line.name} {_value(line.values[0], percent)} to {_value(line.values[-1], percent)}" for line in lines
    )
    text = tag("title", title) + tag("desc", f"{title} at each of {steps} steps ahead, first to last: {ends}.")
    return tag(
        "svg",
        text + NONE.join(parts),
        viewBox=f"0 0 {width} {height}",
        class_="lines",
        role="img",
        data_left=frame.left,
        data_right=frame.right,
        data_bottom=frame.bottom,
        data_steps=max(steps, 2),
    )


def _example(example: Mapping[str, Any], colours: Mapping[str, str]) -> Example:
    observed, truth = example.get("input") or [], example["truth"]
    tail = observed[-max(2 * len(truth), 24) :]  # enough to see the pattern, little enough to see the forecast
    forecasts = example.get("forecasts") or {}
    lines = [Line("observed", "seen", [*tail, *truth], -len(tail))]
    lines += [Line(name, f"{colours.get(name, 'c7')} forecast", values) for name, values in forecasts.items()]
    frame = Frame(
        420, 190, -len(tail), max(len(truth) - 1, 1 - len(tail)), *span([line.values for line in lines]), most=5
    )
    start = frame.x(0)
    parts = [
        tag("rect", x=start, y=frame.top, width=frame.right - start, height=frame.bottom - frame.top, class_="ahead")
    ]
    parts.append(frame.steps(False))
    for line in lines:
        points = [(frame.x(line.start + k), frame.y(value)) for k, value in thin(line.values, CURVE_POINTS // 2)]
        parts.append(tag("path", tag("title", line.name), d=path(points), class_=f"line {line.classes}"))
    origin = numbers.instant(example.get("origin"))
    named = [example.get("series"), example.get("channel")] if example.get("series") else [example.get("channel")]
    why = f"{example['why']}: " if example.get("why") else ""
    title = f"{why}{' · '.join(str(name) for name in named)} from {origin}"
    unit = "in the units of the data" if example.get("unit") == "real" else str(example.get("unit") or "")
    text = (
        f"{title}: {len(tail)} observed steps, {len(truth)} steps ahead, forecasts by {', '.join(forecasts)}; {unit}."
    )
    drawing = tag(
        "svg",
        tag("title", title) + tag("desc", text) + NONE.join(parts),
        viewBox="0 0 420 190",
        class_="lines",
        role="img",
    )
    return Example(title, drawing)


def _relative(values: Sequence[Number], base: Sequence[Number]) -> list[Number]:
    return [
        value / reference - 1 if value is not None and reference and numbers.known(value) else None
        for value, reference in zip(values, base, strict=False)
    ]


def _near(lines: Sequence[Line], margin: Number) -> tuple[list[Line], list[Line]]:
    """The lines near zero, and those so far off that they would press the others together."""
    sized = [(abs(mean), line) for line in lines if (mean := _mean(line.values)) is not None]
    if not sized:
        return [], []
    cap = max(4 * sorted(size for size, _ in sized)[len(sized) // 2], 5 * (margin or 0.0))
    return [line for size, line in sized if size <= cap], [line for size, line in sized if size > cap]


def _mean(values: Sequence[Number]) -> float | None:
    finite = [value for value in values if value is not None and numbers.known(value)]
    return sum(finite) / len(finite) if finite else None


def _value(value: Number, percent: bool) -> str:
    return numbers.percent(value) if percent else numbers.loss(value)


def _unit(values: Sequence[Number]) -> float:
    """The power of ten that gives the middle one of the values four digits."""
    sizes = sorted(abs(value) for value in values if value is not None and numbers.known(value) and value)
    return 10.0 ** (math.floor(math.log10(sizes[len(sizes) // 2])) - 3) if sizes else 1.0


def _whole(value: Number, unit: float) -> int | None:
    return round(value / unit) if value is not None and numbers.known(value) else None
