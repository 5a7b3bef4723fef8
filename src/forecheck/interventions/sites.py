"""Where attention sits in a model: sites, found by the adapters, believed only after the identity test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from forecheck.errors import UsageError
from forecheck.interventions.patterns import PassThrough
from forecheck.nn.attention import PatternEdit

_ADAPTERS = ("native",)


@runtime_checkable
class Site(Protocol):
    """One attention operation of a model.

    Attributes:
        path: module path.
        layer: its place in the order of the forward pass, 0-based.
        heads: number of heads.
        queries: tokens that look.
        keys: tokens that are looked at.
    """

    path: str
    layer: int
    heads: int
    queries: int
    keys: int

    def edit(self, pattern: PatternEdit | None) -> None:
        """Put an edit on the pattern, or take it off."""

    def observe(self, callback: Callable[[Tensor], None] | None) -> None:
        """Have the raw pattern of every forward pass handed to `callback`, or stop that."""


@runtime_checkable
class Adapter(Protocol):
    """How attention is reached in the models of one library."""

    name: str

    def sites(self, model: nn.Module, example: Tensor) -> list[Site]:
        """The sites that a forward pass of `example` goes through, in its order; empty if it knows none."""


@dataclass(frozen=True)
class Found:
    """The sites of a model and the adapter that found them."""

    adapter: str
    sites: list[Site]

    def describe(self) -> str:
        """One line for reports: adapter, number of sites, shapes."""
        shapes = {(site.heads, site.queries, site.keys) for site in self.sites}
        shape = ", ".join(f"{h} heads x {q} x {k} tokens" for h, q, k in sorted(shapes))
        return f"{len(self.sites)} attention sites through the {self.adapter} adapter ({shape})"


def find_sites(model: nn.Module, example: Tensor) -> Found:
    """Sites of a model by the first adapter that knows any.

    Args:
        model: any torch forecaster.
        example: an input batch (batch, lookback, channel), for shapes.

    Raises:
        UsageError: if no adapter finds attention.
    """
    for name in _ADAPTERS:
        adapter: Adapter = import_module(f"forecheck.interventions.adapters.{name}").ADAPTER
        sites = adapter.sites(model, example)
        if sites:
            return Found(adapter.name, sites)
    raise UsageError(f"no attention was found in {type(model).__name__}", f"Adapters tried: {', '.join(_ADAPTERS)}.")


@torch.no_grad()
def identity_error(model: nn.Module, example: Tensor, sites: Iterable[Site]) -> float:
    """Largest relative difference between the untouched forecast and the one through pass-through edits.

    The identity test: an adapter is believed only if this is at rounding level.
    """
    sites = list(sites)
    was_training = model.training
    model.eval()
    untouched = model(example)
    try:
        for site in sites:
            site.edit(PassThrough())
        through = model(example)
    finally:
        for site in sites:
            site.edit(None)
        model.train(was_training)
    scale = untouched.abs().max().clamp(min=torch.finfo(untouched.dtype).tiny)
    return float((through - untouched).abs().max() / scale)
