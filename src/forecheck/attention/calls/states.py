"""Sums of keys times values, as linear attention forms them before any query looks: what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.attention.calls.contraction import Terms

_ROUNDING = 1e-3
_TINY = 1e-30
_NOTHING = 1e-5  # of a scale


@dataclass(frozen=True)
class State:
    r"""A product of two tensors over tokens, :math:`S = K^\top V`, or what it is to be summed up of.

    Attributes:
        factors: both, as (batch, token, feature); which of them are the keys shows when queries meet it.
        axis: of the tokens that it is summed up to, for causal ones; None if it is the sum over all tokens.
        summed: whether it is a sum yet, or the products of every token.
    """

    factors: tuple[Tensor, Tensor]
    axis: int | None = None
    summed: bool = True

    def expected(self, keys: int) -> Tensor:
        """The state by its definition (batch, [token,] key feature, value feature), keys being that factor."""
        k, v = self.factors[keys], self.factors[1 - keys]
        if self.axis is None:
            return k.mT @ v
        return (k[..., :, None] * v[..., None, :]).cumsum(dim=-3)


def state_of(product: Terms) -> State | None:
    """What a product of two activations gives, if it contracts tokens alone, or nothing at all."""
    left, right = product.letters
    sizes = dict(zip(left, product.tensors[0].shape, strict=True))
    single = {letter for letter in left if letter in right and letter not in product.out and sizes[letter] == 1}
    if single:  # a product of a column and a row contracts nothing
        return state_of(_without(product, single))
    contracted = [letter for letter in left if letter in right and letter not in product.out]
    own = [[x for x in mine if x not in other and x in product.out] for mine, other in ((left, right), (right, left))]
    shared = [x for x in left if x in right and x in product.out]
    alone = [len(each) for each in own] == [1, 1] and len(set(left)) == len(left)
    if not alone or {*shared, *contracted, *own[0]} != set(left) or {*shared, *contracted, *own[1]} != set(right):
        return None
    order = shared + contracted
    first, second = (_laid(product, number, [*order, *own[number]]) for number in (0, 1))
    if len(contracted) == 1:
        return State(
            (first.flatten(0, -3) if shared else first[None], second.flatten(0, -3) if shared else second[None])
        )
    # Which of the shared axes are tokens shows when a sum is taken.
    tokens = not contracted and len(shared) > 1 and product.out == "".join([*shared, *own[0], *own[1]])
    return State((first, second), summed=False) if tokens else None


def outer(left: Tensor, right: Tensor, out: Tensor) -> State | None:
    """A product of numbers, if it is one of every feature of the left with every one of the right, token by token.

    Args:
        left: (..., token, feature), with an axis of length one more.
        right: the same for the other features.
        out: their product, an axis of tokens before those of the features of both.

    Returns:
        The products of every token, not yet summed; None if it is no such product.
    """
    if not left.dim() == right.dim() == out.dim() >= 4 or left.shape[:-2] != right.shape[:-2]:
        return None
    for first, second in ((left, right), (right, left)):
        if first.shape[-1] == 1 < first.shape[-2] and second.shape[-2] == 1 < second.shape[-1]:
            return State((first.squeeze(-1), second.squeeze(-2)), None, summed=False)
    return None


def summed_up(state: State, axis: int, dim: int, *, causal: bool) -> State | None:
    """The state that a sum, or one up to every token, makes of the products of every token.

    Args:
        state: products, not yet summed, whose last two axes are features.
        axis: over which.
        dim: number of axes.
        causal: whether to every token.
    """
    axis %= dim
    if state.summed or axis >= dim - 2:
        return None
    k, v = (each.movedim(axis, -2).flatten(0, -3) for each in state.factors)
    return State((k, v), axis if causal else None)


@dataclass(frozen=True)
class Query:
    """Queries that meet a state.

    Attributes:
        state: what they meet.
        q: (batch, token, feature).
        found: the state as it is there (batch, [token,] key feature, value feature).
        lead: sizes of the axes that the batch is made of.
        order: axes of the result, by names.
        shape: of the result.
    """

    state: State
    q: Tensor
    found: Tensor
    lead: tuple[int, ...]
    order: tuple[str, ...]
    axes: tuple[str, ...]
    shape: tuple[int, ...]

    def laid(self, mixed: Float[Tensor, "batch query width"]) -> Tensor:
        """What was mixed, laid out as the model's product lays it out."""
        laid = mixed.reshape(*self.lead, *mixed.shape[-2:])
        return laid.permute([self.axes.index(x) for x in self.order]).reshape(self.shape)

    def unlaid(self, result: Tensor) -> Float[Tensor, "batch query width"]:
        """A result of the model's product, laid out as `laid` takes it."""
        sizes = dict(zip(self.axes, (*self.lead, self.q.shape[1], -1), strict=True))
        laid = result.reshape([sizes[x] for x in self.order])
        laid = laid.permute([self.order.index(x) for x in self.axes])
        return laid.reshape(prod(self.lead), *laid.shape[-2:])

    def measured(self) -> Tensor | None:
        """Which factor the keys are, by how much the state is scaled, and what rows sum to (NaN if that differs).

        None if the state is not what it came of: then something else was made of it.
        """
        for keys in (0, 1):
            scale = _scale(self.state, self.found, keys)
            if scale is not None:
                k = self.state.factors[keys]
                sums = row_sums((self.q * scale).detach().double(), k.detach().double(), causal=self.causal)
                middle = float(sums.median())
                even = bool(((sums - middle).abs() <= _ROUNDING * abs(middle)).all()) and sums.numel() > 1
                middle = 1.0 if abs(middle - 1) < _ROUNDING else middle
                return torch.tensor([keys, scale, middle if even and middle else torch.nan], dtype=torch.float64)
        return None

    @property
    def causal(self) -> bool:
        """Whether tokens see those before them alone."""
        return self.state.axis is not None


def query_of(state: State, product: Terms, number: int) -> Query | None:
    """How a product lets queries meet a state, its operand of this number; None if it does something else with it.

    Args:
        state: sums of keys times values.
        product: what the state was multiplied in.
        number: which operand of the product the state is, 0 or 1.
    """
    of_state, of_query = product.letters[number], product.letters[1 - number]
    found, q, out = product.tensors[number], product.tensors[1 - number], product.out
    if any(len(set(letters)) != len(letters) for letters in (of_state, of_query, out)):
        return None
    sizes = dict(zip(of_query, q.shape, strict=True)) | dict(zip(of_state, found.shape, strict=True))
    contracted = [x for x in of_state if x in of_query and x not in out]
    widths = [x for x in of_state if x not in of_query and x in out]
    shared = [x for x in of_state if x in of_query and x in out]
    free = [x for x in of_query if x not in of_state]
    tokens = [x for x in free if sizes[x] > 1] or free[:1]
    if state.axis is not None:
        tokens = [of_state[state.axis]]
    batch = [x for x in shared if x not in tokens]
    single = [x for x in free if x not in tokens]
    if [len(contracted), len(widths), len(tokens)] != [1, 1, 1] or any(sizes[x] > 1 or x not in out for x in single):
        return None
    axes = (*batch, *tokens, *widths)
    if set(out) != {*axes, *single} or set(of_state) != {*shared, *contracted, *widths}:
        return None
    lead = tuple(sizes[x] for x in batch) or (1,)
    by_token = tokens if state.axis is not None else []
    return Query(
        state,
        _flat(q, of_query, [*single, *batch, *tokens, *contracted], 2),
        _flat(found, of_state, [*batch, *by_token, *contracted, *widths], 2 + len(by_token)),
        lead,
        tuple(x for x in out if x not in single) if batch else ("", *(x for x in out if x not in single)),
        axes if batch else ("", *axes),
        tuple(sizes[x] for x in out),
    )


def row_sums(
    q: Float[Tensor, "batch query feature"], k: Float[Tensor, "batch key feature"], *, causal: bool
) -> Float[Tensor, "batch query"]:
    """What the rows of a pattern of linear attention sum to.

    Args:
        q: queries, or features of them.
        k: keys, or features of them.
        causal: whether a query sees only the keys up to its own token.
    """
    return (q * (k.cumsum(dim=-2) if causal else k.sum(dim=-2, keepdim=True))).sum(dim=-1)


def _scale(state: State, found: Tensor, keys: int) -> float | None:
    """By how much a tensor is a multiple of the state; None if it is none."""
    expected = state.expected(keys)
    if expected.shape != found.shape:
        return None
    expected, found = expected.detach().double(), found.detach().double()
    scale = float((found * expected).sum() / expected.square().sum().clamp(min=_TINY))
    off = float((found - scale * expected).norm() / found.norm().clamp(min=_TINY))
    if not off < _ROUNDING or not scale:
        return None
    return 1.0 if abs(scale - 1) < _NOTHING else scale


def _flat(tensor: Tensor, letters: str, order: list[str], kept: int) -> Tensor:
    """A tensor with its axes in an order; all but the last few on one."""
    laid = tensor.permute([letters.index(x) for x in order])
    last = laid.shape[laid.dim() - kept :]
    return laid.reshape(laid.numel() // max(prod(last), 1), *last)


def _without(product: Terms, single: set[str]) -> Terms:
    """The product without some axes of size 1."""
    squeezed = [
        tensor.squeeze([axis for axis, letter in enumerate(letters) if letter in single])
        for tensor, letters in zip(product.tensors, product.letters, strict=True)
    ]
    left, right = ("".join(x for x in letters if x not in single) for letters in product.letters)
    return Terms((squeezed[0], squeezed[1]), (left, right), product.out)


def _laid(product: Terms, number: int, order: list[str]) -> Tensor:
    letters = product.letters[number]
    return product.tensors[number].permute([letters.index(letter) for letter in order])
