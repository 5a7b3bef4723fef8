"""Durations in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A duration: `0.09 s`, `12.3 s`, `2 min 3 s`, `1 h 5 min`."""
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 3600:
        return f"{round(seconds) // 60} min {round(seconds) % 60} s"
    return f"{round(seconds / 60) // 60:,} h {round(seconds / 60) % 60} min"
