"""Means over training windows: of attention patterns, and of what sublayers give."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from forecheck.attention.parts import Part
from forecheck.attention.sites import Attached, why_no_pattern
from forecheck.errors import UsageError
from forecheck.nn.placed import doubles


@torch.no_grad()
def mean_patterns(attached: Attached, batches: Iterable[Tensor]) -> dict[int, Tensor]:
    """Mean raw pattern (head, query, key) of every site over all series of all batches, by layer.

    Raises:
        UsageError: if there are no batches, a pattern changes its size from pass to pass, or a site has none.
    """
    sites = attached.sites
    for site in sites:
        if why := why_no_pattern(site):
            raise UsageError(f"{site.path} has no pattern, so it has no mean: {why}")
    sums = {site.layer: torch.zeros(site.heads, site.queries, site.keys, dtype=torch.float64) for site in sites}
    counts = dict.fromkeys(sums, 0)

    def add(layer: int, path: str) -> Callable[[Tensor], None]:
        def record(weights: Tensor) -> None:
            if weights.shape[1:] != sums[layer].shape:
                raise UsageError(f"the pattern of {path} changes its size, so it has no mean")
            sums[layer] += doubles(weights).sum(dim=0).cpu()
            counts[layer] += len(weights)

        return record

    try:
        for site in sites:
            site.observe(add(site.layer, site.path))
        for x in batches:
            attached(x)
    finally:
        for site in sites:
            site.observe(None)
    if not all(counts.values()):
        raise UsageError("a mean pattern needs calibration windows to average over")
    return {layer: (total / counts[layer]).float() for layer, total in sums.items()}


@torch.no_grad()
def mean_outputs(attached: Attached, parts: list[Part], batches: Iterable[Tensor]) -> dict[int, Tensor]:
    """Mean output (token, feature) of every part over all series of all batches, by layer.

    Args:
        attached: the model.
        parts: sublayers whose output is averaged.
        batches: inputs (batch, lookback, channel) that are averaged over.

    Raises:
        UsageError: if there are no batches, a part mixes windows and tokens in one axis, or its tokens change in number
            from pass to pass.
    """
    sums: dict[int, Tensor] = {}
    counts = dict.fromkeys((part.layer for part in parts), 0)

    def add(part: Part) -> Callable[[Tensor], None]:
        if (axis := part.axis) is None:
            raise UsageError(f"the output of {part.path} has no axis of tokens, so it has no mean by position")

        def record(y: Tensor) -> None:
            rows = y.detach().movedim(axis, -2).flatten(0, -3)
            total = doubles(rows).sum(dim=0).cpu()
            if part.layer in sums and sums[part.layer].shape != total.shape:
                raise UsageError(f"the output of {part.path} changes its size, so it has no mean")
            sums[part.layer] = sums.get(part.layer, torch.zeros_like(total)) + total
            counts[part.layer] += len(rows)

        return record

    handles: list[RemovableHandle] = []
    try:
        for part in parts:
            handles += part.on_output(add(part))
        for x in batches:
            attached(x)
    finally:
        for handle in handles:
            handle.remove()
    if not all(counts.values()):
        raise UsageError("a mean output needs calibration windows to average over")
    return {layer: total / counts[layer] for layer, total in sums.items()}
