"""The direction in which training pushes attention: to a token itself, or away from it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.attention.patterns import Allowed, Edited, Values, Weights
from forecheck.attention.sites import Attached, Site, attach
from forecheck.nn.attention import PatternEdit
from forecheck.probes.case import Case, Measured, batch_of, batches, number, numbers, spread


class Probe(PatternEdit):
    """The raw pattern plus zeros; the gradient of the zeros is that of the loss with respect to the pattern."""

    def __init__(self) -> None:
        super().__init__()
        self.pattern: Tensor | None = None
        self.zeros: Tensor | None = None

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The raw pattern."""
        assert weights is not None
        self.pattern = weights.detach()
        self.zeros = torch.zeros_like(weights, requires_grad=True)
        return weights + self.zeros


def pattern_gradients(
    attached: Attached, sites: list[Site], x: Tensor, y: Tensor
) -> list[tuple[Float[Tensor, "batch head query key"], Float[Tensor, "batch head query key"]]] | None:
    r"""Raw patterns A and :math:`\partial L / \partial A` of the squared error, mean over the batch, at some sites.

    With G the gradient of what a head mixes, :math:`\partial L / \partial A_{ij} = \langle G_i, v_j \rangle`. Nothing
    is added to any parameter's gradient. None if no gradient reaches a pattern.

    Args:
        attached: the model.
        sites: where; edits that they hold are taken off.
        x: inputs (batch, lookback, channel).
        y: targets (batch, horizon, channel); NaN where never observed, which does not count.
    """
    probes = [Probe() for _ in sites]
    try:
        for site, probe in zip(sites, probes, strict=True):
            site.edit(probe)
        with torch.enable_grad():
            squared = (attached(x) - y).square()
            loss = squared[~torch.isnan(y)].mean() if bool(torch.isnan(y).any()) else squared.mean()
            zeros = [probe.zeros for probe in probes if probe.zeros is not None]
            if not loss.requires_grad or len(zeros) < len(probes):
                return None
            gradients = torch.autograd.grad(loss, zeros, allow_unused=True)
    finally:
        for site in sites:
            site.edit(None)
    if any(gradient is None for gradient in gradients):
        return None
    return [(probe.pattern, gradient) for probe, gradient in zip(probes, gradients, strict=True)]  # type: ignore[misc]


class _Counts:
    """Sums of one site over windows, by head and query."""

    def __init__(self, site: Site) -> None:
        self.count = 0
        self.case1 = torch.zeros(site.heads, site.queries, dtype=torch.float64)
        self.exact = torch.zeros_like(self.case1)
        self.weight = torch.zeros_like(self.case1)

    def add(
        self, pattern: Float[Tensor, "batch head query key"], gradient: Float[Tensor, "batch head query key"]
    ) -> None:
        """Count both criteria; a gradient of exactly 0 is no Case 1."""
        pattern, gradient = pattern.cpu().double(), gradient.cpu().double()
        own = gradient.diagonal(dim1=2, dim2=3)
        self.count += len(pattern)
        self.case1 += (own > 0).sum(dim=0)
        self.exact += (own > (pattern * gradient).sum(dim=3)).sum(dim=0)
        self.weight += pattern.diagonal(dim1=2, dim2=3).sum(dim=0)

    def summary(self) -> dict[str, Any]:
        """Shares over all queries and for the last one, by layer and by head."""
        case1, exact, weight = (x / self.count for x in (self.case1, self.exact, self.weight))
        both = {"case1": case1, "exact": exact, "self_weight": weight}
        return (
            {name: number(x.mean()) for name, x in both.items()}
            | {"last_query": {name: number(x[:, -1].mean()) for name, x in both.items()}}
            | {"heads": {name: numbers(x.mean(dim=1)) for name, x in both.items()}}
            | {"series": self.count}
        )


def gradient(case: Case) -> Measured:
    r"""Share of Case 1, where descent lowers a token's attention to itself, over training windows.

    Two criteria for query i of a head, with A the pattern and D = dL/dA:

    - `case1`, the paper's: :math:`D_{ii} > 0`;
    - `exact`, what decides the sign of the score's update: :math:`D_{ii} - \sum_j A_{ij} D_{ij} > 0`, since the
      gradient of score (i, i) is :math:`A_{ii}` times this.

    Only self-attention has a diagonal: sites with another number of keys than queries say so. Patterns that are no
    softmax (linear, differential) have another gradient of the score, and no summary.

    Returns:
        Summary: `layers`, a list with path and shares, or `why_not`. Arrays: `case1_{layer}`, `exact_{layer}` and
        `self_weight_{layer}` (head, query).

    Source: Ke et al., Curse of Attention, section 7.1, per head; the exact criterion is ours.
    """
    train = case.experiment.train
    index = spread(train)
    example, _ = train.gather(index[:2])
    with attach(case.subject, example) as attached:
        if not attached.sites:
            return {"why_not": attached.why_not}, {}
        sites = [site for site in attached.sites if site.queries == site.keys]
        if not sites:
            return {"why_not": "there is no self-attention, so no pattern has a diagonal"}, {}
        if not all(getattr(site, "stochastic", True) for site in sites):
            return {"why_not": "rows of the patterns do not sum to one, and the criterion is that of a softmax"}, {}
        counts = {site.layer: _Counts(site) for site in sites}
        # All layers keep their patterns, and what the way back needs beside them.
        for x, y in batches(train, index, batch_of(sites, train.channels, kept=4 * len(sites))):
            found = pattern_gradients(attached, sites, x, y)
            if found is None:
                return {"why_not": "no gradient of the forecast reaches the patterns"}, {}
            for site, (pattern, slope) in zip(sites, found, strict=True):
                counts[site.layer].add(pattern, slope)
    layers: list[dict[str, Any]] = []
    arrays = {}
    for site in attached.sites:
        if site.layer not in counts:
            layers.append({"path": site.path, "why_not": f"{site.queries} queries look at {site.keys} other keys"})
            continue
        each = counts[site.layer]
        layers.append({"path": site.path} | each.summary())
        for name in ("case1", "exact"):
            arrays[f"{name}_{site.layer}"] = (getattr(each, name) / each.count).numpy()
        arrays[f"self_weight_{site.layer}"] = (each.weight / each.count).numpy()
    return {"windows": len(index), "layers": layers}, arrays
