"""The charts of a finding or a claim: bars, lines, curves, arcs, or a heat map such as the effect of every head.

Values are in the unit of the chart (2.0 with the unit `%` is 2 %); what is missing or not finite is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from forecheck.reports import arcs, curves, numbers
from forecheck.reports.frame import Frame, span
from forecheck.reports.numbers import Number
from forecheck.reports.plots import swatch
from forecheck.reports.svg import NONE, path, tag, thin
from forecheck.reports.tables import Column, Group, Table

COLOURS = 7
MOST_SERIES = 12
MOST_BARS = 64
MOST_POINTS = 400
MOST_CELLS = 1024  # 16 layers of 64 heads
WIDE_CELL, NARROW_CELL, ROW = 46, 14, 26
ALL_LABELS = 18  # columns whose cells have room for their numbers
COLUMN_NAME, ROW_NAME = 12, 40  # signs of a name in a heat map


@dataclass(frozen=True)
class Chart:
    """A drawing for a wide and for a narrow page, its legend, and its numbers as a table.

    Attributes:
        kind: bars, lines, curves, arcs or heat.
        wide: the drawing.
        narrow: the same for a narrow page; empty if the first one is scrolled there.
        caption: what is drawn, for those who do not see it.
        legend: names of the series with a piece of their line, if there are several.
        table: the numbers.
        note: what is left out, and how to read the colours.
        title: what tells it from the other charts beside it, if there are any.
    """

    kind: str
    wide: Markup
    narrow: Markup
    caption: str
    legend: list[tuple[str, Markup]]
    table: Table
    note: str = ""
    title: str = ""


def of_finding(finding: Mapping[str, Any]) -> list[Chart]:
    """The charts of a finding, one (`chart`) or several (`charts`), without those that cannot be drawn."""
    found = finding.get("details") or {}
    several = found.get("charts")
    given = [found.get("chart"), *(several if isinstance(several, list) else [])]
    return _named(given, f"{finding.get('code')} {finding.get('title')}")


def of_claim(claim: Mapping[str, Any]) -> list[Chart]:
    """The charts of a paper's claim, without those that cannot be drawn."""
    return _named(claim.get("charts") or [], str(claim.get("id")))


def _named(given: Iterable[Any], head: str) -> list[Chart]:
    drawn = []
    for each in given:
        if isinstance(each, Mapping):
            name = str(each.get("title") or "")
            chart = _drawn(each, head + (f": {name}" if name else ""))
            drawn += [replace(chart, title=name)] if chart else []
    return drawn


def _drawn(given: Mapping[str, Any], title: str) -> Chart | None:
    if given.get("kind") == "heat":
        return _heat(given, title)
    if given.get("kind") == "arcs":
        return _arcs(given, title)
    if given.get("kind") == "curves":
        return _curves(given, title)
    series = [(str(each.get("label")), each.get("y") or []) for each in given.get("series") or []][:MOST_SERIES]
    x = list(given.get("x") or range(max((len(values) for _, values in series), default=0)))
    if not x or not any(numbers.known(value) for _, values in series for value in values):
        return None
    return _bars(given, title, x, series) if given.get("kind") == "bars" else _lines(given, title, x, series)


def _curves(given: Mapping[str, Any], title: str) -> Chart | None:
    """Curves over a number."""
    drawing = curves.drawing_of(given)
    if drawing is None:
        return None
    said = curves.said(given, drawing)
    wide, narrow = (curves.draw(given, title, drawing, said, *size) for size in curves.SIZES)
    lost = "1 value has" if drawing.left_out == 1 else f"{drawing.left_out:,} values have"
    note = f"{lost} no place on the axes." if drawing.left_out else ""
    table = curves.table(given, title, drawing)
    return Chart("curves", wide, narrow, curves.caption(given, drawing), curves.legend(drawing), table, note)


def _lines(
    given: Mapping[str, Any], title: str, x: Sequence[Any], series: Sequence[tuple[str, Sequence[Number]]]
) -> Chart:
    wide, narrow = (_draw_lines(given, title, x, series, *size) for size in ((760, 250), (340, 230)))
    legend = [(name, swatch(_colour(k))) for k, (name, _) in enumerate(series)] if len(series) > 1 else []
    return Chart("lines", wide, narrow, _label(given), legend, _numbers(given, title, x, series))


def _draw_lines(
    given: Mapping[str, Any],
    title: str,
    x: Sequence[Any],
    series: Sequence[tuple[str, Sequence[Number]]],
    width: int,
    height: int,
) -> Markup:
    frame = Frame(width, height, 0, max(len(x) - 1, 1), *span([values for _, values in series]), most=6)
    parts = [frame.values()]
    room = 9 * max(len(str(each)) for each in x) + 8
    every = -(-len(x) * room // (frame.right - frame.left))  # as many labels as stand beside each other
    parts += [frame.mark(k, str(each)) for k, each in enumerate(x) if k % every == 0]
    for k, (name, values) in enumerate(series):
        points = [(frame.x(i), frame.y(value)) for i, value in thin(values[: len(x)], MOST_POINTS)]
        drawn = f"line {_colour(k)}"
        parts.append(tag("path", tag("title", name), d=path(points), class_=drawn, data_name=name))
        if len(x) <= ALL_LABELS:
            parts += [
                tag("circle", cx=left, cy=top, r=3, class_=f"dot {_colour(k)}")
                for left, top in points
                if math.isfinite(top)
            ]
    parts.append(tag("text", str(given.get("x_label") or ""), x=frame.right, y=height - 2, class_="label end"))
    text = tag("title", title) + tag("desc", _said(given, x, series))
    return tag("svg", text + NONE.join(parts), viewBox=f"0 0 {width} {height}", class_="lines", role="img")


def _bars(
    given: Mapping[str, Any], title: str, x: Sequence[Any], series: Sequence[tuple[str, Sequence[Number]]]
) -> Chart:
    """Bar lie, so that their names have room; positions are percentages of the width."""
    shown = [str(each) for each in x[:MOST_BARS]]
    wide, narrow = (_draw_bars(given, title, shown, series, width) for width in (760, 340))
    legend = [(name, swatch(_colour(k))) for k, (name, _) in enumerate(series)] if len(series) > 1 else []
    note = f"{len(x) - MOST_BARS:,} more bars are in the JSON report." if len(x) > MOST_BARS else ""
    return Chart("bars", wide, narrow, _label(given), legend, _numbers(given, title, shown, series), note)


def _draw_bars(
    given: Mapping[str, Any], title: str, x: Sequence[str], series: Sequence[tuple[str, Sequence[Number]]], width: int
) -> Markup:
    thick = 14  # the number beside a bar is as high
    step = thick * len(series) + 8
    longest = max(len(each) for each in x)
    left = min(7 * longest + 12, int(0.45 * width))
    fits = int((left - 12) / 7)
    known = [value for _, values in series for value in values if value is not None and numbers.known(value)]
    low, high = min(0.0, *known), max(0.0, *known)
    start, stop = left + (56 if low < 0 else 0), width - (56 if high > 0 else 8)
    scale = (stop - start) / ((high - low) or 1.0)
    zero = start - low * scale
    parts = []
    for k, name in enumerate(x):
        top = 4 + k * step
        parts.append(tag("text", _cut(name, fits), x=left - 8, y=top + thick * len(series) / 2 + 4, class_="label end"))
        for i, (_, values) in enumerate(series):
            value = values[k] if k < len(values) else None
            if value is None or not numbers.known(value):
                continue
            end, y = zero + value * scale, top + i * thick
            box = {"x": min(zero, end), "y": y + 1, "width": abs(end - zero), "height": thick - 2}
            parts.append(tag("rect", **box, class_=f"bar {_colour(i)}"))
            side, anchor = (end + 5, "start") if value >= 0 else (end - 5, "end")
            parts.append(tag("text", numbers.short(value), x=side, y=y + thick / 2 + 4, class_=f"label {anchor}"))
    height = 4 + len(x) * step
    parts.append(tag("path", d=f"M{zero:.1f} 0V{height}", class_="zero"))
    text = tag("title", title) + tag("desc", _said(given, x, series))
    return tag("svg", text + NONE.join(parts), viewBox=f"0 0 {width} {height}", class_="lines bars", role="img")


def _heat(given: Mapping[str, Any], title: str) -> Chart | None:
    rows, columns = [str(each) for each in given.get("rows") or []], [str(each) for each in given.get("columns") or []]
    values = [list(row)[: len(columns)] for row in (given.get("values") or [])[: len(rows)]]
    shown = max(MOST_CELLS // max(len(columns), 1), 1)
    left_out, rows, values = max(len(rows) - shown, 0), rows[:shown], values[:shown]
    known = [value for row in values for value in row if numbers.known(value)]
    if not known:
        return None
    unit, most = str(given.get("unit") or ""), max(map(abs, known)) or 1.0
    digits = max(2 - math.floor(math.log10(most)), 0)  # three digits of the greatest, the same in all cells
    style = f".{digits}f" if digits <= 6 and most < 1e6 else ".1e"
    longest = max(len(f"{value:{style}}") for value in known)
    labelled = len(columns) <= ALL_LABELS
    above, beside = [_cut(name, COLUMN_NAME) for name in columns], [_cut(name, ROW_NAME) for name in rows]
    side = max(WIDE_CELL, 7 * max(longest, *map(len, above)) + 7) if labelled else NARROW_CELL
    head, over = (str(given.get(name) or "") for name in ("y_label", "x_label"))
    left, top = 7 * max(len(_cut(head, ROW_NAME)), *map(len, beside)) + 14, 40
    width, height = left + max(side * len(columns), 7 * len(_cut(over, ROW_NAME))) + 2, top + ROW * len(rows) + 2
    every = 1 if labelled else max(4, -(-(7 * max(map(len, above)) + 7) // side))
    parts = [
        tag("text", name, x=left + side * (k + 0.5), y=top - 7, class_="label")
        for k, name in enumerate(above)
        if k % every == 0
    ]
    parts.append(tag("text", _cut(over, ROW_NAME), x=left, y=13, class_="label start"))
    parts.append(tag("text", _cut(head, ROW_NAME), x=left - 8, y=top - 7, class_="label end"))
    for i, name in enumerate(rows):
        y = top + ROW * i
        parts.append(tag("text", beside[i], x=left - 8, y=y + ROW / 2 + 4, class_="label end"))
        for k, value in enumerate(values[i] if i < len(values) else []):
            if not numbers.known(value):
                continue
            box = {"x": left + side * k, "y": y, "width": side - 1, "height": ROW - 1}
            # The style sheet turns the share into a shade that the number in the cell stands out from.
            shade = f"--share:{abs(value) / most:.2f}"
            text = f"{value:{style}}"
            cell = tag("title", f"{name}, {columns[k]}: {text} {unit}".rstrip()) if not labelled else NONE
            parts.append(tag("rect", cell, **box, class_="more" if value > 0 else "less", style=shade))
            if labelled:
                parts.append(tag("text", text, x=left + side * (k + 0.5), y=y + ROW / 2 + 4, class_="label cell"))
    where = f"{over or 'column'} "
    ends = [
        f"{word} {value:{style}} {unit}".rstrip() + f" at {row}, {where}{column}"
        for word, (value, row, column) in (
            ("Highest", _extreme(rows, columns, values, max)),
            ("lowest", _extreme(rows, columns, values, min)),
        )
    ]
    said = f"{'; '.join(ends)}."
    drawing = tag(
        "svg",
        tag("title", title) + tag("desc", said) + NONE.join(parts),
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        class_="heat",
        role="img",
    )
    cells = [
        [name, *(f"{value:{style}}" if numbers.known(value) else numbers.NOTHING for value in row)]
        for name, row in zip(rows, values, strict=False)
    ]
    cells = [row + [numbers.NOTHING] * (1 + len(columns) - len(row)) for row in cells]
    table = Table(title, [Column(head), *(Column(name, right=True) for name in columns)], [Group("", cells)])
    signs = " Blue is above zero, orange below." if min(known) < 0 < max(known) else ""
    note = f"{f'Values in {unit}; the' if unit else 'The'} stronger the colour, the further from zero.{signs}"
    note += f" {left_out:,} more rows are in the JSON report." if left_out else ""
    return Chart("heat", drawing, NONE, said, [], table, note)


def _arcs(given: Mapping[str, Any], title: str) -> Chart | None:
    """Paths over tokens, layer by layer."""
    paths = arcs.paths_of(given)
    if not paths:
        return None
    tokens = [str(each) for each in given["tokens"]]
    wide, narrow = (arcs.draw(given, title, paths, tokens, width) for width in (760, 340))
    columns = [Column(str(given.get("x_label") or "path")), Column("layers", right=True), Column("weight", right=True)]
    rows = [[arcs.named(one, tokens), str(len(one.nodes) - 1), numbers.short(one.weight)] for one in paths]
    legend = [(arcs.named(one, tokens), swatch(_colour(k))) for k, one in enumerate(paths[:COLOURS])]
    note = "The thicker the arc, the heavier the path; one colour follows a path from layer to layer."
    note += " Lighter paths than those of the legend are grey." if len(paths) > COLOURS else ""
    return Chart("arcs", wide, narrow, arcs.said(paths, tokens), legend, Table(title, columns, [Group("", rows)]), note)


def _extreme(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[Number]],
    pick: Callable[..., tuple[float, str, str]],
) -> tuple[float, str, str]:
    """The highest or lowest value with its row and column."""
    return pick(
        (
            (value, name, columns[k])
            for name, cells in zip(rows, values, strict=False)
            for k, value in enumerate(cells)
            if value is not None and numbers.known(value)
        ),
        key=lambda cell: cell[0],
    )


def _numbers(
    given: Mapping[str, Any], title: str, x: Sequence[Any], series: Sequence[tuple[str, Sequence[Number]]]
) -> Table:
    columns = [Column(str(given.get("x_label") or "")), *(Column(name, right=True) for name, _ in series)]
    rows = [
        [str(each), *(numbers.short(values[k]) if k < len(values) else numbers.NOTHING for _, values in series)]
        for k, each in enumerate(x[:MOST_BARS])
    ]
    return Table(title, columns, [Group("", rows)])


def _said(given: Mapping[str, Any], x: Sequence[Any], series: Sequence[tuple[str, Sequence[Number]]]) -> str:
    ends = [
        f"{name} from {numbers.short(known[0])} to {numbers.short(known[-1])}"
        for name, values in series
        if (known := [value for value in values if numbers.known(value)])
    ]
    return f"{_label(given)}, from {x[0]} to {x[-1]}: {'; '.join(ends)}."


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _label(given: Mapping[str, Any]) -> str:
    parts = (str(given.get("y_label") or "value"), str(given.get("x_label") or ""))
    return " by ".join(part for part in parts if part)


def _colour(k: int) -> str:
    return f"c{1 + k % COLOURS}"
