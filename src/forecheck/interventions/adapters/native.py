"""Our own models: every attention is a `forecheck.nn.attention.Attention`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forecheck.interventions.sites import Site
from forecheck.nn.attention import Attention, PatternEdit


@dataclass
class NativeSite:
    """An `Attention` of ours; taking an edit off leaves the one that is part of its architecture, if any."""

    path: str
    layer: int
    heads: int
    queries: int
    keys: int
    module: Attention
    built_in: PatternEdit | None

    def edit(self, pattern: PatternEdit | None) -> None:
        """Put an edit on the pattern, or take it off."""
        self.module.edit = self.built_in if pattern is None else pattern

    def observe(self, callback: Callable[[Tensor], None] | None) -> None:
        """Hand raw patterns to `callback`."""
        self.module.observe = callback


class NativeAdapter:
    """Finds our attention modules in the order in which a forward pass meets them."""

    name = "native"

    @torch.no_grad()
    def sites(self, model: nn.Module, example: Tensor) -> list[Site]:
        """Every `Attention` that `example` passes."""
        modules = {path: module for path, module in model.named_modules() if isinstance(module, Attention)}
        found: list[Site] = []

        def meet(path: str) -> Callable[[Tensor], None]:
            def record(weights: Tensor) -> None:
                heads, queries, keys = weights.shape[1:]
                module = modules[path]
                found.append(NativeSite(path, len(found), heads, queries, keys, module, module.edit))

            return record

        was_training = model.training
        model.eval()
        try:
            for path, module in modules.items():
                module.observe = meet(path)
            if modules:
                model(example)
        finally:
            for module in modules.values():
                module.observe = None
            model.train(was_training)
        return found


ADAPTER = NativeAdapter()
