"""The stack of blocks that tokens go through: where their order can be changed, and changed back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn

from forecheck.attention.identity import TOLERANCE
from forecheck.attention.parts import token_axis
from forecheck.attention.patterns import Identity
from forecheck.attention.sites import Attached, Site
from forecheck.attention.trace import Call, Trace, first_tensor
from forecheck.errors import UsageError


def permutation(count: int, generator: torch.Generator) -> Tensor:
    """A random order of `count` rows that is not the old one, if there are at least two."""
    order = torch.randperm(count, generator=generator)
    while count > 1 and torch.equal(order, torch.arange(count)):
        order = torch.randperm(count, generator=generator)
    return order


@dataclass(frozen=True)
class Encoder:
    """From the input of the first block to the output of the last.

    Attributes:
        first: its first floating-point argument is the tokens.
        last: the first tensor of its output is the tokens.
        tokens: their number.
        axis_in: their axis in the input of `first`.
        axis_out: their axis in the output of `last`.
        start: the call of `first`.
    """

    first: nn.Module
    last: nn.Module
    tokens: int
    axis_in: int
    axis_out: int
    start: Call

    @contextmanager
    def permuted(self, order: Tensor) -> Iterator[None]:
        """Tokens in another order inside, and in their own order again behind, for the time of a `with` block."""
        back = order.argsort()

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            tokens = first_tensor([*args, *kwargs.values()])
            if tokens is None:
                raise UsageError(f"{type(module).__name__} was called without tokens")
            moved = tokens.index_select(self.axis_in, order.to(tokens.device))
            args = tuple(moved if each is tokens else each for each in args)
            return args, {key: moved if each is tokens else each for key, each in kwargs.items()}

        def after(module: nn.Module, _args: Any, output: Any) -> Any:
            tokens, rest = (output[0], output[1:]) if isinstance(output, tuple) else (output, None)
            if not isinstance(tokens, Tensor):
                raise UsageError(f"{type(module).__name__} gives no tensor or tuple, so its tokens cannot be moved")
            moved = tokens.index_select(self.axis_out, back.to(tokens.device))
            return moved if rest is None else (moved, *rest)

        handles = [
            self.first.register_forward_pre_hook(before, with_kwargs=True),
            self.last.register_forward_hook(after),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def find_encoder(attached: Attached, example: Tensor, traces: tuple[Trace, Trace]) -> Encoder:
    """The blocks around the first sites that look from all tokens at the same tokens.

    A block is an element of a list of modules (`nn.ModuleList`, `nn.Sequential`) that several sites share, else the
    nearest element around a site, else a module around it. A choice is believed only if the tokens' order does not
    matter between its ends but for attention: with every pattern the identity, permuting them there and back must
    leave the forecast as it is.

    Args:
        attached: the model.
        example: an input batch (batch, lookback, channel); its first two windows are forecast to test a choice.
        traces: what ran for few and for many windows, as `two_traces` returns them.

    Raises:
        UsageError: if no blocks pass that test.
    """
    small, large = traces
    tokens = small.sites[0].queries
    stack = list(takewhile(lambda site: site.queries == site.keys == tokens, small.sites))
    if not stack:
        raise UsageError(f"{small.sites[0].path} looks from some tokens at others, so their order cannot be changed")
    larger = {call.start: call for call in large.calls}
    for first, last in _candidates(small, stack):
        axis_in = token_axis(first.given, larger[first.start].given, tokens)
        axis_out = token_axis(last.gave, larger[last.start].gave, tokens)
        if axis_in is None or axis_out is None:
            continue
        encoder = Encoder(first.module, last.module, tokens, axis_in, axis_out, first)
        if _only_attention_mixes(attached, encoder, stack, example[:2]):
            return encoder
    raise UsageError("no blocks were found between whose ends only attention mixes tokens")


def _candidates(traced: Trace, stack: list[Site]) -> Iterator[tuple[Call, Call]]:
    """First and last block, the likeliest first."""
    around = [traced.moments[site.layer].around for site in stack]
    lists = [
        {id(each) for each in holder}
        for root in traced.roots
        for holder in root.modules()
        if isinstance(holder, nn.ModuleList | nn.Sequential)
    ]
    alone: list[tuple[Call, Call]] = []
    for call in reversed(around[0]):
        for members in lists:
            if id(call.module) in members:
                blocks = [each for calls in around for each in calls if id(each.module) in members]
                if len(blocks) > 1:
                    yield blocks[0], blocks[-1]
                else:
                    alone.append((call, call))
    yield from alone
    # Blocks in no list: the largest call around the first and the last site that holds no other, else any.
    own = [
        [call for call in calls if not any(call in other for other in around if other is not calls)] for calls in around
    ]
    if own[0] and own[-1]:
        yield own[0][0], own[-1][0]
    if len(stack) == 1:
        yield from ((call, call) for call in reversed(around[0]))


@torch.no_grad()
def _only_attention_mixes(attached: Attached, encoder: Encoder, stack: list[Site], x: Tensor) -> bool:
    try:
        for site in stack:
            site.edit(Identity())
        straight = attached(x)
        # Drawn, as rolling or reversing tokens would go unnoticed by convolutions.
        with encoder.permuted(permutation(encoder.tokens, torch.Generator().manual_seed(0))):
            permuted = attached(x)
    finally:
        for site in stack:
            site.edit(None)
    return bool((permuted - straight).abs().max() <= TOLERANCE * straight.abs().max())
