"""What an adapter does not reach is looked for by its values, and added to its sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from forecheck.attention.beside import unreached
from forecheck.attention.calls.settled import settled
from forecheck.attention.calls.values import STYLE, Run, Sublayer
from forecheck.attention.calls.wrapped import module_of
from forecheck.attention.patterns import Mean, Zero
from forecheck.attention.remembered import recalled, remember, state_of
from forecheck.attention.response import at_least_two, heads_respond
from forecheck.attention.sites import Attached, Forward, Site, Subject

_SAME = 1e-6
_MOST = 64  # linear maps in a module that is searched


@contextmanager
def completed(subject: Subject, attached: Attached, example: Tensor) -> Iterator[Attached]:
    """The attached model, with sites for what mixes by weights that depend on the window and was not reached.

    Args:
        subject: the model.
        attached: its attention as an adapter reached it, if it did.
        example: windows (batch, lookback, channel).
    """
    module = module_of(subject)
    if module is None:
        yield attached
        return
    state = state_of(subject, module, attached, example)
    known = recalled(module, state)
    try:
        found = known[0] if known else _search(subject, module, attached, at_least_two(example))
    except Exception:  # noqa: BLE001  what an adapter reaches does without it
        found = []
    if not found:
        remember(module, state, [], [])
        yield attached
        return

    def forward(x: Tensor) -> Tensor:
        with ExitStack() as stack:
            for sublayer in found:
                stack.enter_context(sublayer.watched())
            return attached.forward(x)

    own: list[Site] = [sublayer.site for sublayer in found if sublayer.site is not None]
    if known:
        sites = {site.path: site for site in (*attached.sites, *own)}
        yield _named(attached, [sites[path] for path in known[1]], forward, len(own))
        return
    outside = _outside(attached, replace(attached, sites=own, forward=forward), example)
    whole = _named(attached, [*outside, *own], forward, len(own))
    _doubt_heads(found, whole, example)
    whole = _named(attached, _in_order(whole, example), forward, len(own))
    remember(module, state, found, [site.path for site in whole.sites])
    yield whole


def _named(attached: Attached, sites: list[Site], forward: Forward, own: int) -> Attached:
    """What is reached by an adapter, if it is not all inside of what was found, and by values."""
    for layer, site in enumerate(sites):
        site.layer = layer
    return Attached(f"{attached.adapter} + {STYLE}" if len(sites) > own else STYLE, sites, forward)


@torch.no_grad()
def _outside(attached: Attached, own: Attached, example: Tensor) -> list[Site]:
    """The sites that are no part of sublayers that were found: those change nothing once values are mixed plainly."""
    try:
        for site in own.sites:
            site.edit(Mean())
        plain, outside = own(example), []
        for site in attached.sites:
            site.edit(Zero())
            if not torch.allclose(own(example), plain, rtol=_SAME, atol=_SAME * float(plain.abs().max())):
                outside.append(site)
            site.edit(None)
    finally:
        for site in (*attached.sites, *own.sites):
            site.edit(None)
    return outside


def _doubt_heads(found: Sequence[Sublayer], attached: Attached, example: Tensor) -> None:
    """Patterns of one window that respond to different windows or channels are not known to be its heads.

    So in Autoformer of the transformers library, where lags of one window are used for heads of another.
    """
    sites = [sublayer.site for sublayer in found if sublayer.site is not None]
    if any(site.heads > 1 for site in sites):
        respond = heads_respond(attached, example)
        for site in sites:
            if not respond.get(site.layer, True):
                site.heads, site.heads_known = 1, False


@torch.no_grad()
def _in_order(attached: Attached, example: Tensor) -> list[Any]:
    """The sites in the order of the forward pass, numbered anew."""
    met: dict[int, int] = {}

    def meet(number: int) -> Callable[[Tensor], None]:
        def record(_: Tensor) -> None:
            met.setdefault(number, len(met))

        return record

    try:
        for site in attached.sites:
            site.observe(meet(id(site)))
        attached(example)
    finally:
        for site in attached.sites:
            site.observe(None)
    return sorted(attached.sites, key=lambda site: met.get(id(site), len(met)))


@dataclass
class _Pass:
    """What is taken down of one forward pass.

    Attributes:
        runs: of every module that may be run again, the first; None if it cannot be.
        given: of every linear map in them, what it was given first; in the order of the pass.
        tokens: of every linear map, numbers of tokens in all its calls.
    """

    runs: dict[nn.Module, Run | None] = field(default_factory=dict)
    given: dict[nn.Linear, Tensor] = field(default_factory=dict)
    tokens: dict[nn.Linear, set[int]] = field(default_factory=dict)

    def begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is run."""
        if module not in self.runs:
            self.runs[module] = Run.of(args, kwargs)

    def call(self, module: nn.Linear, args: tuple[Any, ...]) -> None:
        """A linear map is called."""
        if args and args[0].dim() > 1:
            self.given.setdefault(module, args[0].detach().clone())
            self.tokens.setdefault(module, set()).add(args[0].shape[-2])


@torch.no_grad()
def _search(subject: Subject, module: nn.Module, attached: Attached, x: Tensor) -> list[Sublayer]:
    """Sublayers that mix values, each with its site."""
    paths = list(dict.fromkeys(place.path for place in unreached(subject, attached, x)))
    if not paths:
        return []
    modules = dict(module.named_modules())
    around = {path: [modules[each] for each in _upwards(path)] for path in paths}
    scopes = list(dict.fromkeys(each for some in around.values() for each in some))
    taken = _taken(module, scopes, lambda: attached(x))
    _forget_reached(taken, module, attached, x)
    names = {each: path for path, each in modules.items()}
    known = {site.path for site in attached.sites}
    found: dict[nn.Module, list[Sublayer]] = {}
    for path in paths:
        for scope in around[path]:
            if scope not in found:
                found[scope] = _in_scope(scope, taken, names, known)
            if found[scope]:
                break
    once = {(each.value, each.out): each for each in reversed([each for some in found.values() for each in some])}
    return list(once.values())[::-1]


def _taken(module: nn.Module, scopes: Sequence[nn.Module], forward: Callable[[], object]) -> _Pass:
    """Take down a forward pass."""
    taken = _Pass()
    with ExitStack() as stack:
        for scope in scopes:
            stack.callback(scope.register_forward_pre_hook(taken.begin, with_kwargs=True).remove)
        for each in module.modules():
            if isinstance(each, nn.Linear):
                stack.callback(each.register_forward_pre_hook(taken.call).remove)
        forward()
    return taken


def _forget_reached(taken: _Pass, module: nn.Module, attached: Attached, x: Tensor) -> None:
    """Leave out what takes the output of sites that there are: with patterns of zero nothing comes to it."""
    if not attached.sites:
        return
    try:
        for site in attached.sites:
            site.edit(Zero())
        nothing = _taken(module, (), lambda: attached(x)).given
    finally:
        for site in attached.sites:
            site.edit(None)
    for each in [each for each, came in nothing.items() if not came.any()]:
        taken.given.pop(each, None)


def _upwards(path: str) -> list[str]:
    """A path and all around it, the root last."""
    parts = path.split(".") if path else []
    return [".".join(parts[:count]) for count in range(len(parts), -1, -1)]


def _in_scope(scope: nn.Module, taken: _Pass, names: dict[nn.Module, str], known: set[str]) -> list[Sublayer]:
    """Value and output projections below a module; none where several projections would do."""
    run = taken.runs.get(scope)
    inside = set(scope.modules())
    maps = [each for each in taken.given if each in inside]
    if run is None or not 1 < len(maps) <= _MOST:
        return []
    by_out: dict[nn.Linear, list[Sublayer]] = {}
    once = [each for each in maps if len(taken.tokens[each]) == 1]
    for number, value in enumerate(once):
        for sublayer in _candidates(scope, run, value, once[number + 1 :]):
            out = sublayer.out
            with sublayer.watched():
                sublayer.site = settled(sublayer, taken.given[out])
            if sublayer.site is not None:
                sublayer.site.path = _path(names[value], known)
                sublayer.site.across = _across(value, maps[: maps.index(out)], taken, names)
                by_out.setdefault(out, []).append(sublayer)
                break
    return [sublayers[0] for sublayers in by_out.values() if len(sublayers) == 1]


def _candidates(scope: nn.Module, run: Run, value: nn.Linear, later: Sequence[nn.Linear]) -> Iterator[Sublayer]:
    """What may lie between a value projection and an output projection: zeros in, zeros out.

    Of keys and values, or of queries, keys and values, that come from one map, values are the last.
    """
    for parts in (1, 2, 3):
        width = value.out_features // parts
        outs = [each for each in later if each.in_features * parts == value.out_features]
        came: dict[nn.Linear, Tensor] = {}

        def zeroed(_module: nn.Module, _args: Any, output: Tensor, width: int = width) -> Tensor:
            return torch.cat([output[..., :-width], torch.zeros_like(output[..., -width:])], dim=-1)

        def keep(module: nn.Linear, args: tuple[Any, ...], came: dict[nn.Linear, Tensor] = came) -> None:
            came.setdefault(module, args[0])

        if not outs:
            continue
        with ExitStack() as stack:
            stack.callback(value.register_forward_hook(zeroed).remove)
            for each in outs:
                stack.callback(each.register_forward_pre_hook(keep).remove)
            run.again(scope)
        for out in outs:
            if out in came and not came[out].any():
                yield Sublayer(scope, value, out, value.out_features - width, value.out_features, run=run)


def _path(value: str, known: set[str]) -> str:
    """The module around the value projection, or that itself where another site has the name."""
    around = value.rpartition(".")[0]
    path = around if around and around not in known else value
    known.add(path)
    return path


def _across(value: nn.Linear, before: Sequence[nn.Linear], taken: _Pass, names: dict[nn.Module, str]) -> bool:
    """Whether queries are made of other tokens than values: by projections that stand beside that of the values."""
    parent = names[value].rpartition(".")[0]
    tokens = taken.given[value]
    beside = [each for each in before if names[each].rpartition(".")[0] == parent]
    read = [taken.given[each] for each in beside if each.in_features == value.in_features]
    read = [each for each in read if each.dim() == tokens.dim()]
    return not all(each.shape == tokens.shape and torch.equal(each, tokens) for each in read)
