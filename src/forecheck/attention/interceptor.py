"""One look at all torch functions of a forward pass: which are attention, at which site, with which edit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from forecheck.attention.aside import is_aside
from forecheck.attention.calls import multihead, sdpa
from forecheck.attention.calls.contraction import PRODUCTS
from forecheck.attention.calls.lineage import Lineage, tensors_in
from forecheck.attention.calls.linear import LinearAttention
from forecheck.attention.calls.site import CallSite
from forecheck.attention.calls.softmax import Decide, Mixed, Provenance
from forecheck.errors import ForecheckError

_HEADS = ("num_heads", "n_heads", "nhead", "n_head", "heads", "num_attention_heads")  # usual names of the attribute


@dataclass
class _Frame:
    """A module whose forward pass is under way."""

    path: str
    module: nn.Module | None
    calls: int = 0
    sites: list[CallSite] = field(default_factory=list)


class Interceptor:
    """Finds the attention calls of a model in one pass, and edits them in later ones.

    Calls are told apart by their order: a later pass must make the same ones. A module that is run several times, as
    in an autoregressive loop, is one site.

    Args:
        module: the module whose submodules do the work.
        one_by_one: windows go through the model one by one, so that a module run again is at another window.

    Attributes:
        sites: in the order of the forward pass.
        frequencies: whether Fourier transforms were seen.
        parameters: addresses of the memory of parameters and buffers; what is multiplied by them is projected.
    """

    def __init__(self, module: nn.Module | None, *, one_by_one: bool = False) -> None:
        self._one_by_one = one_by_one
        self.sites: list[CallSite] = []
        self.frequencies = False
        self._module = module
        held = [] if module is None else [*module.parameters(), *module.buffers()]
        self.parameters = frozenset(each.untyped_storage().data_ptr() for each in held)
        self._order: list[CallSite] = []
        self._known: dict[tuple[str, int, int], CallSite] = {}
        self._sums: list[Tensor | None] = []  # of the rows of what may be a pattern, in the order of the pass

    @property
    def calls(self) -> int:
        """Attention calls of a pass."""
        return len(self._order)

    def discover(self, forward: Callable[[], object]) -> None:
        """Run a forward pass to find the sites; hooks that tell which module is at work stay for its time only."""
        stack, handles = [_Frame("", None)], []

        def measured(measure: Callable[[], Tensor | None]) -> Tensor | None:
            self._sums.append(measure())
            return self._sums[-1]

        watch = _Watch(lambda style, lead, tokens: self._new(stack, style, lead, tokens, watch), measured, self)

        def enter(path: str) -> Callable[..., None]:
            return lambda module, _: stack.append(_Frame(path, module))

        def leave(_module: nn.Module, _: object, out: object) -> None:
            tag = watch.provenance.tag(out[0] if isinstance(out, tuple) and out else out)
            if isinstance(tag, Mixed) and tag.projected and tag.site in stack[-1].sites:
                tag.site.projected = True
            stack.pop()

        try:
            for path, each in self._module.named_modules() if self._module is not None else ():
                handles += [each.register_forward_pre_hook(enter(path)), each.register_forward_hook(leave)]
            with uncompiled(), watch:
                forward()
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def editing(self) -> Iterator[None]:
        """For the time of one forward pass, calls go by what their sites hold.

        Raises:
            ForecheckError: if the pass makes other attention calls than the one that found the sites.
        """
        made = 0

        def meet(style: str, lead: tuple[int, ...], _tokens: tuple[int, int]) -> CallSite:
            nonlocal made
            if made >= len(self._order):
                raise _other(f"more than {made}")
            site = self._order[made]
            if style != site.style or prod(lead) % site.heads:
                raise _other(f"{style} of {prod(lead)} patterns where {site.path} was expected")
            made += 1
            return site

        known = iter(self._sums)

        def remembered(_measure: Callable[[], Tensor | None]) -> Tensor | None:
            try:
                return next(known)
            except StopIteration:
                raise _other("more products") from None

        with uncompiled(), _Watch(meet, remembered, self):
            yield
        if made != len(self._order):
            raise _other(f"{made} instead of {len(self._order)}")

    def _new(
        self,
        stack: list[_Frame],
        style: str,
        lead: tuple[int, ...],
        tokens: tuple[int, int],
        watch: _Watch,
    ) -> CallSite:
        frame, run = stack[-1], 0
        key = (frame.path, frame.calls, run)
        # Run again on what it gave, a module is the same site; run beside itself, as once a head, it is another one.
        while not self._one_by_one and key in self._known and self._known[key].layer not in watch.before:
            run += 1
            key = (frame.path, frame.calls, run)
        frame.calls += 1
        if key not in self._known:
            call = f"call {key[1]}"
            path = f"{frame.path}, {call}" if frame.path and key[1] else frame.path or call
            path += f", run {run}" if run else ""
            heads = lead[-1] if len(lead) > 1 else _heads(stack, prod(lead))
            # Others show that their output is projected when their module is left.
            projected = isinstance(frame.module, nn.MultiheadAttention)
            declared = style == multihead.STYLE
            site = CallSite(style, path, len(self.sites), heads, *tokens, frame.module, projected, declared=declared)
            site.splits = watch.splits
            self._known[key] = site
            self.sites.append(site)
        site = self._known[key]
        site.meet(*tokens)
        self._order.append(site)
        frame.sites.append(site)
        return site


def _heads(stack: list[_Frame], members: int) -> int:
    """Number of heads where batch and heads share an axis: declared by the module, or one."""
    for frame in reversed(stack[-2:]):
        for name in _HEADS:
            heads = getattr(frame.module, name, None)
            if isinstance(heads, int) and 0 < heads <= members and members % heads == 0:
                return heads
    return 1


def _other(what: str) -> ForecheckError:
    return ForecheckError(
        f"the forward pass makes other attention calls than the one on the example did: {what}",
        "Its calls must not depend on the values of its input; give an example of the shape that is forecast.",
    )


class _Watch(TorchFunctionMode):
    """The mode: hands every torch function to whom it concerns."""

    def __init__(self, meet: sdpa.Meet, decide: Decide, owner: Interceptor) -> None:
        super().__init__()
        self._meet, self._owner = meet, owner
        self._last: CallSite | None = None
        self.before: frozenset[int] = frozenset()  # layers that the operands of the call at hand come after
        self.splits: frozenset[int] = frozenset()  # into how many parts their features were split
        self.lineage = Lineage(owner.parameters)
        self.linear = LinearAttention(self._met, decide, self.lineage)
        self.provenance = Provenance(self._met, decide, self.lineage, self.linear.give)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if is_aside():
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        given = list(tensors_in((*args, *kwargs.values())))
        self._begin(given)
        out: Any
        if (linear := self.linear.call(func, name, args, kwargs)) is not None:
            out, self._last = linear
            self.provenance.mark(out, self._last)
        elif name in PRODUCTS:
            out = self.provenance.product(func, args, kwargs)
            if self._last is None:
                self.linear.note(name, args, kwargs, out)
        elif name == "scaled_dot_product_attention":
            out = sdpa.handle(self._met, func, args, kwargs)
            assert self._last is not None
            self.provenance.mark(out, self._last)
        elif name == "multi_head_attention_forward":
            out = multihead.handle(self._met, func, args, kwargs)
        else:
            self._owner.frequencies |= name.startswith("fft_")
            out = func(*args, **kwargs)
            self.provenance.carry(func, name, args, kwargs, out)
            self.linear.note(name, args, kwargs, out)
        self.lineage.note(name, args, kwargs, out)
        if self._last is not None:
            for each in tensors_in([out]):
                self.lineage.come_after(each, self._last.layer)
        return out

    def _begin(self, given: list[Tensor]) -> None:
        """What is known of the operands of the call at hand."""
        self.before, self.splits, self._last = self.lineage.sites(*given), self.lineage.splits(*given), None

    def _met(self, style: str, lead: tuple[int, ...], tokens: tuple[int, int]) -> CallSite:
        self._last = self._meet(style, lead, tokens)
        return self._last


def uncompiled() -> Any:
    """Compiled models run as they were written, for the time of a `with` block."""
    if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
        return torch.compiler.set_stance("force_eager")
    return nullcontext()
