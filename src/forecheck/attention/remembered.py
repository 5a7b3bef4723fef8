"""What was looked for in a model is not looked for again while the model is as it was.

Every trial of an audit reaches the attention of the same model anew, and the search takes many passes.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import CellType
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from forecheck.attention.calls.site import CallSite
from forecheck.attention.calls.values import STYLE, Sublayer
from forecheck.attention.sites import Attached, Subject

_OF_SUBLAYER = ("start", "end", "parts", "causal", "turned")
_OF_SITE = ("path", "layer", "heads", "queries", "keys", "stochastic", "heads_known", "across")


@dataclass(frozen=True)
class _Found:
    """By names of modules, since a module that was dropped must not be kept alive.

    Attributes:
        state: of the model when it was searched.
        sublayers: of each the names of its three modules, what is known of it, and of its site.
        order: paths of all sites, in the order of the forward pass.
    """

    state: Hashable
    sublayers: tuple[tuple[tuple[str, str, str], dict[str, Any], dict[str, Any]], ...]
    order: tuple[str, ...]


_PLAIN = (bool, int, float, str, type(None))
_FOUND: WeakKeyDictionary[nn.Module, _Found] = WeakKeyDictionary()


def state_of(subject: Subject, module: nn.Module, attached: Attached, example: Tensor) -> Hashable:
    """What a search depends on: how the model is called, its code, its weights, the sizes, and what is reached."""
    tensors = (*module.parameters(), *module.buffers())
    return (
        _call(subject.forward),
        tuple(getattr(getattr(each, "forward", None), "__code__", type(each)) for each in module.modules()),
        tuple(_settings(vars(each)) for each in module.modules()),
        tuple((id(each), 0 if each.is_inference() else each._version) for each in tensors),  # noqa: SLF001
        tuple(example.shape[1:]),
        example.dtype,
        tuple((site.path, site.queries, site.keys) for site in attached.sites),
    )


def _settings(values: Mapping[str, Any]) -> Hashable:
    """Plain values by name, such as a module's switches; of all else only that it is there."""
    return tuple((name, value if isinstance(value, _PLAIN) else None) for name, value in values.items())


def _call(function: Any, depth: int = 3) -> Hashable:
    """What a function does, by its code and by what it was made with: two of one code may call a model differently."""
    if isinstance(function, _PLAIN):
        return function
    if isinstance(function, partial):
        inner = (function.func, *function.args, *function.keywords.values())
        return tuple(function.keywords), tuple(_call(each, depth - 1) for each in inner)
    if not hasattr(function, "__code__") or depth == 0:
        return type(function), id(function)
    inside = [cell.cell_contents for cell in function.__closure__ or () if cell != CellType()]  # a cell may be empty
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    inner = (getattr(function, "__self__", None), *inside, *defaults)
    return function.__code__, tuple(_call(each, depth - 1) for each in inner)


def recalled(module: nn.Module, state: Hashable) -> tuple[list[Sublayer], tuple[str, ...]] | None:
    """The sublayers that were found, with their sites, and the order of all sites; None if there was no search."""
    found = _FOUND.get(module)
    if found is None or found.state != state:
        return None
    modules: dict[str, Any] = dict(module.named_modules())
    sublayers = []
    for names, known, described in found.sublayers:
        scope, value, out = (modules[name] for name in names)
        site = CallSite(STYLE, module=out, projected=True, **described)
        sublayers.append(Sublayer(scope, value, out, **known, site=site))
    return sublayers, found.order


def remember(module: nn.Module, state: Hashable, sublayers: Sequence[Sublayer], order: Sequence[str]) -> None:
    """Keep what a search has found, which may be nothing, for as long as the model is there."""
    names = {each: name for name, each in module.named_modules()}
    kept = tuple(
        (
            (names[each.scope], names[each.value], names[each.out]),
            {name: getattr(each, name) for name in _OF_SUBLAYER},
            {name: getattr(each.site, name) for name in _OF_SITE},
        )
        for each in sublayers
    )
    _FOUND[module] = _Found(state, kept, tuple(order))
