"""Means over training windows: of attention patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from forecheck.errors import UsageError
from forecheck.interventions.sites import Attached


@torch.no_grad()
def mean_patterns(attached: Attached, batches: Iterable[Tensor]) -> dict[int, Tensor]:
    """Mean raw pattern (head, query, key) of every site over all series of all batches, by layer.

    Raises:
        UsageError: if there are no batches, or a pattern changes its size from pass to pass.
    """
    sites = attached.sites
    sums = {site.layer: torch.zeros(site.heads, site.queries, site.keys, dtype=torch.float64) for site in sites}
    counts = dict.fromkeys(sums, 0)

    def add(layer: int, path: str) -> Callable[[Tensor], None]:
        def record(weights: Tensor) -> None:
            if weights.shape[1:] != sums[layer].shape:
                raise UsageError(f"the pattern of {path} changes its size, so it has no mean")
            sums[layer] += weights.sum(dim=0, dtype=torch.float64).cpu()
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
