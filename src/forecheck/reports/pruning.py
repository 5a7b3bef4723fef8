"""What pruning cost and gained, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

_ROWS = 12
"""Weights that are listed, the largest."""


def pruning_text(info: Mapping[str, Any]) -> Group:
    """A headline, what changed, and the largest weights.

    Args:
        info: of `forecheck.forecasting.pruned.PrunedForecaster`.
    """
    low, high = info["interval"]
    said = (
        f"{info['model']}: {100 * info['sparsity']:.1f} % of {info['prunable']:,} prunable weights are zero "
        f"({info['method']}); the pruned one is {_judged(info)}: test MSE {100 * info['effect']:+.1f} % "
        f"[{100 * low:+.1f}, {100 * high:+.1f}], margin {100 * info['margin']:g} %."
    )
    changed = Table("", "before", "after", box=None, padding=(0, 2, 0, 0))
    before, after = info["nonzero"]
    rows = [
        ("test MSE", *(f"{each:.4f}" for each in info["mse"])),
        ("test MAE", *(f"{each:.4f}" for each in info["mae"])),
        (f"not zero of {info['parameters']:,}", f"{before:,}", f"{after:,}"),
        ("bytes on disk", *(f"{each:,}" for each in info["bytes"])),
        ("ms for 32 windows", *(f"{each:.2f}" for each in info["milliseconds"])),
    ]
    for row in rows:
        changed.add_row(*row)
    weights = Table("weight", "size", "zero", "", box=None, padding=(0, 2, 0, 0))
    largest = sorted(info["weights"], key=lambda each: -each["size"])
    for each in largest[:_ROWS]:
        share = f"{100 * each['zero'] / each['size']:.1f} %"
        weights.add_row(Text(each["weight"]), f"{each['size']:,}", share, "head" if each["head"] else "")
    more = len(largest) - _ROWS
    lines = [Text(f"and {more} more weights") if more > 0 else Text(f"left alone: {len(info['left_out'])} parameters")]
    lines += [Text(f"speed: {info['speed']}")]
    lines += [Text(each, style="bold") for each in (info["why"], *info["warnings"]) if each]
    return Group(Text(said, style="bold"), Text(), changed, Text(), weights, *lines)


def _judged(info: Mapping[str, Any]) -> str:
    if info["outcome"] == "no difference":
        return "as good"
    return "not known to be better or worse" if info["outcome"] == "undecided" else str(info["outcome"])
