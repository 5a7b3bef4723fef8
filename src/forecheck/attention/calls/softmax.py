"""Attention written out: a product of queries and keys, weights made of it, a product with values.

What a tensor is follows from how it came about: scores are a product of two tensors over their features, and whatever
is masked, scaled, normalised, cast, viewed or dropped out stays what it was. It is attention if a product contracts one
of its axes with activations and has another axis, the query's, of its own (a gate has none), and if all its rows sum to
the same: by a softmax of whatever spelling, or by anything else that normalises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from forecheck.attention.calls.contraction import Mixing, Terms, terms
from forecheck.attention.calls.lineage import Lineage, tensors_in
from forecheck.attention.calls.sdpa import Meet
from forecheck.attention.calls.site import CallSite, allowed_keys

STYLE = "scores-softmax-product"
LINEAR = "linear attention"
SOFTMAXES = {"softmax", "special_softmax", "log_softmax", "special_log_softmax"}
# What makes weights of scores; what is hidden is read off the scores that went in.
_WEIGHING = SOFTMAXES | {"exp", "exp_", "relu", "relu_", "sigmoid", "softplus", "square", "pow", "__pow__"}
_COMPARING = {"lt", "le", "gt", "ge", "__lt__", "__le__", "__gt__", "__ge__", "less", "greater", "topk", "argsort"}
# What comes out of these is something new, even where it has the size of what went in.
_NEW = {
    *("full_like", "zeros_like", "ones_like", "linear", "conv1d", "conv2d"),
    *("layer_norm", "rms_norm", "batch_norm", "instance_norm", "group_norm"),
}
_VIEWS = {
    *("view", "reshape", "transpose", "permute", "contiguous", "flatten", "unflatten", "squeeze", "unsqueeze"),
    *("swapaxes", "movedim", "__get__"),
}
_PARTS = {"__getitem__", "select", "narrow", "unbind", "chunk", "split", "index_select", "tensor_split"}
KEPT = _VIEWS | {"view_as", "reshape_as", "dropout", "to", "float", "double", "half", "type_as", "clone", "type"}
"""What comes out of these holds the same values."""
_TOLERANCE = 1e-3  # of sums of rows, in half precision too

Give = Callable[[Tensor, CallSite, Tensor], None]
"""Called with the output of attention whose rows have sums of their own, its site, and the sums."""
Decide = Callable[[Callable[[], "Tensor | None"]], "Tensor | None"]
"""Says what rows of a possible pattern sum to: measured by the function in the first pass, the same in later ones."""


@dataclass(frozen=True)
class Scores:
    """Made of a product of two activations.

    Attributes:
        certain: it is known that features were contracted.
        heads: once it has been seen with an axis for them.
        raw: what weights were made of, laid out as they are; None before that.
        weighed: whether weights were made of it.
        before: what it was before it was hidden by its own size, as all but the greatest scores are: that is no mask.
        met: the site, once a product has shown that it is one.
    """

    certain: bool
    heads: int | None
    raw: Tensor | None = None
    weighed: bool = False
    before: Tensor | None = None
    met: tuple[list[CallSite], ...] = ()


@dataclass(frozen=True)
class Mixed:
    """What an attention call gave, until something else than its output projection is done to it."""

    site: CallSite
    projected: bool = False


class Provenance:
    """What the tensors of one forward pass are.

    Args:
        meet: says which site a call belongs to.
        decide: says what the rows of a pattern sum to, None if it is no attention.
        lineage: where tensors come from.
        give: called with what may yet be divided by the sums of rows.
    """

    def __init__(self, meet: Meet, decide: Decide, lineage: Lineage, give: Give) -> None:
        self._meet, self._decide, self._lineage, self._give = meet, decide, lineage, give
        self._tags = WeakTensorKeyDictionary()
        self._choices = WeakTensorKeyDictionary()  # what comparisons of scores gave, and what was made of it

    def tag(self, tensor: object) -> Scores | Mixed | None:
        """What a tensor is, if it is anything of ours."""
        return self._tags[tensor] if isinstance(tensor, Tensor) and tensor in self._tags else None

    def mark(self, tensor: Tensor, site: CallSite) -> None:
        """Say that a tensor is what attention gave."""
        self._tags[tensor] = Mixed(site)

    def product(self, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """A product, which may give scores, or mix values by weights.

        Args:
            func: a torch function that multiplies matrices.
            args: what it was called with.
            kwargs: what it was called with by name.

        Returns:
            The product; with the edit of its site if it mixes values by weights.
        """
        product = terms(func.__name__, args, kwargs)
        if product is None:
            return func(*args, **kwargs)
        plain: tuple[Mixing, Scores] | None = None
        for mixing, tag in self._patterns(product):
            sums = self._decide(lambda m=mixing: _row_sums(m))  # type: ignore[misc]
            if sums is not None:
                return self._mix(lambda: func(*args, **kwargs), mixing, tag, sums)
            if tag.certain and not tag.weighed:
                plain = mixing, tag
        if plain is not None:
            return self._mix_scores(lambda: func(*args, **kwargs), *plain)
        out = func(*args, **kwargs)
        certain = self._over_features(product)
        if certain is not None and not all(map(self._lineage.is_parameter, product.tensors)):
            self._tags[out] = Scores(certain, out.shape[1] if out.dim() == 4 else None)
        return out

    def _patterns(self, product: Terms) -> Iterator[tuple[Mixing, Scores]]:
        """Ways in which a product may be one of a pattern and values."""
        for number in (0, 1):
            tag = self.tag(product.tensors[number])
            if not isinstance(tag, Scores) or self._lineage.is_parameter(product.tensors[1 - number]):
                continue
            if not (tag.certain or tag.weighed):
                continue
            # Rows that were picked, as the top queries are, are no tokens: an edit would miss the others. Of rows that
            # were sorted by what they hold, as into buckets, it would keep the choice of where to look.
            weights, values = product.tensors[number], product.tensors[1 - number]
            if self._lineage.picked(weights) - self._lineage.picked(values) or self._lineage.by_content(values):
                continue
            for key in _contracted(product):
                mixing = Mixing.of(product, number, product.letters[number].index(key))
                if mixing is not None:
                    yield mixing, tag

    def _over_features(self, product: Terms) -> bool | None:
        """Whether features are contracted; None if something else is, or it is a plain projection."""
        contracted = _contracted(product)
        if len(contracted) != 1:
            return None
        known = []
        for letters, tensor in zip(product.letters, product.tensors, strict=True):
            axis = self._lineage.features(tensor)
            if axis is not None:
                known.append(letters[axis] == contracted[0])
        if known and not all(known):
            return None
        return bool(known)

    def _mix_scores(self, original: Callable[[], Tensor], mixing: Mixing, tag: Scores) -> Tensor:
        """Linear attention by its scores, masked or not; only a later division makes its rows sum to one, if any."""
        site = self._meet(LINEAR, _lead(mixing, tag), mixing.tokens)
        site.stochastic = site.divided
        scores = mixing.pattern(site.heads)
        sums = scores.sum(dim=-1, keepdim=True)
        if site.active:
            by = torch.where(sums == 0, 1.0, sums) if site.divided else torch.ones_like(sums[:1, :1])
            mixed = site.mix(
                lambda: mixing.mixed(original(), site.heads) / by,
                lambda: scores / by,
                lambda: (scores != 0).any(0).any(0),  # a mask is the same for all, other zeros are not
                mixing.mixed_values(site.heads),
            )
            out = mixing.result(mixed)
        else:
            out = original()
        self.mark(out, site)
        self._give(out, site, sums)
        return out

    def _mix(self, original: Callable[[], Tensor], mixing: Mixing, tag: Scores, sums: Tensor) -> Tensor:
        (met,) = tag.met or ([],)
        if not met:
            met.append(self._meet(STYLE, _lead(mixing, tag), mixing.tokens))
        site = met[0]
        if not site.active:
            out = original()
        else:
            # Rows that sum to another constant are handed on as rows that sum to one.
            scale = sums.to(mixing.weights) if sums.numel() == 1 else sums.to(mixing.weights)[:, None, None]
            weights = mixing.pattern(site.heads)
            weights = weights if bool((sums == 1).all()) else weights / scale
            values = mixing.mixed_values(site.heads)
            mixed = site.mix(
                lambda: mixing.mixed(original(), site.heads) / scale,
                lambda: weights,
                lambda: _allowed(mixing, tag, site.heads),
                values,
            )
            out = mixing.result(mixed * scale)
        self.mark(out, site)
        return out

    def carry(
        self, func: Callable[..., Any], name: str, args: Sequence[Any], kwargs: dict[str, Any], out: object
    ) -> None:
        """After any other function: what its result is.

        Args:
            func: the function, called again to follow the raw scores through it.
            name: of that function.
            args: what it was called with.
            kwargs: what it was called with by name.
            out: what it returned.
        """
        if not len(self._tags):
            return
        given = list(tensors_in((*args, *kwargs.values())))
        chosen = any(each in self._choices for each in given)
        compared = name in _COMPARING and any(isinstance(self.tag(each), Scores) for each in given)
        if compared or (chosen and not any(isinstance(self.tag(each), Scores) for each in given)):
            for each in tensors_in([out]):
                self._choices[each] = True
        for tensor in given:
            tag = self.tag(tensor)
            if tag is None:
                continue
            if isinstance(tag, Scores) and not tag.weighed and name not in _WEIGHING:
                tag = replace(tag, before=_before(func, args, kwargs, tensor, tag, chosen=chosen))
            results = [each for each in tensors_in([out]) if each.is_floating_point()]
            raws = self._raws(func, name, args, kwargs, tag, len(results))
            for each, raw in zip(results, raws, strict=True):
                # What is handed back as it was keeps its tag; exp_ and its kin make weights of scores in place.
                if any(each is one for one in given) and name not in _WEIGHING:
                    continue
                new = self._carried(name, tag, tensor, each, raw)
                if new is not None:
                    self._tags[each] = new
            return

    def _raws(
        self, func: Callable[..., Any], name: str, args: Sequence[Any], kwargs: dict[str, Any], tag: object, count: int
    ) -> list[Tensor | None]:
        """The raw scores of every result, taken the way of the weights."""
        raw = tag.raw if isinstance(tag, Scores) else None
        if raw is None or not isinstance(args[0] if args else None, Tensor) or raw.shape != args[0].shape:
            return [None] * count
        if name not in _VIEWS | _PARTS:
            return [raw] * count
        moved = list(tensors_in([func(raw, *args[1:], **kwargs)]))
        return [*moved] if len(moved) == count else [None] * count

    def _carried(
        self, name: str, tag: Scores | Mixed, tensor: Tensor, out: Tensor, raw: Tensor | None
    ) -> Scores | Mixed | None:
        if isinstance(tag, Mixed):
            projected = name == "linear" and not tag.projected
            return replace(tag, projected=True) if projected else tag if name in KEPT else None
        heads = tag.heads or (out.shape[1] if out.dim() == 4 else None)
        if name in _PARTS:
            return Scores(tag.certain, heads if out.dim() == tensor.dim() else None, raw, tag.weighed)
        same = out.numel() == tensor.numel() or out.shape[-1:] == tensor.shape[-1:]
        if name in _NEW or not same or (tag.weighed and out.numel() < tensor.numel()):
            return None
        if name in _WEIGHING and not tag.weighed:
            raw = tensor if tag.before is None else tag.before
            return Scores(tag.certain, heads, raw, weighed=True, met=([],))
        return replace(tag, heads=heads, raw=raw if tag.weighed else None)


def _masked(shown: Tensor) -> Tensor:
    """What a mask lets through, by weights that are anywhere not 0: one of later keys, or of whole keys; or no mask."""
    square = shown.shape[0] == shown.shape[1]
    later = square and not bool(shown.triu(1).any()) and bool(shown.tril(-1).any())
    keys = shown.any(0).expand_as(shown)
    return torch.ones_like(shown).tril() if later else keys


def _before(
    func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], tensor: Tensor, tag: Scores, *, chosen: bool
) -> Tensor | None:
    """What scores would be that were not hidden by their own size: true masks hide them all the same."""
    before = tensor if tag.before is None else tag.before
    if chosen or tag.before is None:
        return before if chosen else None
    moved = func(*(before if each is tensor else each for each in args), **kwargs)
    return moved if isinstance(moved, Tensor) and moved.is_floating_point() else None


def _lead(mixing: Mixing, tag: Scores) -> tuple[int, ...]:
    """Sizes of the axes of batch and heads."""
    lead = mixing.lead
    if len(lead) == 1 and tag.heads and lead[0] % tag.heads == 0:
        return (lead[0] // tag.heads, tag.heads)
    return lead


def _contracted(product: Terms) -> list[str]:
    left, right = product.letters
    return [letter for letter in left if letter in right and letter not in product.out]


def _row_sums(mixing: Mixing) -> Tensor | None:
    """What all rows of a pattern sum to, one number or one a head; None if they differ: then it is no attention."""
    order = mixing.letters[0]
    rows = mixing.weights.detach().double().sum(dim=order.index(mixing.key))
    rest = order.replace(mixing.key, "")
    batch = [letter for letter in mixing.batch if letter in rest]
    rows = rows.permute([rest.index(letter) for letter in (*batch, mixing.query)])
    if rows.isnan().any() or not rows.numel():
        rows = rows.nan_to_num()
    for axis in (None, -2) if len(batch) > 1 else (None,):
        flat = rows.reshape(1, -1) if axis is None else rows.movedim(axis, 0).flatten(1)
        shown = flat.abs() > _TOLERANCE  # a row without any key is 0
        sums = torch.where(shown, flat, torch.nan).nanmedian(dim=1).values
        off = torch.where(shown, flat - sums[:, None], 0.0).abs().amax(dim=1)
        if bool((off <= _TOLERANCE * sums.abs()).all()):
            # One row alone sums to something anyhow.
            one = bool(((sums - 1).abs() < _TOLERANCE).all())
            if not one and int(shown.sum()) < 2:
                return None
            return torch.ones(1) if one else sums.float()
    return None


def _allowed(mixing: Mixing, tag: Scores, heads: int) -> Tensor:
    """What the mask lets through, laid out as the pattern of the product."""
    raw = tag.raw
    if raw is not None and raw.shape == mixing.weights.shape:
        allowed = allowed_keys(mixing.pattern(heads, raw))
    else:  # what it hid has a weight of exactly 0, but so may have what is merely small
        allowed = _masked((mixing.pattern(heads) != 0).any(0).any(0))
    if bool(allowed.all()):
        return allowed.new_ones(mixing.tokens)
    if allowed.dim() == 2:
        return allowed
    alike = bool((allowed == allowed[:1, :1]).all())
    return allowed[0, 0] if alike else allowed
