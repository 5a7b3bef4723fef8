"""Our own models: every attention is an `Attention` or a `Mixing` of `forecheck.nn`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forecheck.attention.sites import Attached, Forward, Subject, evaluating
from forecheck.nn.attention import Attention, PatternEdit
from forecheck.nn.mixing import Mixing


@dataclass
class NativeSite:
    """An attention of ours; taking an edit off leaves the one that is part of its architecture, if any."""

    path: str
    layer: int
    heads: int
    queries: int
    keys: int
    module: nn.Module | None
    attention: Attention | Mixing
    built_in: PatternEdit | None
    projected: bool = True

    @property
    def stochastic(self) -> bool:
        """Whether rows of the raw pattern sum to one."""
        return self.attention.stochastic

    @property
    def across(self) -> bool:
        """Whether it looks at a memory, so that row i and column i of a pattern are of different tokens."""
        return self.attention.across

    @property
    def no_pattern(self) -> str:
        """Why it has no pattern; empty if it has one."""
        return self.attention.no_pattern if isinstance(self.attention, Mixing) else ""

    def edit(self, pattern: PatternEdit | None) -> None:
        """Put an edit on the pattern, or take it off."""
        # What is put on later would still be in training mode, where shuffles are drawn anew at every pass.
        self.attention.edit = self.built_in if pattern is None else pattern.train(self.attention.training)

    def observe(self, callback: Callable[[Tensor], None] | None) -> None:
        """Hand raw patterns to `callback`."""
        self.attention.observe = callback


@torch.no_grad()
def native_sites(subject: Subject | nn.Module, example: Tensor) -> list[NativeSite]:
    """Every attention of ours that `example` passes, in the order in which the forward pass meets them, once each."""
    subject = Subject.of(subject)
    module = subject.module
    if module is None:
        return []
    modules = {path: each for path, each in module.named_modules() if isinstance(each, Attention | Mixing)}
    found: list[NativeSite] = []

    def meet(path: str) -> Callable[[Tensor], None]:
        def record(weights: Tensor) -> None:
            if any(site.path == path for site in found):  # a roll-out passes the same attention at every step
                return
            heads, queries, keys = weights.shape[1:]
            module = modules[path]
            found.append(NativeSite(path, len(found), heads, queries, keys, module, module, module.edit))

        return record

    if not modules:
        return []
    with evaluating(module):
        try:
            for path, each in modules.items():
                each.observe = meet(path)
            subject(example)
        finally:
            for each in modules.values():
                each.observe = None
    return found


class NativeAdapter:
    """Finds our attention modules."""

    name = "native"

    def wrap(self, model: object, horizon: int) -> Forward | None:
        """Our modules are called with a window as they are."""
        return None

    @contextmanager
    def attach(self, subject: Subject, example: Tensor) -> Iterator[Attached]:
        """Reach every attention of ours that `example` passes."""
        with evaluating(subject.module):
            yield Attached(self.name, [*native_sites(subject, example)], subject.forward)


ADAPTER = NativeAdapter()
