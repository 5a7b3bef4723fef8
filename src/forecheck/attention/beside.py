"""What else mixes by weights that depend on the window, once the pattern of every reached site does not.

With the plain mean in every site, nothing that attention is made of should be left between window and forecast: no
product of two tensors that both depend on the window. Where one is left, attention was reached in part or not at all,
however it is written: every operation of torch is watched, below the functions that models call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from forecheck.attention.calls.lineage import tensors_in
from forecheck.attention.patterns import Mean
from forecheck.attention.sites import Attached, Subject

_PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "addmm": 1, "baddbmm": 1, "addbmm": 1, "addmv": 1}
"""Operations that multiply matrices, and where the first of the two stands."""
_FUSED = ("scaled_dot_product", "multi_head_attention", "transformer_encoder_layer", "flex_attention", "_efficient_att")
_WEIGHING = {"_softmax", "softmax", "exp", "sigmoid", "relu", "softplus", "elu"}
"""What makes weights of scores."""
_MAPS = {
    *("view", "_unsafe_view", "reshape", "transpose", "permute", "t", "clone", "_to_copy", "unsqueeze", "squeeze"),
    *("expand", "slice", "alias", "detach", "div", "masked_fill", "contiguous", "select", "repeat", "native_dropout"),
}
"""What leaves weights weights, and products products."""
_SUMS = {"sum", "mean", "cumsum"}
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
    """What mixes by weights that depend on the window while every site's pattern is the plain mean.

    A product of two tensors that both depend on the window (of scores, of pattern and values, of keys and values), a
    Fourier transform of one, and a sum of one weighted by another; only where the forecast depends on it. Fixed
    weights, as of linear layers and convolutions, mix tokens as well, but are no attention.

    Args:
        subject: the model.
        attached: its reached attention; without sites the model is watched as it is.
        x: windows (batch, lookback, channel).
    """
    paths = {} if subject.module is None else {id(each): path for path, each in subject.module.named_modules()}
    watch = _Watch(x)
    try:
        for site in attached.sites:
            site.edit(Mean())
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
    thread = get_ident()

    def enter(module: nn.Module, _args: Any) -> None:
        if get_ident() == thread:
            watch.stack.append(paths.get(id(module), ""))

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
        stack: paths of the modules at work.
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.places: list[Unreached] = []
        self.stack: list[str] = []
        self._numbers: dict[Unreached, int] = {}
        self._sources = WeakTensorKeyDictionary()
        self._written: dict[int, tuple[Tensor, frozenset[int]]] = {}  # storages that were written into
        self._weights = WeakTensorKeyDictionary()
        self._weighted = WeakTensorKeyDictionary()  # elementwise products that a sum would make mixing
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
        sources = frozenset().union(*known)
        if (what := self._meets(name, args, tensors)) is not None:
            place = Unreached(what, self.stack[-1] if self.stack else "")
            if place not in self._numbers:
                self._numbers[place] = len(self.places)
                self.places.append(place)
            sources |= {self._numbers[place]}
        for each in tensors_in([out]):
            if each.dtype == torch.bool:  # what a mask lets through is no weight
                continue
            self._sources[each] = sources
            self._remember(name, tensors, each)
            if any(each is tensor for tensor in tensors):
                self._written[_storage(each)] = (each, sources)
        if func._schema.is_mutable and not isinstance(out, Tensor) and tensors:  # noqa: SLF001
            self._written[_storage(tensors[0])] = (tensors[0], sources)
        return out

    def _depends(self, *tensors: Any) -> bool:
        return all(isinstance(each, Tensor) and self.sources(each) is not None for each in tensors)

    def _meets(self, name: str, args: Sequence[Any], tensors: Sequence[Tensor]) -> str | None:
        """What happens, if window and window meet here in a way that can mix tokens."""
        if name in _PRODUCTS:
            left, right = args[_PRODUCTS[name] : _PRODUCTS[name] + 2]
            if self._depends(left, right) and left.shape[-1] > 1:
                single = (left.dim() > 1 and left.shape[-2] == 1) or right.shape[-1] == 1
                parts = left.shape[-1]
                return f"a sum of {parts} parts weighted by the window" if single else "a product of two activations"
        elif name.startswith(("_fft", "fft")):
            return "a Fourier transform"
        elif any(fused in name for fused in _FUSED):
            return "fused attention"
        elif name.startswith("convolution") and self._depends(*args[:2]):
            return "a convolution with weights that depend on the window"
        elif name in _SUMS and tensors and tensors[0] in self._weighted:
            return "a weighted sum"
        return None

    def _remember(self, name: str, tensors: Sequence[Tensor], out: Tensor) -> None:
        """Weights, and what they were multiplied with."""
        if name in _WEIGHING or (name in _MAPS and tensors[0] in self._weights):
            self._weights[out] = True
        if name in _MAPS and tensors[0] in self._weighted:
            self._weighted[out] = True
        if name != "mul" or len(tensors) < 2 or tensors[0] is tensors[1]:
            return
        left, right = tensors[:2]
        if self._depends(left, right):
            if (_spread(left, out) and (_spread(right, out) or left in self._weights)) or (
                _spread(right, out) and right in self._weights
            ):
                self._weighted[out] = True
        else:
            for kept in (self._weights, self._weighted):
                if left in kept or right in kept:
                    kept[out] = True


def _spread(tensor: Tensor, out: Tensor) -> bool:
    """Whether a factor is repeated along an axis of the product."""
    return tensor.numel() < out.numel() and tensor.dim() > 0


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse and the like
        return id(tensor)
