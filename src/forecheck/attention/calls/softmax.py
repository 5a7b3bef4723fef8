"""Attention written out: a product of activations, a softmax of it over the last axis, a product with values.

What a tensor is follows from how it came about: scores are a product of two activations, weights a softmax of scores,
and whatever is masked, scaled, cast, viewed or dropped out stays what it was. Weights are attention only if a product
contracts the axis that the softmax ran over and has another axis, the query's, of its own; a gate has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from forecheck.attention.calls.contraction import Mixing, terms
from forecheck.attention.calls.sdpa import Meet
from forecheck.attention.calls.site import CallSite, allowed_keys

STYLE = "scores-softmax-product"
SOFTMAXES = {"softmax", "special_softmax"}

# What comes out of these is something new, even where it has the size of what went in.
_NEW = {"linear", "conv1d", "layer_norm", "rms_norm", "batch_norm", "instance_norm", "group_norm", "log_softmax"}
# What comes out of these holds the same values.
_SAME = {
    *("view", "reshape", "transpose", "permute", "contiguous", "flatten", "unflatten", "squeeze", "unsqueeze"),
    *("swapaxes", "movedim", "view_as", "reshape_as", "dropout", "to", "float", "type_as", "clone", "__get__"),
}


@dataclass(frozen=True)
class Scores:
    """A product of two activations; `heads` once it has been seen with an axis for them."""

    heads: int | None


@dataclass(frozen=True)
class Weights:
    """Softmax of scores; `axis`, counted from the end, is the one that it ran over."""

    scores: Tensor
    heads: int | None
    axis: int
    met: list[CallSite]  # the site, once a product has shown that it is one


@dataclass(frozen=True)
class Mixed:
    """What an attention call gave, until something else than its output projection is done to it."""

    site: CallSite
    projected: bool = False


class Provenance:
    """What the tensors of one forward pass are.

    Args:
        meet: says which site a call belongs to.
        parameters: addresses of the memory of parameters; a product with one of them is a projection.
    """

    def __init__(self, meet: Meet, parameters: frozenset[int]) -> None:
        self._meet = meet
        self._parameters = parameters
        self._tags = WeakTensorKeyDictionary()

    def tag(self, tensor: object) -> Scores | Weights | Mixed | None:
        """What a tensor is, if it is anything of ours."""
        return self._tags[tensor] if isinstance(tensor, Tensor) and tensor in self._tags else None

    def mark(self, tensor: Tensor, site: CallSite) -> None:
        """Say that a tensor is what attention gave."""
        self._tags[tensor] = Mixed(site)

    def softmax(self, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """A softmax, which may give weights."""
        out = func(*args, **kwargs)
        scores = args[0] if args else kwargs["input"]
        tag = self.tag(scores)
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        if isinstance(tag, Scores) and dim in (-1, scores.dim() - 1):
            self._tags[out] = Weights(scores, tag.heads, -1, [])
        return out

    def product(self, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """A product, which may give scores, or mix values by weights."""
        product = terms(func.__name__, args, kwargs)
        if product is None:
            return func(*args, **kwargs)
        tags = [self.tag(each) for each in product.tensors]
        for number, tag in enumerate(tags):
            if isinstance(tag, Weights):
                mixing = Mixing.of(product, number, tag.axis)
                if mixing is not None:
                    return self._mix(lambda: func(*args, **kwargs), mixing, tag)
        out = func(*args, **kwargs)
        if not any(isinstance(tag, Weights) for tag in tags) and not any(map(self._is_parameter, product.tensors)):
            self._tags[out] = Scores(out.shape[1] if out.dim() == 4 else None)
        return out

    def _is_parameter(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self._parameters

    def _mix(self, original: Callable[[], Tensor], mixing: Mixing, tag: Weights) -> Tensor:
        lead = mixing.lead
        if len(lead) == 1 and tag.heads and lead[0] % tag.heads == 0:
            lead = (lead[0] // tag.heads, tag.heads)
        if not tag.met:
            tag.met.append(self._meet(STYLE, lead, mixing.tokens))
        site = tag.met[0]
        if not site.active:
            out = original()
        else:
            weights = mixing.pattern(site.heads)

            def allowed() -> Tensor:
                return _allowed(mixing, tag, site.heads)

            values = mixing.mixed_values(site.heads)
            out = mixing.result(
                site.mix(lambda: mixing.mixed(original(), site.heads), lambda: weights, allowed, values)
            )
        self.mark(out, site)
        return out

    def carry(self, name: str, args: Sequence[Any], kwargs: dict[str, Any], out: object) -> None:
        """After any other function: what its result is."""
        if not isinstance(out, Tensor) or not out.is_floating_point() or not len(self._tags):
            return
        for tensor in _tensors((*args, *kwargs.values())):
            tag = self.tag(tensor)
            if tag is None or tensor is out:
                continue
            new = self._carried(name, tag, tensor, out)
            if new is not None:
                self._tags[out] = new
                return

    def _carried(
        self, name: str, tag: Scores | Weights | Mixed, tensor: Tensor, out: Tensor
    ) -> Scores | Weights | Mixed | None:
        if isinstance(tag, Mixed):
            if name == "linear" and not tag.projected:
                return replace(tag, projected=True)
            return tag if name in _SAME else None
        if name in _NEW:
            return None
        heads = out.shape[1] if out.dim() == 4 else tag.heads
        if isinstance(tag, Scores):
            same = out.numel() == tensor.numel() or out.shape[-1:] == tensor.shape[-1:]
            return Scores(heads) if same else None
        axis = _axis(tag.axis, tensor, out)
        return None if axis is None else replace(tag, axis=axis, heads=tag.heads or heads)


def _allowed(mixing: Mixing, tag: Weights, heads: int) -> Tensor:
    """What the mask lets through, laid out as the pattern of the product."""
    allowed, weights = allowed_keys(tag.scores), mixing.weights
    if bool(allowed.all()):
        return allowed.new_ones(mixing.tokens)
    flattened = allowed.dim() != weights.dim() and allowed.shape[-2:] == weights.shape[-2:]
    if tag.axis == -1 and (allowed.shape == weights.shape or flattened):
        allowed = mixing.pattern(heads, allowed.reshape(weights.shape))
    else:  # turned round since the softmax; what it hid has a weight of exactly 0
        allowed = mixing.pattern(heads, weights > 0)
    alike = bool((allowed == allowed[:1, :1]).all())
    return allowed[0, 0] if alike else allowed


def _axis(axis: int, before: Tensor, after: Tensor) -> int | None:
    """Where an axis of a tensor, counted from the end, is in what was made from it."""
    if after.numel() != before.numel():
        return None
    size = before.shape[axis]
    if after.untyped_storage().data_ptr() == before.untyped_storage().data_ptr():
        stride = before.stride(axis)
        found = [n for n in range(-after.dim(), 0) if after.shape[n] == size and after.stride(n) == stride]
        if axis in found:
            return axis
        if found:
            return found[-1]
        return None
    return axis if -axis <= after.dim() and after.shape[axis] == size else None


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (each for each in value if isinstance(each, Tensor))
