"""One forward pass, written down: which modules ran, inside which, and when each attention site was met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, is_dataclass
from itertools import count
from threading import get_ident
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from forecheck.attention.aside import is_aside
from forecheck.attention.sites import Attached, Site
from forecheck.errors import UsageError


@dataclass(eq=False)
class Call:
    """One call of a module.

    Attributes:
        module: what was called.
        start: when, in steps of the trace's clock.
        around: the calls that it happened in, innermost last.
        end: when it was over.
        given: shape of its first floating-point argument.
        gave: shape of the first floating-point tensor of its output.
        read: a number that calls share which were given the very same tensor.
    """

    module: nn.Module
    start: int
    around: tuple[Call, ...]
    end: int = -1
    given: tuple[int, ...] = ()
    gave: tuple[int, ...] = ()
    read: int = -1


@dataclass(frozen=True)
class Moment:
    """When a site was met, and the calls that were open then, innermost last."""

    time: int
    around: tuple[Call, ...]


@dataclass(frozen=True)
class Trace:
    """What ran in one pass.

    Attributes:
        sites: the attention sites of the model.
        calls: in the order of their start.
        moments: of every site, by layer.
    """

    sites: list[Site]
    calls: list[Call] = field(default_factory=list)
    moments: dict[int, Moment] = field(default_factory=dict)

    @property
    def roots(self) -> list[nn.Module]:
        """The modules that no other called, each once."""
        return list(dict.fromkeys(call.module for call in self.calls if not call.around))

    def name(self, module: nn.Module) -> str:
        """Its path below the root."""
        for root in self.roots:
            for path, each in root.named_modules():
                if each is module:
                    return path
        return type(module).__name__


class _Recorder:
    """Writes a trace, by torch's hooks for all modules; only what this thread calls."""

    def __init__(self, traced: Trace) -> None:
        self.traced = traced
        self.clock = count()
        self.thread = get_ident()
        self.stack: list[Call] = []
        self.numbers: dict[int, tuple[ref[Tensor], int]] = {}

    def enter(self, module: nn.Module, _args: Any) -> None:
        if get_ident() == self.thread and not is_aside():
            self.stack.append(Call(module, next(self.clock), tuple(self.stack)))
            self.traced.calls.append(self.stack[-1])

    def leave(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        if get_ident() != self.thread or is_aside():
            return
        while (call := self.stack.pop()).module is not module:
            call.end = next(self.clock)  # it failed, and the model went on without it
        call.end = next(self.clock)
        given, gave = first_tensor([*args, *kwargs.values()]), first_tensor([output])
        if given is not None:
            call.given, call.read = tuple(given.shape), self.number(given, call.end)
        if gave is not None:
            call.gave = tuple(gave.shape)

    def number(self, tensor: Tensor, new: int) -> int:
        """What this tensor was numbered before, or `new`; no tensor is kept alive for it."""
        known, before = self.numbers.get(id(tensor), (None, new))
        if known is None or known() is not tensor:  # another one may have had its id
            self.numbers[id(tensor)] = ref(tensor), new
            return new
        return before

    def meet(self, layer: int) -> Callable[[Tensor], None]:
        def record(_: Tensor) -> None:
            self.traced.moments.setdefault(layer, Moment(next(self.clock), tuple(self.stack)))

        return record


@torch.no_grad()
def trace(attached: Attached, x: Tensor) -> Trace:
    """Run the attached model on `x` and write down what ran; nothing need be known of it but how to call it.

    Raises:
        UsageError: if a site was not met.
    """
    traced = Trace(attached.sites)
    recorder = _Recorder(traced)
    handles = [
        register_module_forward_pre_hook(recorder.enter),
        register_module_forward_hook(recorder.leave, with_kwargs=True),
    ]
    try:
        for site in attached.sites:
            site.observe(recorder.meet(site.layer))
        attached(x)
    finally:
        for handle in handles:
            handle.remove()
            # torch (2.13) forgets to take back that the hook wanted keywords, and warns of it for ever after.
            getattr(torch_module, "_global_forward_hooks_with_kwargs", {}).pop(handle.id, None)
        for site in attached.sites:
            site.observe(None)
    for site in attached.sites:
        if site.layer not in traced.moments:
            raise UsageError(f"{site.path} was not met when the model ran once more, so its surroundings are unknown")
    return traced


def two_traces(attached: Attached, example: Tensor) -> tuple[Trace, Trace]:
    """Traces of two and of four windows: the axis whose size differs between them is that of the windows.

    Raises:
        UsageError: if other modules run when there are more windows.
    """
    x = example[:1].expand(2, -1, -1) if len(example) == 1 else example[:2]
    small, large = trace(attached, x), trace(attached, torch.cat([x, x]))
    if [id(call.module) for call in small.calls] != [id(call.module) for call in large.calls]:
        raise UsageError("which modules run depends on the number of windows, so the model's parts are unknown")
    return small, large


def first_tensor(values: Iterable[Any]) -> Tensor | None:
    """The first floating-point tensor among some values, and in the tuples and mappings among them."""
    return next(_tensors(values), None)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor) and value.is_floating_point():
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)
        elif isinstance(value, dict):  # Hugging Face's outputs are some, too
            yield from _tensors(value.values())
        elif is_dataclass(value):
            yield from _tensors(vars(value).values())
