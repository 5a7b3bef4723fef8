"""Token matrices that enter and leave attention, and how alike and how rich they are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.attention.sites import Attached, Site

# How far up from a site's module to look for one that is handed whole tokens.
_UP = 3


class Tokens(NamedTuple):
    """Tokens of one attention layer: what enters it, and what it adds (None where that could not be had)."""

    entering: Float[Tensor, "series token width"]
    leaving: Float[Tensor, "series token out"] | None


@torch.no_grad()
def tokens_of(attached: Attached, module: nn.Module | None, x: Tensor) -> dict[int, Tokens | str]:
    """Tokens of every layer in a forward pass of `x`; the reason where they cannot be had.

    They are read by hooks: of the site's own module, or else of the innermost module around it, up to three steps,
    that holds no other site and whose first tensor argument is (batch, token, width).

    Args:
        attached: the model.
        module: that holds the sites; None for a model without modules around them.
        x: inputs (batch, lookback, channel).
    """
    candidates = {site.layer: _candidates(site, attached.sites, module) for site in attached.sites}
    calls: dict[nn.Module, list[tuple[Tensor | None, Tensor | None]]] = {}

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        calls.setdefault(module, []).append((_tensor([*args, *kwargs.values()]), _tensor(_flat(output))))

    handles = [
        each.register_forward_hook(record, with_kwargs=True)
        for each in {each for modules in candidates.values() for each in modules}
    ]
    try:
        attached(x)
    finally:
        for handle in handles:
            handle.remove()
    return {site.layer: _chosen(site, attached.sites, candidates[site.layer], calls) for site in attached.sites}


def _candidates(site: Site, sites: list[Site], module: nn.Module | None) -> list[nn.Module]:
    """The site's module and those around it that hold no other site's."""
    if site.module is None:
        return []
    found = [site.module]
    paths = {each: path for path, each in module.named_modules()} if module is not None else {}
    others = {other.module for other in sites if other.module is not site.module}
    path = paths.get(site.module, "")
    while path and len(found) <= _UP:
        path = path.rpartition(".")[0]
        around = module.get_submodule(path) if module is not None else site.module
        if around is module or not others.isdisjoint(around.modules()):
            break
        if not isinstance(around, nn.ModuleList | nn.ModuleDict):
            found.append(around)
    return found


def _chosen(
    site: Site,
    sites: list[Site],
    candidates: list[nn.Module],
    calls: dict[nn.Module, list[tuple[Tensor | None, Tensor | None]]],
) -> Tokens | str:
    """The first candidate that was handed whole tokens; a module that runs several times meets its sites in order."""
    if not candidates:
        return "the module around this attention is not known"
    turn = sum(other.module is site.module for other in sites if other.layer < site.layer)
    for module in candidates:
        seen = calls.get(module, [])
        if turn >= len(seen):
            continue
        entering, leaving = (_oriented(tensor, site.queries, module) for tensor in seen[turn])
        if entering is not None:
            return Tokens(entering, leaving)
    return "no module around this attention is handed tokens as (batch, token, width)"


def _oriented(x: Tensor | None, tokens: int, module: nn.Module) -> Tensor | None:
    """As (series, token, width), if it is that."""
    if x is None or x.dim() != 3:
        return None
    if getattr(module, "batch_first", True) is False:
        x = x.transpose(0, 1)
    return x if x.shape[1] == tokens else None


def _tensor(values: Iterable[Any]) -> Tensor | None:
    """A copy of the first tensor of floats: models add to tokens in place."""
    found = next((value for value in values if isinstance(value, Tensor) and value.is_floating_point()), None)
    return None if found is None else found.detach().clone().cpu()


def _flat(output: Any) -> list[Any]:
    if isinstance(output, dict):
        return list(output.values())
    return list(output) if isinstance(output, tuple | list) else [output]


def effective_rank(matrix: Float[Tensor, "*batch row width"]) -> Float[Tensor, "*batch"]:
    r"""Effective rank of centred rows, :math:`\exp H(p)` with :math:`p = s / \sum s` the normalised singular values.

    Between 1 and min(row - 1, width); NaN if all rows are equal.

    Source: Roy & Vetterli, The effective rank, EUSIPCO 2007.
    """
    matrix = matrix.double()
    # Centring a matrix of equal rows leaves rounding; that is no direction.
    floor = matrix.abs().amax(dim=(-2, -1)) * 1e-12 * math.sqrt(matrix.shape[-2] * matrix.shape[-1])
    values = torch.linalg.svdvals(matrix - matrix.mean(dim=-2, keepdim=True))
    share = values / values.sum(dim=-1, keepdim=True).where(values[..., :1] > floor[..., None], math.nan)
    return torch.exp(-torch.xlogy(share, share).sum(dim=-1))


def linear_cka(x: Float[Tensor, "row width"], y: Float[Tensor, "row other"]) -> float:
    r"""Linear centred kernel alignment, :math:`\|Y^\top X\|_F^2 / (\|X^\top X\|_F \|Y^\top Y\|_F)` of centred rows.

    1 for matrices equal up to rotation, shift and scale; about width / row for unrelated ones. NaN for a constant one.

    Source: Kornblith et al., Similarity of Neural Network Representations Revisited, ICML 2019, equation 4.
    """
    x, y = (z.double() - z.double().mean(dim=0) for z in (x, y))
    both = torch.linalg.matrix_norm(y.T @ x).square()
    return float(both / (torch.linalg.matrix_norm(x.T @ x) * torch.linalg.matrix_norm(y.T @ y)))


def own_share(tokens: Float[Tensor, "series token width"]) -> float:
    r"""How much of a window's tokens is not their common mean: :math:`\|X - 1 \bar x^\top\|_F^2 / \|X\|_F^2`.

    Mean over windows; 0 if all tokens of a window are the same (rank collapse).

    Source: Dong et al., Attention is not all you need, ICML 2021, section 2 (relative residual), squared.
    """
    tokens = tokens.double()
    own = (tokens - tokens.mean(dim=1, keepdim=True)).square().sum(dim=(1, 2))
    return float((own / tokens.square().sum(dim=(1, 2))).nanmean())
