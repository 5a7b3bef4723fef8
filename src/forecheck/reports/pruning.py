"""What pruning cost and gained: in words, and for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

Json = Mapping[str, Any]

NAMES = {"heads": "attention heads", "units": "hidden units"}
"""What patterns of whole groups are of."""

_ROWS = 12
"""Weights that are listed, the largest."""
_PLACES = 6
"""Layers that are listed."""
_REASONS = 4
"""Reasons for which weights were left alone that are listed."""


def pruning_text(info: Json) -> Group:
    """A headline, what changed, and the largest weights.

    Args:
        info: of `forecheck.forecasting.pruned.PrunedForecaster`.
    """
    changed = Table("", "before", "after", box=None, padding=(0, 2, 0, 0))
    for row in changes(info):
        changed.add_row(*row)
    weights = Table("weight", "size", "zero", "", box=None, padding=(0, 2, 0, 0))
    listed = by_size(info)
    for each in listed[:_ROWS]:
        share = f"{100 * each['zero'] / each['size']:.1f} %"
        weights.add_row(Text(each["weight"]), f"{each['size']:,}", share, "head" if each["head"] else "")
    more = len(listed) - _ROWS
    lines = [Text(f"and {more} more weights")] if more > 0 else []
    lines += [Text(each) for each in (*left_alone(info), *gains(info))]
    lines += [Text(each, style="bold") for each in (info["why"], *info["warnings"]) if each]
    return Group(Text(sentence(info), style="bold"), Text(), changed, Text(), weights, *lines)


def sentence(info: Json) -> str:
    """What was pruned, and what it costs, with interval and margin."""
    low, high = info["interval"]
    pattern = info["goal"]["pattern"]
    whole = f", whole {NAMES[pattern]}" if isinstance(pattern, str) else ""
    return (
        f"{info['model']}: {100 * info['sparsity']:.1f} % of {info['prunable']:,} prunable weights are zero "
        f"({info['method']}{whole}); the pruned one is {_judged(info)}: test MSE {100 * info['effect']:+.1f} % "
        f"[{100 * low:+.1f}, {100 * high:+.1f}], margin {100 * info['margin']:g} %."
    )


def changes(info: Json) -> list[tuple[str, str, str]]:
    """Name, before and after of what changed."""
    rows = {
        "test MSE": [f"{each:.4f}" for each in info["mse"]],
        "test MAE": [f"{each:.4f}" for each in info["mae"]],
        "parameters": [f"{each:,}" for each in info["parameters"]],
        "not zero": [f"{each:,}" for each in info["nonzero"]],
        "bytes on disk": [f"{each:,}" for each in info["bytes"]],
        f"ms for {info['windows_timed']} windows": [
            f"{middle:.2f} [{low:.2f}, {high:.2f}]"
            for middle, (low, high) in zip(info["milliseconds"], info["milliseconds_intervals"], strict=True)
        ],
    }
    return [(name, before, after) for name, (before, after) in rows.items()]


def gains(info: Json) -> list[str]:
    """What was taken out, a line for heads and one for hidden units; what stays; and the speed."""
    lines = []
    for kind, name in NAMES.items():
        of_kind = [each for each in info["removed"].values() if each["kind"] == kind]
        if of_kind:
            shown = ", ".join(f"{each['before']} to {each['after']}" for each in of_kind[:_PLACES])
            more = f" and {len(of_kind) - _PLACES} more" if len(of_kind) > _PLACES else ""
            lines.append(f"taken out: {name}, layer by layer {shown}{more}")
    return [*lines, *info["stays"], f"speed: {info['speed']}"]


def left_alone(info: Json) -> list[str]:
    """What was left alone, a line for each reason."""
    why = Counter(info["left_out"].values())
    names = {reason: next(name for name, each in info["left_out"].items() if each == reason) for reason in why}
    return [
        f"left alone: {names[reason]}{f' and {count - 1} more' if count > 1 else ''} ({reason})"
        for reason, count in why.most_common(_REASONS)
    ]


def by_size(info: Json) -> list[Json]:
    """The weights, the largest first."""
    return sorted(info["weights"], key=lambda each: -int(each["size"]))


def _judged(info: Json) -> str:
    if info["outcome"] == "no difference":
        return "as good"
    return "not known to be better or worse" if info["outcome"] == "undecided" else str(info["outcome"])
