"""What claims hand to the reports to be drawn: curves over numbers, bars and heat maps, as plain dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

Number = float | None


def curve(
    label: str,
    x: Sequence[float],
    y: Sequence[Number],
    low: Sequence[Number] | None = None,
    high: Sequence[Number] | None = None,
    style: Literal["line", "dashed", "points"] = "line",
) -> dict[str, Any]:
    """One curve of `curves`.

    Args:
        label: its name in the legend.
        x: where its points lie.
        y: their values; None where there is none.
        low, high: a band around it.
        style: `line` for what was measured, `dashed` for what is predicted or a reference, `points` without a line.
    """
    drawn: dict[str, Any] = {"label": label, "x": list(x), "y": list(y), "style": style}
    return drawn if low is None or high is None else drawn | {"low": list(low), "high": list(high)}


def curves(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[dict[str, Any]],
    log: Literal["", "x", "y", "xy"] = "",
    levels: Sequence[tuple[str, float]] = (),
) -> dict[str, Any]:
    """Curves over a number.

    Args:
        title: what is drawn.
        x_label, y_label: of the axes, with units.
        series: see `curve`.
        log: axes that are logarithmic; what is not positive is left out of them.
        levels: horizontal lines with their names, such as a noise floor.
    """
    return {
        "kind": "curves",
        "title": title,
        "x_label": x_label,
        "y_label": y_label,
        "x_scale": "log" if "x" in log else "linear",
        "y_scale": "log" if "y" in log else "linear",
        "series": list(series),
        "levels": [{"label": label, "value": value} for label, value in levels],
    }


def bars(
    title: str, y_label: str, names: Sequence[str], series: Sequence[tuple[str, Sequence[Number]]]
) -> dict[str, Any]:
    """Bars by name, those of all series side by side.

    Args:
        title: what is drawn.
        y_label: of the axis, with its unit.
        names: of the groups of bars, from left to right.
        series: of every one its name in the legend and a value for every group; None where there is none.
    """
    return {
        "kind": "bars",
        "title": title,
        "y_label": y_label,
        "x": list(names),
        "series": [{"label": label, "y": list(values)} for label, values in series],
    }


def heat(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[Number]],
    x_label: str = "",
    y_label: str = "",
    unit: str = "",
) -> dict[str, Any]:
    """A heat map.

    Args:
        title: what is drawn.
        rows: names from top to bottom.
        columns: names from left to right.
        values: one list for each row; None where there is none.
        x_label: what the columns are.
        y_label: what the rows are.
        unit: of the values.
    """
    return {
        "kind": "heat",
        "title": title,
        "rows": list(rows),
        "columns": list(columns),
        "values": [list(row) for row in values],
        "x_label": x_label,
        "y_label": y_label,
        "unit": unit,
    }
