"""Attention by `torch.nn.MultiheadAttention`, and so by `nn.TransformerEncoder` and its kin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.nn import functional

from forecheck.attention.calls import sdpa
from forecheck.attention.calls.sdpa import Meet
from forecheck.attention.calls.site import CallSite, allowed_keys

STYLE = "torch.nn.MultiheadAttention"
_HEADS = 4  # its place among the arguments of multi_head_attention_forward


def handle(
    meet: Meet, func: Callable[..., tuple[Tensor, Tensor | None]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, Tensor | None]:
    """One call of `multi_head_attention_forward`, with the edit of its site.

    What it calls inside is hidden from the mode that sees the call itself, so for its time the two functions that
    form patterns there, one for each value of `need_weights`, are replaced where it looks them up. Weights that it
    returns are the edited ones.

    Args:
        meet: says which site the call belongs to.
        func: the function itself.
        args: what it was called with.
        kwargs: what it was called with by name.

    Returns:
        As `func` does: the output, and the weights if they were asked for.
    """
    heads = int(args[_HEADS] if len(args) > _HEADS else kwargs["num_heads"])

    def met(_style: str, lead: tuple[int, ...], tokens: tuple[int, int]) -> CallSite:
        return meet(STYLE, lead, tokens)

    original, softmax = functional.scaled_dot_product_attention, functional.softmax

    def attend(*args: Any, **kwargs: Any) -> Tensor:
        return sdpa.handle(met, original, args, kwargs)

    def pattern(scores: Tensor, dim: int | None = None, **kwargs: Any) -> Tensor:
        weights = softmax(scores, dim=dim, **kwargs)
        site = met(STYLE, (len(scores) // heads, heads), (scores.shape[-2], scores.shape[-1]))
        if not site.active:
            return weights
        shape = (len(scores) // heads, heads, *scores.shape[1:])

        def allowed() -> Tensor:
            let = allowed_keys(scores)
            return let if let.dim() == 2 else let.reshape(shape)

        return site.replaced(weights.reshape(shape), allowed).reshape(scores.shape)

    with _replaced(attend, pattern):
        return func(*args, **kwargs)


@contextmanager
def _replaced(attend: Callable[..., Tensor], softmax: Callable[..., Tensor]) -> Iterator[None]:
    before = functional.scaled_dot_product_attention, functional.softmax
    functional.scaled_dot_product_attention, functional.softmax = attend, softmax
    try:
        yield
    finally:
        functional.scaled_dot_product_attention, functional.softmax = before
