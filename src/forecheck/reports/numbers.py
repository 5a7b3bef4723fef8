"""How a number is written, once for every renderer.

Effects are relative: 0.004 is written `+0.4 %`. A number that is missing or not finite is written as a dash.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from forecheck.durations import duration

Number = int | float | None

NOTHING = "–"  # noqa: RUF001 - the typographer's dash is meant


def known(value: Any) -> bool:
    """Whether `value` is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


_BEYOND = 1000
"""Relative changes beyond this say only that the reference has hardly any error."""


def percent(value: Number, digits: int = 1) -> str:
    """A relative change with its sign: 0.004 is `+0.4 %`; what rounds to zero has no sign."""
    return f"{_signed(value, digits)} %" if known(value) else NOTHING


def interval(bounds: Sequence[Number] | None, digits: int = 1) -> str:
    """Both ends in percent, without the unit: `[-0.3, +1.1]`."""
    if not bounds or len(bounds) != 2 or not any(known(bound) for bound in bounds):
        return ""
    return f"[{', '.join(_signed(bound, digits) if known(bound) else NOTHING for bound in bounds)}]"


def effect(value: Number, bounds: Sequence[Number] | None = None) -> str:
    """A relative change with its interval: `+0.4 % [-0.3, +1.1]`; of a reference with hardly any error, its size."""
    if value is not None and known(value) and value > _BEYOND:
        return f"> +{100 * _BEYOND:,} %"
    digits = effect_digits(value, bounds)
    return f"{percent(value, digits)} {interval(bounds, digits)}".rstrip()


def effect_digits(value: Number, bounds: Sequence[Number] | None = None) -> int:
    """Decimals of a percentage: one, two where the interval is narrower than 0.2 %, none from 100 % on."""
    sizes = [abs(each) for each in (value, *(bounds or ())) if each is not None and known(each)]
    if sizes and max(sizes) >= 1:
        return 0
    if bounds and len(bounds) == 2 and bounds[0] is not None and bounds[1] is not None:
        return 2 if 0 < bounds[1] - bounds[0] < 0.002 else 1
    return 1


def margin(value: Number) -> str:
    """The margin of equivalence: 0.01 is `±1 %`."""
    return f"±{100 * value:.3g} %" if value is not None and known(value) else NOTHING


def bound(value: Number) -> str:
    """A share without a sign, to three digits: 0.0105 is `1.05 %`."""
    return f"{100 * value:.3g} %" if value is not None and known(value) else NOTHING


def loss(value: Number) -> str:
    """An error to four digits: `0.3801`, `12.35`, `1.235e+07`."""
    return losses([value])[0]


def losses(values: Sequence[Number]) -> list[str]:
    """Errors of one column, all with the same decimals, so that they line up; the middle one has four digits."""
    sizes = sorted(abs(value) for value in values if value is not None and known(value) and value)
    if not sizes:
        return [f"{value:g}" if value is not None and known(value) else NOTHING for value in values]
    if max(sizes) >= 1e7 or max(sizes) < 1e-4:
        return [f"{value:.3e}" if value is not None and known(value) else NOTHING for value in values]
    decimals = min(max(3 - math.floor(math.log10(sizes[len(sizes) // 2])), 0), 6)
    return [f"{value:,.{decimals}f}" if value is not None and known(value) else NOTHING for value in values]


def estimate(value: Number, low: Number = None, high: Number = None) -> tuple[str, str]:
    """A number of any unit and its interval, with the decimals that the interval bears: `1.152`, `[1.149, 1.155]`.

    Without an interval the number has four digits, and the second text is empty.

    Args:
        value: the number; a dash is written for None and for what is not finite.
        low: lower end of its interval, None if it has none.
        high: upper end.
    """
    if value is None or not known(value):
        return NOTHING, ""
    bounds = [bound for bound in (low, high) if bound is not None and known(bound)]
    most = max(map(abs, (value, *bounds)))
    size = math.floor(math.log10(most)) if most else 0
    width = bounds[1] - bounds[0] if len(bounds) == 2 else 0.0
    fine = min(_decimals(width / 2), 6 - size) if width > 0 else 3 - size
    style = f".{max(size + fine, 0)}e" if most and not -4 <= size < 7 else f",.{max(fine, 0)}f"

    def written(number: Number) -> str:
        text = f"{number:{style}}" if number is not None and known(number) else NOTHING
        text = text if text.strip("-0.,") else text.lstrip("-")
        return text.rstrip("0").rstrip(".") if not bounds and "." in text and "e" not in text else text

    return written(value), f"[{written(low)}, {written(high)}]" if bounds else ""


def short(value: Number) -> str:
    """Three digits: `0.0123`, `1.5`, `12,300`."""
    if value is None or not known(value):
        return NOTHING
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e7 else f"{value:.2e}"
    return f"{value:.3g}"


def seconds(value: Number) -> str:
    """A duration: `0.09 s`, `12.3 s`, `2 min 3 s`, `1 h 5 min`."""
    return NOTHING if value is None or not known(value) else duration(value)


def count(value: Number) -> str:
    """A whole number with its thousands marked: `81,728`."""
    return f"{value:,.0f}" if value is not None and known(value) else NOTHING


def p_value(value: Number) -> str:
    """A p-value with its relation: `p = 0.012`, `p < 0.001`."""
    if value is None or not known(value):
        return f"p {NOTHING}"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def p_values(named: Mapping[str, Number] | None) -> dict[str, str]:
    """p-values by what they speak for, a column each: of a loss greater or less than the margin, and within it."""
    given = named or {}
    return {
        f"p {name}": p_value(given.get(name)).removeprefix("p ").removeprefix("= ")
        for name in ("greater", "less", "equivalent")
    }


def instant(value: Any) -> str:
    """A point in time, ISO 8601, with a space for the T and without empty seconds or the zone of UTC."""
    if value is None:
        return NOTHING
    written = str(value).removesuffix("Z").removesuffix("+00:00")
    if len(written) > 10 and written[10] == "T":
        written = f"{written[:10]} {written[11:]}"
    return written.removesuffix(":00") if written.count(":") == 2 else written


def _decimals(error: float) -> int:
    """Decimals that show an error of this size: one digit of it, two if the first is a one."""
    power = math.floor(math.log10(error))
    return -power + (error < 2 * 10.0**power)


def _signed(value: Number, digits: int) -> str:
    if value is None:
        return NOTHING
    written = f"{100 * value:+,.{digits}f}"
    return written.lstrip("+-") if not written.strip("+-0.") else written
