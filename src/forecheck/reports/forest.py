"""Effects with their intervals against the margin: one small drawing a row, on one common axis.

Positions are percentages of the width, so the rows stretch with the page while the text beside them does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from forecheck.reports import content, numbers
from forecheck.reports.svg import NONE, tag, tick_labels, ticks

HEIGHT = 26


@dataclass(frozen=True)
class Row:
    """One effect: its name, its drawing, and the same in words."""

    label: str
    drawing: Markup
    effect: str
    outcome: str


@dataclass(frozen=True)
class Forest:
    """The rows by group, and the axis below them all."""

    groups: list[tuple[str, list[Row]]]
    axis: Markup
    clipped: bool


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    def at(self, value: float) -> str:
        return f"{100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low):.2f}%"

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def of_arms(data: Mapping[str, Any], families: Sequence[str] | None = None) -> Forest | None:
    """The arms of an audit by family, all families or those named; None if no arm has an effect."""
    groups = [
        (title, [arm for arm in data.get("arms") or [] if str(arm.get("family")) == family])
        for family, title in content.arm_families(data).items()
        if families is None or family in families
    ]
    return _forest([(title, [(str(arm.get("label")), arm) for arm in arms]) for title, arms in groups], data)


def of_headline(data: Mapping[str, Any]) -> Forest | None:
    """The few effects that the headline of an audit rests on; None if there are none."""
    rows: list[tuple[str, Mapping[str, Any]]] = [
        (key.label, {"effect": key.effect, "interval": key.bounds, "outcome": key.outcome})
        for key in content.effects(data)
    ]
    return _forest([("", rows)], data, most_ticks=5, whole=True)


def of_remedies(data: Mapping[str, Any]) -> Forest | None:
    """What attention contributes without and with each remedy, and by how much that grows; None without remedies."""
    found = data.get("remedies")
    if not found:
        return None
    given = [found["base"], *found["rows"]]
    without = found.get("without")
    titles = {
        "contribution": f"Attention's contribution, retrained as {content.instead(without)}",
        "growth": "Its growth by the remedy",
        "over_mean": "Contribution of where it looks, retrained as the plain mean" if without != "mean" else "",
    }
    groups = {title: [(str(row.get("name")), row.get(name) or {}) for row in given] for name, title in titles.items()}
    return _forest([(title, rows) for title, rows in groups.items() if title], data)


def of_pairs(data: Mapping[str, Any]) -> Forest | None:
    """The comparisons of a backtest by reference; None if there are none."""
    pairs = data.get("pairs") or []
    names = list(dict.fromkeys(str(pair.get("reference")) for pair in pairs))
    groups = [
        (f"Against {name}", [(str(pair.get("model")), pair) for pair in pairs if str(pair.get("reference")) == name])
        for name in names
    ]
    return _forest(groups, data)


def of_groups(groups: list[tuple[str, list[tuple[str, Mapping[str, Any]]]]], data: Mapping[str, Any]) -> Forest | None:
    """Named effects by group, against the margin of the report's protocol; None if there are none."""
    return _forest(groups, data)


def _forest(
    groups: list[tuple[str, list[tuple[str, Mapping[str, Any]]]]],
    data: Mapping[str, Any],
    most_ticks: int = 8,
    whole: bool = False,
) -> Forest | None:
    margin = data.get("protocol", {}).get("margin")
    known = [(title, [row for row in rows if numbers.known(row[1].get("effect"))]) for title, rows in groups]
    known = [(title, rows) for title, rows in known if rows]
    if not known:
        return None
    effects = [row for _, rows in known for row in rows]
    scale = _scale([_ends(row) for _, row in effects], margin if numbers.known(margin) else 0.0, whole)
    clipped = any(not scale.holds(end) for _, row in effects for end in _ends(row))
    drawn = [(title, [_row(label, row, scale, margin) for label, row in rows]) for title, rows in known]
    return Forest(drawn, _axis(scale, most_ticks), clipped)


def _ends(row: Mapping[str, Any]) -> list[float]:
    return [value for value in (row.get("effect"), *(row.get("interval") or ())) if numbers.known(value)]


def _scale(ends: Sequence[Sequence[float]], margin: float, whole: bool) -> _Scale:
    """Wide enough for most rows: a few very large effects leave the plot rather than press the rest together.

    With `whole` for all of them.
    """
    sizes = sorted(max(abs(value) for value in each) for each in ends)
    cap = max(sizes[-1] if whole else 2 * sizes[len(sizes) // 2], 2.5 * margin, 1e-6)
    low = max(min(*(value for each in ends for value in each), -1.5 * margin), -cap)
    high = min(max(*(value for each in ends for value in each), 1.5 * margin), cap)
    low, high = min(low, -0.1 * cap), max(high, 0.1 * cap)
    room = 0.04 * (high - low)
    return _Scale(low - room, high + room)


def _row(label: str, row: Mapping[str, Any], scale: _Scale, margin: float | None) -> Row:
    said = numbers.effect(row.get("effect"), row.get("interval"))
    outcome = content.outcome_word(row.get("outcome"), row.get("family"))
    parts = []
    if margin is not None and numbers.known(margin):
        parts.append(_band(scale, margin))
    parts.append(tag("line", x1=scale.at(0), x2=scale.at(0), y1=0, y2=HEIGHT, class_="zero"))
    parts += _whisker(row, scale)
    title = tag("title", f"{label}: {said}, {outcome}" if outcome else f"{label}: {said}")
    kind = outcome.replace(" ", "-") or "unknown"
    drawing = tag("svg", title + NONE.join(parts), class_=f"effect o-{kind}", width="100%", height=HEIGHT, role="img")
    return Row(label, drawing, said, outcome)


def _band(scale: _Scale, margin: float) -> Markup:
    left, right = float(scale.at(-margin)[:-1]), float(scale.at(margin)[:-1])
    return tag("rect", x=scale.at(-margin), width=f"{right - left:.2f}%", y=0, height=HEIGHT, class_="band")


def _whisker(row: Mapping[str, Any], scale: _Scale) -> list[Markup]:
    middle = HEIGHT // 2
    parts = []
    bounds = [scale.at(bound) for bound in row.get("interval") or () if numbers.known(bound)]
    if len(bounds) == 2:
        parts.append(tag("line", x1=bounds[0], x2=bounds[1], y1=middle, y2=middle, class_="whisker"))
    ends = _ends(row)
    for beyond, edge, turned in ((min(ends) < scale.low, "0%", 1), (max(ends) > scale.high, "100%", -1)):
        if beyond:  # an arrow head at the edge: the interval goes on
            head = tag("path", d=f"M0 0l{7 * turned} -5v10z")
            parts.append(tag("svg", head, x=edge, y=middle, overflow="visible", class_="arrow"))
    if scale.holds(row["effect"]):
        parts.append(tag("circle", cx=scale.at(row["effect"]), cy=middle, r=4.5, class_="point"))
    return parts


def _axis(scale: _Scale, most: int) -> Markup:
    values = ticks(scale.low, scale.high, most)
    parts = []
    for value, label in zip(values, tick_labels(values, percent=True), strict=True):
        parts.append(tag("line", x1=scale.at(value), x2=scale.at(value), y1=0, y2=5, class_="tick"))
        parts.append(tag("text", f"{label} %", x=scale.at(value), y=18, class_="label"))
    return tag("svg", NONE.join(parts), class_="effect axis", width="100%", height=22, aria_hidden="true")
