"""The sublayers of a Transformer, in any torch model: found by the linear maps that run around its attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from forecheck.attention.sites import Attached, Site
from forecheck.attention.trace import Call, Trace, trace, two_traces
from forecheck.errors import UsageError
from forecheck.nn.feedforward import FeedForward

PartName = Literal["attention", "feed-forward"]


@dataclass(frozen=True)
class Part:
    """A sublayer, known by the module whose output is added to the residual stream.

    Attributes:
        path: of that module.
        layer: of the attention site that it belongs to, or that it comes after.
        module: gives y, (..., token, feature); a convolution of size 1 gives (..., feature, token).
        axis: which axis of y is that of tokens, None if windows and tokens share one.
    """

    path: str
    layer: int
    module: nn.Module
    axis: int | None

    def on_output(self, change: Callable[[Tensor], Tensor | None]) -> list[RemovableHandle]:
        """Have y handed to `change`, features last, on every pass; what it returns, if not None, replaces y.

        Returns:
            Handles that take it off again.
        """
        bases: list[Tensor] = []

        def without_base(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            # Our FeedForward adds the residual stream itself; y is what it would add.
            bases[:] = args[1:2]
            return args[:1]

        def after(module: nn.Module, _args: Any, output: Any) -> Any:
            first, rest = (output[0], output[1:]) if isinstance(output, tuple) else (output, None)
            if not isinstance(first, Tensor):
                raise UsageError(f"{self.path} gives a {type(first).__name__} where a tensor or tuple was expected")
            y = _features_last(module, first)
            changed = change(y)
            first = first if changed is None else _features_last(module, changed)
            while bases:
                first = bases.pop() + first
            return first if rest is None else (first, *rest)

        handles = []
        if isinstance(self.module, FeedForward):
            # Of several, the last put on takes the base first and adds it last: each gets y alone.
            handles.append(self.module.register_forward_pre_hook(without_base, prepend=True))
        return [*handles, self.module.register_forward_hook(after)]


def find_parts(attached: Attached, example: Tensor, name: PartName, layers: tuple[int, ...] | None) -> list[Part]:
    """The attention sublayers or the feed-forward parts of a model.

    **Attention**: y is the output of the output projection, its bias included: that of `site.module` if the site is
    `projected`, else that of the first linear map that runs after the pattern was formed.
    **Feed-forward**: of the linear maps that run after one attention sublayer and before the next, the first two that
    go from d features to h and back (d that of the residual stream), or one of our `FeedForward`; maps that read the
    same tensor as the first are its gates. y is the output of the second.

    Args:
        attached: the model.
        example: an input batch (batch, lookback, channel).
        name: which sublayers.
        layers: of these attention layers only, None for all.

    Raises:
        UsageError: if there is no such part or layer; the reason stands in findings as *not applicable*.
    """
    beyond = [layer for layer in layers or () if not 0 <= layer < len(attached.sites)]
    if beyond:
        raise UsageError(f"the model has attention layers 0 to {len(attached.sites) - 1}, not {beyond[0]}")
    small, large = two_traces(attached, example)
    sublayers = [_attention(small, site) for site in small.sites]
    found = sublayers if name == "attention" else _feed_forwards(small, sublayers)
    larger = {call.start: call for call in large.calls}
    parts = []
    for site, sublayer in zip(small.sites, found, strict=True):
        if layers is not None and site.layer not in layers:
            continue
        if sublayer is not None:
            module, call = sublayer.output.module, sublayer.output
            axis = token_axis(_shape(call), _shape(larger[call.start]), site.queries)
            parts.append(Part(small.name(module), site.layer, module, axis))
        elif name == "attention":
            raise UsageError(f"no output projection was found after {site.path}, so its sublayer has no known output")
        elif layers is not None:
            raise UsageError(f"no feed-forward part was found after attention layer {site.layer}")
    if not parts:
        raise UsageError("no feed-forward part (two linear maps of every token after attention) was found")
    if len({id(part.module) for part in parts}) < len(parts):
        raise UsageError("attention layers share their modules, so they cannot be told apart")
    return parts


def modules_by_part(attached: Attached, example: Tensor) -> dict[nn.Module, str]:
    """Modules that hold weights, by the part of the model that they belong to.

    Those of the `attention` sublayers and of the `feed-forward` parts as in `find_parts`; what runs before the first
    attention sublayer is the `embedding`, what runs after the last sublayer the `head`, and the rest `other`. What a
    module of a part holds belongs to that part.

    Args:
        attached: the model.
        example: an input batch (batch, lookback, channel).

    Raises:
        UsageError: if the parts cannot be told apart.
    """
    traced = trace(attached, example)
    sublayers = [_attention(traced, site) for site in traced.sites]
    for site, each in zip(traced.sites, sublayers, strict=True):
        if each is None or not each.output.around:  # the last: attention is all there is
            raise UsageError(f"no output projection was found after {site.path}, so its weights are unknown")
    attention, feed_forward = filter(None, sublayers), filter(None, _feed_forwards(traced, sublayers))
    ran = {"attention": list(attention), "feed-forward": list(feed_forward)}
    whole = [each for group in ran.values() for each in group]
    first, last = min(each.start for each in whole), max(each.output.end for each in whole)
    found = {module: part for part, group in ran.items() for each in group for module in each.modules}
    inside = {below for module in found for below in module.modules()}
    for call in traced.calls:
        if call.module not in inside and next(call.module.parameters(recurse=False), None) is not None:
            place = "embedding" if call.end < first else "head" if call.start > last else "other"
            found[call.module] = place if found.get(call.module, place) == place else "other"
    return found


def token_axis(few: tuple[int, ...], many: tuple[int, ...], tokens: int) -> int | None:
    """The axis of tokens of a (..., feature) tensor, by its shapes for few and for many windows; None if none is.

    Args:
        few: shape of the tensor for few windows.
        many: its shape for many windows.
        tokens: how many there are.
    """
    same = [axis for axis in range(len(few) - 1) if few[axis] == many[axis] == tokens]
    return same[-1] if len(few) == len(many) and same else None


@dataclass(frozen=True)
class _Sublayer:
    """When a sublayer runs, the call whose output is its own, and the modules that hold its weights."""

    start: int
    output: Call
    width: int
    modules: tuple[nn.Module, ...]


def _attention(traced: Trace, site: Site) -> _Sublayer | None:
    moment = traced.moments[site.layer]
    if site.projected:
        calls = [call for call in traced.calls if call.module is site.module and call.start <= moment.time]
        if not calls or not calls[-1].gave:
            return None
        return _Sublayer(calls[-1].start, calls[-1], calls[-1].gave[-1], (calls[-1].module,))
    for scope in reversed(moment.around):
        inside = [call for call in traced.calls if scope in call.around and features(call.module)]
        after = [call for call in inside if call.start > moment.time]
        if not after:
            continue
        (width, _), (into, out) = features(inside[0].module), features(after[0].module)
        # A first map after attention that leaves the width is no projection, but the feed-forward part's.
        if out != width or (inside[0] is after[0] and into != out):
            return None
        maps = (*(call.module for call in inside if call.start < moment.time), after[0].module)
        return _Sublayer(scope.start, after[0], width, maps)
    return None


def _feed_forwards(traced: Trace, sublayers: list[_Sublayer | None]) -> list[_Sublayer | None]:
    """By attention layer, what runs after it."""
    found: list[_Sublayer | None] = []
    maps = [call for call in traced.calls if features(call.module) or isinstance(call.module, FeedForward)]
    for site, sublayer in zip(traced.sites, sublayers, strict=True):
        if sublayer is None:
            raise UsageError(f"the end of the attention sublayer of {site.path} was not found, so nor is what follows")
        end = sublayer.output.end
        following = [other for other in sublayers if other and other.output.start > end]
        until = min(
            (_begin(traced, other, sublayers, end) for other in following),
            default=max(call.end for call in traced.calls),
        )
        found.append(_pair([call for call in maps if end < call.start < until], sublayer.width))
    return found


def _begin(traced: Trace, sublayer: _Sublayer, sublayers: list[_Sublayer | None], after: int) -> int:
    """When the next attention starts: with its module, or where all is written in one module, with its pattern."""
    if sublayer.start > after:
        return sublayer.start
    site = traced.sites[sublayers.index(sublayer)]
    return traced.moments[site.layer].time


def _pair(maps: list[Call], width: int) -> _Sublayer | None:
    for at, first in enumerate(maps):
        if isinstance(first.module, FeedForward):
            return _Sublayer(first.start, first, width, (first.module,))
        into, hidden = features(first.module)
        rest = [call for call in maps[at + 1 :] if call.read != first.read]
        if (
            into == width and rest and features(rest[0].module) in ((hidden, width), (hidden / 2, width))
        ):  # a gate may take half
            modules = tuple(call.module for call in maps[at:] if call.start <= rest[0].start)
            return _Sublayer(first.start, rest[0], width, modules)
    return None


def features(module: nn.Module) -> tuple[int, ...]:
    """Features into and out of a linear map of every token by itself; empty if the module is none."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, nn.Conv1d) and module.kernel_size == (1,) and module.stride == (1,) and module.groups == 1:
        return module.in_channels, module.out_channels
    return ()


def _features_last(module: nn.Module, y: Tensor) -> Tensor:
    return y.mT if isinstance(module, nn.Conv1d) else y


def _shape(call: Call) -> tuple[int, ...]:
    """Of its output, features last."""
    return (*call.gave[:-2], call.gave[-1], call.gave[-2]) if isinstance(call.module, nn.Conv1d) else call.gave
