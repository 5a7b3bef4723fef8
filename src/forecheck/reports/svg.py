"""The few parts that the plots are drawn from: elements, paths and axes as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from forecheck.reports.numbers import Number, known

Attribute = str | int | float | None

NONE = Markup("")


def tag(name: str, content: str | Markup = "", /, **attributes: Attribute) -> Markup:
    """One element. What is not Markup is escaped; `class_` and `stroke_width` name `class` and `stroke-width`."""
    written = NONE.join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), clean(_number(value)))
        for key, value in attributes.items()
        if value is not None
    )
    inner = content if isinstance(content, Markup) else Markup.escape(clean(content))
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, inner)


def clean(text: str) -> str:
    """Without the control characters that neither XML nor HTML may hold."""
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t ")


def path(points: Sequence[tuple[float, Number]]) -> str:
    """A path through the points in tenths of a unit; a missing value interrupts the line, a lone point is a dot."""
    parts: list[str] = []
    last: tuple[int, int] | None = None
    for x, y in points:
        if y is None or not known(y):
            last = None
            continue
        here = (round(10 * x), round(10 * y))
        if last is None:
            parts.append(f"M{_tenths(here[0])} {_tenths(here[1])}l0 0")
        else:
            parts.append(f"l{_tenths(here[0] - last[0])} {_tenths(here[1] - last[1])}")
        last = here
    return "".join(parts)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) within `low` and `high`, `most` at most.

    Args:
        low: lower end.
        high: upper end.
        most: how many ticks at most; 1 counts as 2.
    """
    if not high > low:
        return [low]
    raw = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def tick_labels(values: Sequence[float], percent: bool = False) -> list[str]:
    """Labels with just the decimals that tell the ticks apart."""
    scaled = [100 * value for value in values] if percent else list(values)
    gap = min((abs(b - a) for a, b in pairwise(scaled)), default=abs(scaled[0]) if scaled else 1)
    if max(map(abs, scaled), default=0) >= 1e6 or 0 < gap < 1e-4:
        return [f"{value:.3g}" for value in scaled]
    decimals = max(0, -math.floor(math.log10(gap) + 1e-9)) if gap > 0 else 0
    sign = "+" if percent else ""
    return [f"{value:{sign if round(value, decimals) else ''},.{decimals}f}".replace("-0 ", "0 ") for value in scaled]


def thin(values: Sequence[Number], limit: int) -> list[tuple[int, Number]]:
    """Values with their indices; more than `limit` are drawn by the least and greatest of each stretch."""
    if len(values) <= limit:
        return list(enumerate(values))
    kept: list[tuple[int, Number]] = []
    half = max(limit // 2, 1)
    for k in range(half):
        part = [(i, values[i]) for i in range(len(values) * k // half, len(values) * (k + 1) // half)]
        finite = sorted((point for point in part if known(point[1])), key=lambda point: point[1] or 0.0)
        kept += sorted({finite[0], finite[-1]}) if finite else part[:1]
    return kept


def _number(value: Attribute) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _tenths(value: int) -> str:
    return f"{value / 10:g}"
