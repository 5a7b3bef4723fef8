"""Whether what comes to an output projection is values mixed by a pattern: found out by asking."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.attention.calls.site import CallSite
from forecheck.attention.calls.values import STYLE, Sublayer, by_part

_TOLERANCE = 1e-4
_THREE = 3


@torch.no_grad()
def settled(sublayer: Sublayer, real: Float[Tensor, "*batch query width"]) -> CallSite | None:
    """The site of a sublayer, if what comes to its output projection is values mixed by a pattern.

    It is if that is linear in the values of its tokens, by the same pattern for all features of a part, and takes from
    other tokens, in a way that differs between windows.

    Args:
        sublayer: with the run that is looked at.
        real: what came to the output projection in that run.
    """
    raw, values = sublayer.learn(), sublayer.values
    if raw is None or values is None or not _alike(values, raw) or not _close(raw, real):
        return None
    if not _close(sublayer.asked(values * 0), raw * 0, raw) or not _close(sublayer.asked(-2 * values), -2 * raw):
        return None
    weights = _weights(sublayer, values, raw)
    if weights is None or not _looks_elsewhere(weights):
        return None
    queries, keys = weights.shape[2:]
    later = weights.triu(1) if queries == keys else weights
    sublayer.causal = _close(later, later * 0, weights)
    site = CallSite(STYLE, "", 0, sublayer.parts, queries, keys, sublayer.out, projected=True)
    site.stochastic = bool((weights.sum(dim=-1) - 1).abs().max() < _TOLERANCE)
    return site


def _alike(values: Tensor, raw: Tensor) -> bool:
    """Whether the one can be the other, mixed over tokens."""
    if values.dim() < _THREE or not raw.numel() or not values.is_floating_point():
        return False
    return raw.shape[:-2] == values.shape[:-2] and raw.shape[-1] == values.shape[-1]


def _weights(sublayer: Sublayer, values: Tensor, raw: Tensor) -> Float[Tensor, "batch part query key"] | None:
    """The pattern, by which values and numbers that are drawn give what comes of them; None if there is none."""
    drawn = torch.randn(values.shape, generator=torch.Generator().manual_seed(0)).to(values)
    parts = _parts(sublayer.asked(drawn[..., :1].expand(values.shape)))
    if parts is None:
        return None
    came, sublayer.parts = sublayer.asked(drawn), parts
    for sublayer.turned in (False, True):
        weights = sublayer.pattern()
        mixed = [sublayer.laid(weights @ by_part(each, parts)) for each in (values, drawn)]
        if _close(mixed[0].reshape(raw.shape), raw) and _close(mixed[1].reshape(came.shape), came):
            return weights
    return None


def _looks_elsewhere(weights: Float[Tensor, "batch part query key"]) -> bool:
    """Whether a pattern takes from other tokens, and differs between windows."""
    apart = ~torch.eye(*weights.shape[2:], dtype=torch.bool, device=weights.device)
    return not _close(weights[..., apart], weights[..., apart] * 0, weights) and not _close(
        weights, weights[:1].expand_as(weights)
    )


def _close(found: Tensor, expected: Tensor, scale: Tensor | None = None) -> bool:
    """Whether two are equal but for rounding, beside the largest of `scale`."""
    if found.shape != expected.shape or not found.numel():
        return found.shape == expected.shape
    size = (expected if scale is None else scale).abs().max()
    return bool((found - expected).abs().max() <= _TOLERANCE * size)


def _parts(came: Tensor) -> int | None:
    """Number of patterns a window has, if all tokens have the same value in all features: neighbours share a pattern.

    None if their shares are not equal, or every feature is mixed in a way of its own, as by convolutions.
    """
    features = came.shape[-1]
    flat = came.reshape(-1, features)
    apart = (flat[:, 1:] - flat[:, :-1]).abs().amax(dim=0) > _TOLERANCE * flat.abs().max()
    starts = [0, *(apart.nonzero().flatten() + 1).tolist()]
    parts = len(starts)
    if features % parts or starts != list(range(0, features, features // parts)):
        return None
    return parts if parts < features or features == 1 else None
