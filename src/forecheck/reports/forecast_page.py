"""Forecasts as one offline HTML page: the series worth a look drawn, many more as numbers that a search draws."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup

from forecheck.errors import UsageError
from forecheck.reports import html, numbers
from forecheck.reports.dates import Times, stamps, time_ticks
from forecheck.reports.forecast_curves import LARGE, NARROW, SMALL, Curves, Values, draw
from forecheck.reports.plots import swatch
from forecheck.reports.svg import tag

MOST_BYTES = 480_000
_OF_NUMBERS = 300_000
"""Bytes for the series that are not drawn."""
_DRAWN = 6
"""Series of each kind that are drawn in the file."""
_LEVELS = 4094
"""Steps between the least and the greatest value of a series, as two characters hold them beside the missing one."""
_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TICKS = 7
_MOST_ROWS = 40


@dataclass(frozen=True)
class Chosen:
    """What forecasts, and why.

    Attributes:
        model: its name.
        sentence: why it was chosen.
        members: of a combination: name, weight and, if it is known, scaled error.
        candidates: other models with their error at the same origins.
        notes: what a reader should know.
    """

    model: str
    sentence: str
    members: Sequence[tuple[str, float, float | None]] = ()
    candidates: Sequence[tuple[str, float]] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Page:
    """All that a page of forecasts shows.

    Attributes:
        of: what was forecast: the name of the data.
        made: versions and the time.
        chosen: what forecasts.
        count: series that there are.
        ranking: what the series are ordered by, as `MASE at 12 rolling origins`; empty if by nothing.
        median: of what they are ordered by, over all series.
        curves: series that are on the page, the worst first.
        asked: how many of them, the first ones, were asked for by name.
        period: steps of a season.
        step: the step of the data in words.
        facts: more on how it was made.
    """

    of: str
    made: Mapping[str, Any]
    chosen: Chosen
    count: int
    ranking: str
    median: float
    curves: Sequence[Curves]
    asked: int
    period: int
    step: str
    facts: Sequence[tuple[str, str]]


def room_for(count: int, length: int) -> int:
    """How many of `count` series of so many numbers each have room on a page."""
    return max(1, min(count, _OF_NUMBERS // (2 * length + 60)))


def ranked(losses: Float[np.ndarray, " series"] | None, count: int, room: int) -> Int[np.ndarray, " shown"]:
    """Places of the series to show: a third of the room for the worst and typical ones each, the rest evenly by rank.

    Args:
        losses: of every series; NaN, where it is not known, comes last. None if there are none: the first series.
        count: series.
        room: series that can be shown.
    """
    if losses is None:
        return np.arange(min(count, room))
    order = np.argsort(np.where(np.isnan(losses), -np.inf, losses), kind="stable")[::-1]
    if count <= room:
        return order
    third = max(1, room // 3)
    typical = _typical_of(losses[order], min(third, count), float(np.nanmedian(losses)))
    even = np.linspace(0, count - 1, max(1, room - 2 * third)).round().astype(np.int64)
    return order[np.unique(np.concatenate([np.arange(third), typical, even]))]


def _typical_of(losses: Float[np.ndarray, " series"], count: int, median: float) -> Int[np.ndarray, " typical"]:
    """Places of the losses nearest to the median of all, in their order."""
    distance = np.abs(losses - median)
    return np.sort(np.argsort(np.where(np.isnan(distance), np.inf, distance), kind="stable")[:count])


def render(page: Page) -> str:
    """The page; where series do not fit, fewer of those that nobody asked for.

    Raises:
        UsageError: if those that were asked for do not fit.
    """
    kept = len(page.curves) - page.asked
    while True:
        text = _render(page, kept)
        if len(text.encode()) <= MOST_BYTES or kept + page.asked == 1:
            return text
        if not kept:
            raise UsageError(f"{page.asked} series do not fit on one page", "Ask for fewer series.")
        kept = max(kept * 3 // 4, not page.asked)


def _render(page: Page, kept: int) -> str:
    rest = np.linspace(page.asked, len(page.curves) - 1, kept).round().astype(int)
    curves = [page.curves[k] for k in np.unique(np.concatenate([np.arange(page.asked), rest]))]
    calendar = _Calendar(curves)
    groups = _groups(page, curves, page.asked, calendar)
    context = {
        "head": "Forecast of",
        "where": page.of,
        "verdict": {},
        "chosen": page.chosen,
        "keys": _keys(page, curves),
        "groups": groups,
        "alone": len(curves) == 1,
        "legend": _legend(curves),
        "season": page.period if page.period > 1 else None,
        "shown": _shown(page, len(curves)),
        "numbers": Markup(_packed(page, curves, calendar)),  # noqa: S704 - JSON without a <
        "members": _members(page.chosen.members),
        "candidates": [(name, numbers.loss(loss)) for name, loss in page.chosen.candidates][:_MOST_ROWS],
        "facts": page.facts,
    }
    data = {"kind": "forecast", "protocol": {}, **page.made}
    return html.fill("forecast.html", data, context, script="forecast_script.js")


@dataclass(frozen=True)
class _Figure:
    """A drawn series; `narrow` only where it stands alone."""

    number: int
    name: str
    about: str
    drawing: Markup
    narrow: Markup | None


def _groups(
    page: Page, curves: Sequence[Curves], asked: int, calendar: _Calendar
) -> list[tuple[str, str, list[_Figure]]]:
    """Titles and figures of the series that are drawn without a script."""
    rest = np.arange(asked, len(curves))
    if not page.ranking or len(curves) <= _DRAWN:
        title = "Series" if len(curves) > 1 else ""
        parts = [("Asked for", "", np.arange(min(asked, 2 * _DRAWN))), (title, "", rest[: 2 * _DRAWN])]
    else:
        losses = np.array([np.nan if each.loss is None else each.loss for each in curves])[rest]
        worst = rest[: min(_DRAWN, len(rest) // 2)]
        typical = rest[len(worst) :][_typical_of(losses[len(worst) :], _DRAWN, page.median)]
        parts = [("Asked for", "", np.arange(min(asked, 2 * _DRAWN))), ("Largest errors", page.ranking, worst)]
        parts += [("Typical", "errors near the median", typical)]
    return [
        (title, about, [_figure(k, curves[k], page, calendar, alone=len(curves) == 1) for k in group.tolist()])
        for title, about, group in parts
        if len(group)
    ]


def _figure(k: int, curves: Curves, page: Page, calendar: _Calendar, *, alone: bool) -> _Figure:
    def at(size: tuple[int, int]) -> Markup:
        return draw(curves, calendar.ticks_of(curves.time), page.period, size)

    about = " · ".join(part for part in (curves.unit, _loss(page, curves)) if part)
    return _Figure(k, curves.name, about, at(LARGE if alone else SMALL), at(NARROW) if alone else None)


def _loss(page: Page, curves: Curves) -> str:
    return (
        f"{page.ranking.split(' ')[0]} {curves.loss:{'.2f' if curves.loss < 1000 else '.3g'}}"
        if curves.loss is not None
        else ""
    )


class _Calendar:
    """The stamps of all series, and the ticks on them; series on another grid have ticks of their own."""

    def __init__(self, curves: Sequence[Curves]) -> None:
        self.time: Times = np.unique(np.concatenate([each.time for each in curves]))
        usual = max(len(each.time) for each in curves)
        self.ticks = time_ticks(self.time, math.ceil(_TICKS * len(self.time) / usual))

    def place(self, time: Times) -> int | None:
        """Where these stamps begin, if they follow each other there."""
        first = int(np.searchsorted(self.time, time[0]))
        part = self.time[first : first + len(time)]
        return first if len(part) == len(time) and bool((part == time).all()) else None

    def ticks_of(self, time: Times) -> list[tuple[int, str]]:
        """Ticks within these stamps."""
        first = self.place(time)
        if first is None:
            return time_ticks(time, _TICKS)
        found = [(place - first, label) for place, label in self.ticks if first <= place < first + len(time)]
        return found if len(found) > 1 or len(time) < 3 else time_ticks(time, _TICKS)


def _packed(page: Page, curves: Sequence[Curves], calendar: _Calendar) -> str:
    """All series as JSON: `[name, unit, loss, place, least, greatest, history, forecast, bands, back, earlier]`."""
    rows = []
    for each in curves:
        place = calendar.place(each.time)
        parts = [each.history, each.point, *(end for band in each.bands.values() for end in band)]
        parts += [each.earlier.values] if each.earlier else []
        joined = np.concatenate(parts)
        known = joined[np.isfinite(joined)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        own = [stamps(each.time), calendar.ticks_of(each.time)] if place is None else place
        row: list[Any] = [each.name, each.unit, None if each.loss is None else float(f"{each.loss:.4g}"), own]
        row += [low, high, *(_written(part, low, high) for part in parts[:2])]
        row.append([_written(end, low, high) for band in each.bands.values() for end in band])
        if each.earlier is not None:
            row += [each.earlier.back, _written(each.earlier.values, low, high)]
        rows.append(row)
    levels = [f"{level:g}" for level in (curves[0].bands if curves else {})]
    whole = {"time": stamps(calendar.time), "ticks": calendar.ticks, "period": page.period, "levels": levels}
    whole |= {"loss": page.ranking.split(" ")[0], "count": page.count, "series": rows}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _written(values: Values, low: float, high: float) -> str:
    """Two characters a number: 0 if it is missing, else its place between the least and the greatest one."""
    scale = _LEVELS / (high - low) if 0 < high - low < math.inf else 0.0
    places = np.where(np.isfinite(values), (values - low) * scale, -1.0).round().astype(np.int64) + 1
    return "".join(_SIGNS[place // 64] + _SIGNS[place % 64] for place in places.tolist())


def _keys(page: Page, curves: Sequence[Curves]) -> list[tuple[str, str, str]]:
    """Labels, numbers and details of what stands right below the title."""
    first, last = curves[0].time[-len(curves[0].point)], max(each.time[-1] for each in curves)
    ends = " to ".join(stamps(np.array([first, last])))
    if any(each.time[-1] != last for each in curves):
        ends = "after the end of each series"
    found = [("Series", f"{page.count:,}", f"a row every {page.step}")]
    found.append(("Ahead", f"{len(curves[0].point):,} step{'s' * (len(curves[0].point) != 1)}", ends))
    levels = list(curves[0].bands)
    found.append(("Intervals", f"{' and '.join(f'{level:g}' for level in levels)} %" if levels else "none", ""))
    return found


def _shown(page: Page, kept: int) -> str:
    if kept == page.count:
        return ""
    if not page.ranking:
        return f"The first {kept:,} of {page.count:,} series are on this page."
    by = page.ranking.partition(" ")[0]
    return (
        f"{kept:,} of {page.count:,} series are on this page: those with the largest {by}, those near its median, and "
        "others evenly between by rank."
    )


def _members(members: Sequence[tuple[str, float, float | None]]) -> list[dict[str, Any]]:
    """Rows of the table of weights, the greatest first, each with its bar."""
    most = max((weight for _, weight, _ in members), default=0.0) or 1.0
    rows = sorted(members, key=lambda member: -member[1])
    return [
        {
            "name": name,
            "weight": f"{100 * weight:.0f} %" if weight >= 0.005 or not weight else "< 1 %",
            "bar": tag("svg", tag("rect", x=0, y=2, width=100 * weight / most, height=8, class_="bar c1"),
                       class_="weight", viewBox="0 0 100 12", preserveAspectRatio="none", aria_hidden="true"),
            "loss": numbers.short(loss),
        }
        for name, weight, loss in rows[:_MOST_ROWS]
    ]  # fmt: skip


def _legend(curves: Sequence[Curves]) -> list[tuple[str, Markup]]:
    entries = [("observed", swatch("c0")), ("forecast", swatch("c1"))]
    levels = sorted({level for each in curves for level in each.bands})
    for k, level in enumerate(levels):
        # The narrowest band lies on top of the wider ones.
        shade = tag("rect", x=0, y=0, width=28, height=10, class_="ribbon c1")
        drawn = shade * (len(levels) - k) if len(levels) > 1 else shade
        entries.append((f"{level:g} % interval", tag("svg", Markup(drawn), class_="swatch", width=28, height=10)))  # noqa: S704
    if any(each.earlier is not None for each in curves):
        entries.append(("forecast from the last rolling origin", swatch("c2 earlier")))
    return entries
