"""Rows of measurements by their settings, for judges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from forecheck.papers.experiment import Row


def select(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows of these settings."""
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def distinct(rows: Sequence[Row], key: str) -> list[Any]:
    """What a setting was, each once, in the order of the rows."""
    return list(dict.fromkeys(row[key] for row in rows))


def grouped(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by these settings, each group where its first row was."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def cells(row: Row, *names: str) -> list[Any]:
    """What a row holds under these names."""
    return [row[name] for name in names]


def thinned(count: int, points: int = 60) -> list[int]:
    """Indices of at most so many points of a curve, evenly spread, both ends among them."""
    return list(
        dict.fromkeys(round(k * (count - 1) / max(min(count, points) - 1, 1)) for k in range(min(count, points)))
    )
