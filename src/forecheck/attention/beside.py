"""What else mixes by weights that depend on the window, once the pattern of every reached site does not.

With the plain mean in every site, nothing that attention is made of should be left between window and forecast: no
product of two tensors that both depend on the window. Where one is left, attention was reached in part or not at all,
however it is written: every operation of torch is watched, below the functions that models call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from forecheck.attention.calls.lineage import tensors_in
from forecheck.attention.patterns import Mean, Zero
from forecheck.attention.sites import Attached, Subject, why_no_pattern

_PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "addmm": 1, "baddbmm": 1, "addbmm": 1, "addmv": 1}
"""Operations that multiply matrices, and where the first of the two stands."""
_FUSED = ("scaled_dot_product", "multi_head_attention", "transformer_encoder_layer", "flex_attention", "_efficient_att")
_NAMED = dict.fromkeys(_FUSED, "fused attention") | {
    "fft": "a Fourier transform",
    "cumprod": "a running product",
    "logcumsumexp": "a running sum of exponentials",
    **dict.fromkeys(("rnn", "lstm", "gru"), "the gates of a recurrent network"),
}
"""What an operation is that mixes, by a part of its name."""
_WEIGHING = {"_softmax", "softmax", "exp", "sigmoid", "relu", "softplus", "elu"}
"""What makes weights of scores."""
_EXPONENTIAL = {"_softmax", "softmax", "exp"}
"""Of these, what makes weights of a sum rather than gates, also where every number has one of its own."""
_MAPS = {
    *("view", "_unsafe_view", "reshape", "transpose", "permute", "t", "clone", "_to_copy", "unsqueeze", "squeeze"),
    *("expand", "slice", "alias", "detach", "div", "masked_fill", "contiguous", "select", "repeat", "native_dropout"),
}
"""What leaves weights weights, and products products."""
_SUMS = {"sum", "mean", "cumsum"}
_GATES = {"mul": (0, 1), "addcmul": (1, 2), "lerp": (0, 2)}
"""Operations that multiply elementwise, and where the factors stand."""
_STEPS = {"select", "unbind", "slice", "split", "split_with_sizes"}
"""What takes single steps out of a sequence."""
_ADDED = {"add", "sub", "neg", "mul", "clamp"}
_DEEP = 3  # products of the window with the window, one upon another in one module: a state that goes on by gates
_SHAPED = {f"{what}_like" for what in ("zeros", "ones", "full", "empty")}
_SHAPED |= {f"new_{what}" for what in ("zeros", "ones", "full", "empty")}
"""What takes nothing but its shape from a tensor."""
_LISTED = 4


@dataclass(frozen=True)
class Unreached:
    """A place where tokens may be mixed by weights that depend on the window, and that no site is at.

    Attributes:
        what: the operation, in words.
        path: module in whose forward pass it happens; empty for the model itself.
    """

    what: str
    path: str

    def __str__(self) -> str:
        """Operation and place."""
        return f"{self.what} in {self.path}" if self.path else self.what


@torch.no_grad()
def unreached(subject: Subject, attached: Attached, x: Tensor) -> tuple[Unreached, ...]:
    """What mixes by weights of the window while every site's pattern is the plain mean (or 0 if it has none).

    A product of two tensors that both depend on the window (of scores, of pattern and values, of keys and values), a
    Fourier transform of one, a sum of one weighted by another, and a state that goes on from token to token by gates;
    only where the forecast depends on it. Fixed weights, as of linear layers and convolutions, mix tokens as well, but
    are no attention.

    Args:
        subject: the model.
        attached: its reached attention; without sites the model is watched as it is.
        x: windows (batch, lookback, channel).
    """
    paths = {} if subject.module is None else {id(each): path for path, each in subject.module.named_modules()}
    watch = _Watch(x)
    try:
        for site in attached.sites:
            site.edit(Zero() if why_no_pattern(site) else Mean())
        with _open_modules(watch, paths), watch:
            y = attached(x)
    finally:
        for site in attached.sites:
            site.edit(None)
    found = watch.sources(y)
    if found is None:
        return (Unreached("a way from window to forecast that leaves torch", ""),)
    return tuple(dict.fromkeys(watch.places[number] for number in sorted(found)))


def listed(places: Sequence[Unreached]) -> str:
    """The first few in words."""
    more = f" and {len(places) - _LISTED} more" if len(places) > _LISTED else ""
    return ", ".join(map(str, places[:_LISTED])) + more


@contextmanager
def _open_modules(watch: _Watch, paths: dict[int, str]) -> Iterator[None]:
    """Lets the watch know which module is at work, for the time of a `with` block."""
    thread, calls = get_ident(), count(1)

    def enter(module: nn.Module, _args: Any) -> None:
        if get_ident() == thread:
            watch.stack.append((paths.get(id(module), ""), next(calls)))

    def leave(_module: nn.Module, _args: Any, _output: Any) -> None:
        if get_ident() == thread and watch.stack:
            watch.stack.pop()

    handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes of every tensor whether it depends on the window, and through which places.

    Attributes:
        places: where window and window met, by number.
        stack: paths of the modules at work, and which call of the pass each is.
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.places: list[Unreached] = []
        self.stack: list[tuple[str, int]] = []
        self._numbers: dict[Unreached, int] = {}
        self._sources = WeakTensorKeyDictionary()
        self._written: dict[int, tuple[Tensor, frozenset[int]]] = {}  # storages that were written into
        self._weights = WeakTensorKeyDictionary()
        self._weighted = WeakTensorKeyDictionary()  # elementwise products that a sum would make mixing
        self._running = WeakTensorKeyDictionary()  # sums over all steps up to each
        self._steps = WeakTensorKeyDictionary()  # single steps of a sequence, and what is made of them
        self._gates = WeakTensorKeyDictionary()  # products upon one another, and in which module
        self._sources[x] = frozenset()

    def sources(self, tensor: Tensor) -> frozenset[int] | None:
        """Numbers of the places that a tensor depends on; None if it does not depend on the window."""
        own: frozenset[int] | None = self._sources.get(tensor, None)  # type: ignore[no-untyped-call]
        written = self._written.get(_storage(tensor)) if self._written else None
        if written is None:
            return own
        return written[1] if own is None else own | written[1]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        tensors = list(tensors_in((*args, *kwargs.values())))
        known = [sources for each in tensors if (sources := self.sources(each)) is not None]
        if not known:
            return out
        name = func._schema.name.split("::")[1]  # noqa: SLF001  an operator has no public name
        name = name.removesuffix("_") if not name.startswith("_") else name
        if name in _SHAPED:
            return out
        sources = frozenset().union(*known)
        if (what := self._meets(name, args, tensors)) is not None:
            sources |= {self._number(Unreached(what, self.stack[-1][0] if self.stack else ""))}
        gates = self._gated(name, args, tensors)
        if gates is not None and gates[1] >= _DEEP:
            sources |= {self._number(Unreached("a state that goes on by gates", gates[0][0]))}
        for each in tensors_in([out]):
            if each.dtype == torch.bool:  # what a mask lets through is no weight
                continue
            self._sources[each] = sources
            self._remember(name, tensors, each)
            if gates is not None:
                self._gates[each] = gates
            if any(each is tensor for tensor in tensors):
                self._written[_storage(each)] = (each, sources)
        if func._schema.is_mutable and not isinstance(out, Tensor) and tensors:  # noqa: SLF001
            self._written[_storage(tensors[0])] = (tensors[0], sources)
        return out

    def _number(self, place: Unreached) -> int:
        if place not in self._numbers:
            self._numbers[place] = len(self.places)
            self.places.append(place)
        return self._numbers[place]

    def _depends(self, *tensors: Any) -> bool:
        return all(isinstance(each, Tensor) and self.sources(each) is not None for each in tensors)

    def _meets(self, name: str, args: Sequence[Any], tensors: Sequence[Tensor]) -> str | None:
        """What happens, if window and window meet here in a way that can mix tokens."""
        said = next((what for part, what in _NAMED.items() if part in name), None)
        if name in _PRODUCTS:
            left, right = args[_PRODUCTS[name] : _PRODUCTS[name] + 2]
            if self._depends(left, right) and left.shape[-1] > 1:
                single = (left.dim() > 1 and left.shape[-2] == 1) or right.shape[-1] == 1
                parts = left.shape[-1]
                said = f"a sum of {parts} parts weighted by the window" if single else "a product of two activations"
        elif name.startswith("convolution") and self._depends(*args[:2]):
            said = "a convolution with weights that depend on the window"
        elif self._adds_up(name, tensors):
            said = "a weighted sum"
        elif name == "exp" and tensors[0] in self._running:
            said = "a running product"
        return said

    def _adds_up(self, name: str, tensors: Sequence[Tensor]) -> bool:
        """Whether products with weights of the window are summed, at once or step by step."""
        if name in _SUMS:
            return tensors[0] in self._weighted
        steps = [each in self._weighted and each in self._steps for each in tensors]
        return name == "add" and len(steps) > 1 and all(steps)

    def _gated(self, name: str, args: Sequence[Any], tensors: Sequence[Tensor]) -> tuple[tuple[str, int], int] | None:
        """In which module, run by which call, how many products of the window with the window lie upon one another.

        Gates of single tokens lie side by side. If a state goes on from step to step, those of all steps before lie
        upon one another, in one module, whose factors are made of single steps. What went through another module is a
        state no more: a forecast that is scaled at every step, and looked at by the network at the next one.
        """
        path = self.stack[-1][0] if self.stack else ""
        known = [self._gates[each] for each in tensors if each in self._gates and self._gates[each][0][0] == path]
        factors = [args[place] for place in _GATES.get(name, ()) if place < len(args)]
        if not factors or not self._depends(*factors) or not any(each in self._steps for each in factors):
            return max(known, key=lambda each: each[1], default=None)
        # A module that is called once a step is one place; the same layer, run again by another call, is not.
        here = (path, self.stack[-2][1] if len(self.stack) > 1 else 0)
        return here, 1 + max((depth for place, depth in known if place == here), default=0)

    def _remember(self, name: str, tensors: Sequence[Tensor], out: Tensor) -> None:
        """Weights, and what they were multiplied with; single steps, and sums that go over them."""
        first = tensors[0]
        goes_on = any(each in self._steps for each in tensors) and not _joined(name, tensors, out)
        if goes_on or (name in _STEPS and _single(first, out)):
            self._steps[out] = True
        if name == "cumsum" or (name in _MAPS | _ADDED and any(each in self._running for each in tensors)):
            self._running[out] = True
        if name in _WEIGHING:
            self._weights[out] = name in _EXPONENTIAL
        elif name in _MAPS and first in self._weights:
            self._weights[out] = self._weights[first]
        if self._is_weighted(name, tensors, out):
            self._weighted[out] = True
        if name == "mul" and not self._depends(*tensors):
            for each in tensors:
                if each in self._weights:
                    self._weights[out] = self._weights[each]

    def _is_weighted(self, name: str, tensors: Sequence[Tensor], out: Tensor) -> bool:
        """Whether it is a product with weights of the window, or a part of a sum of such products."""
        known = [each in self._weighted for each in tensors if self._depends(each)]
        if name in _MAPS:
            return tensors[0] in self._weighted
        if name == "mul" and len(known) > 1 and tensors[0] is not tensors[1]:
            spread = [_spread(each, out) for each in tensors]
            weights = [each for each in tensors if each in self._weights]
            return all(spread) or any(_spread(each, out) or self._weights[each] for each in weights)
        return name in ("mul", "add") and all(known) and bool(known)


def _spread(tensor: Tensor, out: Tensor) -> bool:
    """Whether a factor is repeated along an axis of the product."""
    return tensor.numel() < out.numel() and tensor.dim() > 0


def _single(whole: Tensor, part: Tensor) -> bool:
    """Whether a part is one step of several."""
    if part.dim() < whole.dim():
        return part.numel() < whole.numel()
    return any(size == 1 < before for size, before in zip(part.shape, whole.shape, strict=False))


def _joined(name: str, steps: Sequence[Tensor], out: Tensor) -> bool:
    """Whether steps are put together to a sequence again."""
    if name != "cat" or len(steps) == 1:
        return name == "stack"
    sizes = zip(*(each.shape for each in steps), out.shape, strict=False)
    return any(size > 1 and set(rest) == {1} for *rest, size in sizes)


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse and the like
        return id(tensor)
