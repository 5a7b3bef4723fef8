"""A detection as one offline HTML page: series with band and alarms, close-ups of the worst, detectors side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from forecheck.reports import detection_tables, html, numbers
from forecheck.reports.frame import Frame, span
from forecheck.reports.numbers import Number
from forecheck.reports.svg import NONE, path, tag

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Drawn:
    """A drawing under its title, for wide and for narrow pages."""

    title: str
    detail: str
    wide: Markup
    narrow: Markup


def render(data: Json) -> str:
    """The page."""
    settings = data["settings"]
    context = {
        "where": data["data"]["name"],
        "head": _head(data),
        "rest": "",
        "verdict": {},
        "sentence": detection_tables.sentence(data),
        "remarks": list(detection_tables.remarks(data)),
        "series": [_series(each) for each in data["drawn"]],
        "left_out": max(0, _channels(data) - len(data["drawn"])),
        "close": [_close(each) for each in data["close"]],
        "streams": detection_tables.streams_table(data),
        "segments": detection_tables.segments_table(data),
        "detectors": detection_tables.detectors_table(data),
        "labelled": detection_tables.labelled_table(data),
        "environment": [
            ("data", data["data"]["read"]),
            *((name.replace("_", " "), str(value)) for name, value in settings.items()),
            *((name, str(value)) for name, value in (data.get("environment") or {}).items()),
            ("seconds", numbers.seconds(data.get("seconds"))),
        ],
    }
    return html.fill("detection.html", data, context)


def _channels(data: Json) -> int:
    return sum(1 for each in data["streams"] if str(each["unique_id"]).rpartition("/")[2] != "joint")


def _head(data: Json) -> str:
    count = data["segments"]["count"]
    return "No alarm" if not count else f"{count:,} segment{'s' * (count > 1)} of alarms"


def _series(each: Json) -> Drawn:
    lows, highs = [part[0] for part in each["y"]], [part[1] for part in each["y"]]
    title = str(each["unique_id"])
    detail = f"{each['rows']:,} rows, {numbers.instant(each['times'][0])} to {numbers.instant(each['times'][-1])}"
    wide, narrow = (
        _draw(
            title,
            f"{detail}; {sum(each['alarm'])} of {len(each['alarm'])} stretches hold an alarm",
            each,
            # Least and greatest of a stretch, one after the other, draw the whole of it.
            [(place + half / 2, pair[half]) for place, pair in enumerate(each["y"]) for half in (0, 1)],
            [lows, highs],
            size,
        )
        for size in ((940, 220), (360, 200))
    )
    return Drawn(title, detail, wide, narrow)


def _close(each: Json) -> Drawn:
    title = f"{each['unique_id']}, {numbers.instant(each['first'])}"
    joint = "; score of all channels jointly" if each["joint"] else ""
    detail = (
        f"{each['alarms']} alarm{'s' * (each['alarms'] > 1)}, score {numbers.short(each['score'])}, "
        f"p = {each['p_value']:.3g}{joint}"
    )
    drawing = _draw(title, detail, each, list(enumerate(each["y"])), [each["y"], each["yhat"] or []], (420, 190))
    return Drawn(title, detail, drawing, drawing)


def _draw(
    title: str,
    about: str,
    each: Json,
    points: Sequence[tuple[float, Number]],
    values: Sequence[Sequence[Number]],
    size: tuple[int, int],
) -> Markup:
    """Value, band, forecast and alarms. The band is cut where it would press the values together."""
    count = len(each["times"])
    low, high = span(values)
    frame = Frame(*size, 0, max(count - 1, 1), low, high, most=5)
    parts = [_labels(frame, each.get("label") or [])]
    parts += [frame.values(), _stamps(frame, each["times"])]
    if each.get("low"):
        parts.insert(1, _band(frame, each["low"], each["high"]))
    if each.get("yhat"):
        drawn = [(frame.x(place), frame.y(_within(frame, value))) for place, value in enumerate(each["yhat"])]
        parts.append(tag("path", tag("title", "forecast"), d=path(drawn), class_="line c1"))
    line = [(frame.x(place), frame.y(value)) for place, value in points]
    parts.append(tag("path", tag("title", "observed"), d=path(line), class_="line c0 thin"))
    parts.append(_alarms(frame, each, dotted="yhat" in each))
    text = tag("title", title) + tag("desc", f"{title}: {about}.")
    return tag("svg", text + NONE.join(parts), viewBox=f"0 0 {size[0]} {size[1]}", class_="lines", role="img")


def _within(frame: Frame, value: Number) -> Number:
    return value if value is None else min(max(value, frame.low), frame.high)


def _band(frame: Frame, low: Sequence[Number], high: Sequence[Number]) -> Markup:
    """Where a value raises no alarm; in pieces where it is not known."""
    pieces: list[list[int]] = [[]]
    for place, (a, b) in enumerate(zip(low, high, strict=True)):
        if a is None or b is None:
            pieces.append([])
        else:
            pieces[-1].append(place)
    drawn = []
    for piece in pieces:
        if not piece:
            continue
        ends = [piece[0] - 0.5, piece[-1] + 0.5]
        top = [(place, high[place]) for place in piece]
        bottom = [(place, low[place]) for place in reversed(piece)]
        around = [(ends[0], top[0][1]), *top, (ends[1], top[-1][1]), (ends[1], bottom[0][1]), *bottom]
        around.append((ends[0], bottom[-1][1]))
        inside = [
            (min(max(frame.x(place), frame.left), frame.right), frame.y(_within(frame, value)))
            for place, value in around
        ]
        drawn.append(tag("path", d=path(inside) + "z", class_="band"))
    return NONE.join(drawn)


def _alarms(frame: Frame, each: Json, dotted: bool) -> Markup:
    """A mark at the foot under every alarm, and a dot on the value where there is room for it."""
    marks = [place for place, alarm in enumerate(each["alarm"]) if alarm]
    feet = NONE.join(tag("path", d=f"M{frame.x(place):.1f} {frame.bottom}v-9", class_="alarm") for place in marks)
    if not dotted:
        return feet
    dots = NONE.join(
        tag("circle", cx=f"{frame.x(place):.1f}", cy=f"{frame.y(each['y'][place]):.1f}", r=3, class_="alarm-dot")
        for place in marks
        if each["y"][place] is not None
    )
    return feet + dots


def _labels(frame: Frame, labels: Sequence[bool]) -> Markup:
    """A stripe over what is labelled as anomalous."""
    step = (frame.right - frame.left) / max(frame.last, 1)
    return NONE.join(
        tag(
            "rect",
            x=round(max(frame.x(place - 0.5), frame.left), 1),
            y=frame.top,
            width=round(step, 1),
            height=frame.bottom - frame.top,
            class_="labelled",
        )
        for place, label in enumerate(labels)
        if label
    )


def _stamps(frame: Frame, times: Sequence[str]) -> Markup:
    """The first stamp, the last, and the middle one where there is room."""
    places = [0, len(times) - 1] if len(times) > 1 else [0]
    if frame.width > 600 and len(times) > 2:
        places.insert(1, len(times) // 2)
    parts = []
    for place in places:
        at = frame.x(place)
        anchor = "label" if 0 < place < len(times) - 1 else ("label start" if place == 0 else "label end")
        parts.append(tag("path", d=f"M{at:.1f} {frame.bottom}v4", class_="tick"))
        parts.append(tag("text", numbers.instant(times[place]), x=round(at, 1), y=frame.bottom + 17, class_=anchor))
    return NONE.join(parts)
