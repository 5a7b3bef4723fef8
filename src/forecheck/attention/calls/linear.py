"""Linear attention: keys meet values first, so that no pattern is formed; it is computed on demand.

What a tensor is follows from how it came about, and is verified by numbers in the first pass: a state is a product of
two activations over their tokens, or a sum of such products up to every token, and attention is where queries meet it.
Its rows sum to the same, or what it gives is divided by their sums later, or they sum to anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from string import ascii_letters
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from forecheck.attention.calls.contraction import PRODUCTS, Terms, spelled, terms
from forecheck.attention.calls.lineage import Lineage, tensors_in
from forecheck.attention.calls.sdpa import Meet
from forecheck.attention.calls.site import CallSite
from forecheck.attention.calls.softmax import KEPT, LINEAR, Decide
from forecheck.attention.calls.states import Query, State, outer, query_of, row_sums, state_of, summed_up

_DIVISIONS = {"div", "__truediv__", "true_divide", "div_", "__itruediv__"}
_TIMES = {"mul", "__mul__", "multiply", "mul_", "__imul__", "__rmul__"}
_SCALING = _DIVISIONS | _TIMES | {"add", "__add__", "__radd__", "sub", "__sub__"}
_TOLERANCE = 1e-3
_TINY = 1e-30
_TWO, _THREE = 2, 3

Done = tuple[Tensor, CallSite]
"""What a call gave, and the site that it belongs to."""


@dataclass(frozen=True)
class _Given:
    """What linear attention gave, until it is divided by the sums of its rows."""

    site: CallSite
    sums: Tensor


class LinearAttention:
    """What the tensors of one forward pass are, where keys meet values first.

    Args:
        meet: says which site a call belongs to.
        decide: says what was measured in the first pass.
        lineage: where tensors come from.
    """

    def __init__(self, meet: Meet, decide: Decide, lineage: Lineage) -> None:
        self._meet, self._decide, self._lineage = meet, decide, lineage
        self._states = WeakTensorKeyDictionary()
        self._weighted = WeakTensorKeyDictionary()  # states times queries, not yet summed over features
        self._given = WeakTensorKeyDictionary()

    def call(self, func: Callable[..., Any], name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Done | None:
        """A call that is linear attention, or its division by the sums of rows, carried out; None for any other.

        Args:
            func: the torch function, to be called if what it does is not replaced.
            name: of that function.
            args: what it was called with.
            kwargs: what it was called with by name.
        """

        def original() -> Tensor:
            out: Tensor = func(*args, **kwargs)
            return out

        query = None
        if name in PRODUCTS and len(self._states):
            query = self._queried(name, args, kwargs)
        elif name == "sum" and args[0] in self._weighted and _over(args, kwargs, -2):
            query = self._weighted[args[0]]
        done = None if query is None else self._attend(query, original)
        if done is None and len(self._given) and (name in _DIVISIONS | _TIMES or name == "einsum"):
            done = self._divided(original, name, args, kwargs)
        return done

    def note(self, name: str, args: Sequence[Any], kwargs: dict[str, Any], out: object) -> None:
        """After any other function: what its result is.

        Args:
            name: of the function.
            args: what it was called with.
            kwargs: what it was called with by name.
            out: what it returned; only floating-point tensors count.
        """
        if not isinstance(out, Tensor) or not out.is_floating_point():
            return
        given = [each for each in tensors_in((*args, *kwargs.values())) if each.is_floating_point()]
        known = next((each for each in given if each in self._states), None)
        state: State | None = None
        if name in PRODUCTS:
            product = terms(name, args, kwargs)
            state = state_of(product) if product is not None and self._over_tokens(product) else None
        elif known is not None:
            state = self._made(name, args, kwargs, given, known, out)
        elif name in _TIMES and len(given) == _TWO and not any(map(self._lineage.is_parameter, given)):
            state = outer(given[0], given[1], out)
        elif given and given[0] in self._given and name in KEPT and out.numel() == given[0].numel():
            self._given[out] = self._given[given[0]]
        if state is not None:
            self._states[out] = state

    def _made(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        given: Sequence[Tensor],
        known: Tensor,
        out: Tensor,
    ) -> State | None:
        """What is made of a state; the numbers are looked at when queries meet it."""
        state: State = self._states[known]
        if name in ("sum", "cumsum"):
            dim = args[1] if len(args) > 1 else kwargs.get("dim")
            dim = dim[0] if isinstance(dim, tuple | list) and len(dim) == 1 else dim
            if not isinstance(dim, int) or kwargs.get("keepdim") or len(args) > _TWO:
                return None
            return summed_up(state, dim, known.dim(), causal=name == "cumsum")
        if name in _TIMES and state.axis is not None and len(given) == _TWO:
            q = given[0] if given[1] is known else given[1]
            if q.shape == (*known.shape[:-1], 1) and known.shape[-1] > 1:
                letters = ascii_letters[: known.dim()]
                product = Terms((q.squeeze(-1), known), (letters[:-1], letters), letters[:-2] + letters[-1])
                if (query := query_of(state, product, 1)) is not None:
                    self._weighted[out] = query
                return None
        moved = state.axis is None and state.summed and name in KEPT and out.numel() == known.numel()
        return state if moved or (out.shape == known.shape and name in KEPT | _SCALING) else None

    def _over_tokens(self, product: Terms) -> bool:
        """Whether it is known that no features are contracted, in a product of two activations."""
        left, right = product.letters
        contracted = [letter for letter in left if letter in right and letter not in product.out]
        axes = [self._lineage.features(each) for each in product.tensors]
        known = [letters[axis] for letters, axis in zip(product.letters, axes, strict=True) if axis is not None]
        activations = not any(map(self._lineage.is_parameter, product.tensors))
        return activations and bool(known) and not set(known) & set(contracted)

    def _queried(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Query | None:
        product = self._of_three(args) if name == "einsum" else None
        product = product or terms(name, args, kwargs)
        if product is None:
            return None
        for number, tensor in enumerate(product.tensors):
            if tensor in self._states and not self._lineage.is_parameter(product.tensors[1 - number]):
                state: State = self._states[tensor]
                return query_of(state, product, number) if state.summed else None
        return None

    def _of_three(self, args: Sequence[Any]) -> Terms | None:
        """A product of a state, queries and one number a query, as one of two."""
        operands, sides, out = spelled(args)
        if len(operands) != _THREE:
            return None
        for state in range(_THREE):
            if operands[state] not in self._states:
                continue
            rest = [n for n in range(_THREE) if n != state]
            for q, by in (rest, rest[::-1]):
                if set(sides[by]) <= set(sides[q]) & set(out):
                    scaled = torch.einsum(f"{sides[q]},{sides[by]}->{sides[q]}", operands[q], operands[by])
                    return Terms((scaled, operands[state]), (sides[q], sides[state]), out)
        return None

    def _attend(self, query: Query, original: Callable[[], Tensor]) -> Done | None:
        measured = self._decide(query.measured)
        if measured is None:
            return None
        keys, scale, constant = measured.tolist()
        causal = query.state.axis is not None
        q = query.q * scale
        k, v = query.state.factors[int(keys)], query.state.factors[1 - int(keys)]
        site = self._meet(LINEAR, query.lead, (q.shape[1], k.shape[1]))
        even = not isnan(constant)
        site.stochastic = site.divided or even
        sums = row_sums(q, k, causal=causal)
        if not site.active:
            out = original()
            self.give(out, site, sums)
            return out, site
        by: Tensor | float = constant if even else 1.0
        if site.divided:  # what is given here has rows that sum to one, and is not divided again
            by = torch.where(sums.abs() < _TINY, 1.0, sums)[..., None]
        heads = site.heads

        def four(x: Tensor) -> Tensor:
            return x.reshape(len(x) // heads, heads, *x.shape[1:])

        def weights() -> Tensor:
            pattern = q @ k.mT
            return four((pattern.tril() if causal else pattern) / by)

        allowed = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool, device=q.device)
        allowed = allowed.tril() if causal else allowed
        mixed = site.mix(lambda: four(query.unlaid(original()) / by), weights, lambda: allowed, four(v))
        mixed = mixed.reshape(len(q), *mixed.shape[2:])
        out = query.laid(mixed * constant if even else mixed)
        self.give(out, site, sums)
        return out, site

    def give(self, out: Tensor, site: CallSite, sums: Tensor) -> None:
        """Take note of what linear attention gave, and of the sums of its rows, by which it may yet be divided.

        Args:
            out: what the call returned.
            site: that it belongs to.
            sums: of the rows of its pattern (batch, query).
        """
        self._given[out] = _Given(site, sums)

    def _divided(
        self, original: Callable[[], Tensor], name: str, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Done | None:
        """A division of what was given by the sums of its rows; not carried out where an edit made these 1."""
        given = [each for each in tensors_in((*args, *kwargs.values())) if each.is_floating_point()]
        if len(given) != _TWO or (name == "einsum" and not _elementwise(args)):
            return None
        what, by = given if given[0] in self._given else given[::-1]
        if what not in self._given or by.numel() > what.numel() or (name in _DIVISIONS and what is not given[0]):
            return None
        known: _Given = self._given[what]
        site = known.site
        if site.stochastic and not site.divided:
            return None
        if self._decide(lambda: _alike(by if name in _DIVISIONS else 1 / by, known.sums)) is None:
            return None
        site.divided = site.stochastic = True
        return (what.view(what.shape) if site.active else original()), site


def _over(args: Sequence[Any], kwargs: dict[str, Any], axis: int) -> bool:
    """Whether a sum is over one axis, which is dropped."""
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    dim = dim[0] if isinstance(dim, tuple | list) and len(dim) == 1 else dim
    return dim in (axis, args[0].dim() + axis) and not kwargs.get("keepdim") and len(args) <= _TWO


def _elementwise(args: Sequence[Any]) -> bool:
    """Whether an einsum contracts nothing."""
    operands, sides, out = spelled(args)
    return len(operands) == _TWO and set("".join(sides)) == set(out)


def _alike(found: Tensor, sums: Tensor) -> Tensor | None:
    """One, if numbers are the sums of rows, however they are laid out and repeated."""
    if not sums.numel() or found.numel() % sums.numel():
        return None
    found = found.detach().flatten().double().sort().values[:: found.numel() // sums.numel()]
    sums = sums.detach().flatten().double().sort().values
    return torch.ones(()) if torch.allclose(found, sums, rtol=_TOLERANCE, atol=_TINY) else None
