"""What pruning cost and gained, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

_ROWS = 12
"""Weights that are listed, the largest."""
_PLACES = 6
"""Layers that are listed."""


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
        ("parameters", *(f"{each:,}" for each in info["parameters"])),
        ("not zero", f"{before:,}", f"{after:,}"),
        ("bytes on disk", *(f"{each:,}" for each in info["bytes"])),
        (f"ms for {info['windows_timed']} windows", *_milliseconds(info)),
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
    lines += [Text(each) for each in (*removed_lines(info["removed"]), f"speed: {info['speed']}")]
    lines += [Text(each, style="bold") for each in (info["why"], *info["warnings"]) if each]
    return Group(Text(said, style="bold"), Text(), changed, Text(), weights, *lines)


def _judged(info: Mapping[str, Any]) -> str:
    if info["outcome"] == "no difference":
        return "as good"
    return "not known to be better or worse" if info["outcome"] == "undecided" else str(info["outcome"])


def removed_lines(removed: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What was taken out, a line for heads and one for hidden units.

    Args:
        removed: see `forecheck.sparsity.removal.Removal`.
    """
    lines = []
    for kind, name in (("heads", "attention heads"), ("units", "hidden units")):
        of_kind = [each for each in removed.values() if each["kind"] == kind]
        if of_kind:
            shown = ", ".join(f"{each['before']} to {each['after']}" for each in of_kind[:_PLACES])
            more = f" and {len(of_kind) - _PLACES} more" if len(of_kind) > _PLACES else ""
            lines.append(f"taken out: {name}, layer by layer {shown}{more}")
    return lines


def _milliseconds(info: Mapping[str, Any]) -> list[str]:
    return [
        f"{middle:.2f} [{low:.2f}, {high:.2f}]"
        for middle, (low, high) in zip(info["milliseconds"], info["milliseconds_intervals"], strict=True)
    ]
