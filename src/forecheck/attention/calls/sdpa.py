"""Attention by `torch.nn.functional.scaled_dot_product_attention`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from forecheck.attention.calls.site import CallSite, allowed_keys
from forecheck.nn.softmax import SoftmaxAttention

STYLE = "scaled_dot_product_attention"

Meet = Callable[[str, tuple[int, ...], tuple[int, int]], CallSite]
"""Says which site a call belongs to, by style, sizes of the batch axes, and numbers of queries and keys."""


def handle(meet: Meet, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """One call, with the edit of its site.

    Args:
        meet: says which site the call belongs to.
        func: the function itself, called where the site is neither edited nor observed.
        args: what it was called with.
        kwargs: what it was called with by name.

    Returns:
        What attention gives, in the shape that `func` returns.
    """
    return _attend(meet, func, *args, **kwargs)


def _attend(
    meet: Meet,
    func: Callable[..., Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    site = meet(STYLE, query.shape[:-2], (query.shape[-2], key.shape[-2]))
    options: dict[str, Any] = {"scale": scale} | ({"enable_gqa": True} if enable_gqa else {})

    def original() -> Tensor:
        return func(query, key, value, attn_mask, dropout_p, is_causal, **options)

    if not site.active:
        return original()
    groups = query.shape[-3] // key.shape[-3] if enable_gqa else 1
    # What is 3-D is unbatched, one head, or heads and batch on one axis: the site knows.
    key_, value_ = _repeat(key, groups), _repeat(value, groups)
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (query, key_, value_)))  # type: ignore[no-untyped-call]
    q, k, v = (_four(x, lead, site.heads) for x in (query, key_, value_))
    mask = _mask(attn_mask, q, k, lead, site.heads, causal=is_causal)

    def weights() -> Tensor:
        return _pattern(q, k, v, mask, scale)

    def allowed() -> Tensor:
        if mask is None:
            return torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device)
        return mask if mask.dtype == torch.bool else allowed_keys(mask)

    mixed = site.mix(lambda: _four(original(), lead, site.heads), weights, allowed, v, dropout_p)
    return mixed.reshape(*lead, *mixed.shape[-2:])


def _repeat(x: Tensor, groups: int) -> Tensor:
    """Grouped queries: a head of keys and values serves several heads of queries."""
    return x.repeat_interleave(groups, dim=-3) if groups > 1 else x


def _four(x: Tensor, lead: tuple[int, ...], heads: int) -> Tensor:
    """As (batch, head, token, width)."""
    return x.expand(*lead, *x.shape[-2:]).reshape(-1, heads, *x.shape[-2:])


def _mask(
    mask: Tensor | None, q: Tensor, k: Tensor, lead: tuple[int, ...], heads: int, *, causal: bool
) -> Tensor | None:
    """Boolean or added mask, two axes or as (batch, head, query, key)."""
    if causal:
        return torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
    if mask is None or all(size == 1 for size in mask.shape[:-2]):
        return None if mask is None else mask.reshape(mask.shape[-2:]).expand(q.shape[-2], k.shape[-2])
    return _four(mask.expand(*mask.shape[:-2], q.shape[-2], k.shape[-2]), lead, heads)


def _pattern(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """Softmax of the scaled scores; a row that may see nothing is 0."""
    q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
    if mask is None and q.dtype == torch.float32:
        weights: Tensor = SoftmaxAttention.apply(q, k, v, True)[1]  # type: ignore[no-untyped-call]
        return weights
    scores = torch.matmul(q, k.mT)
    if mask is None:
        return torch.softmax(scores, dim=-1)
    scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return torch.softmax(scores, dim=-1).masked_fill((scores == float("-inf")).all(dim=-1, keepdim=True), 0.0)
