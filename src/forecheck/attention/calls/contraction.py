"""How the product of a pattern and values is laid out, whichever torch function writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from string import ascii_letters
from typing import Any

from torch import Tensor

_MATMUL = {"matmul", "__matmul__", "bmm", "mm", "linalg_matmul"}
PRODUCTS = _MATMUL | {"einsum", "__rmatmul__", "baddbmm"}
"""Names of torch functions that multiply matrices."""


@dataclass(frozen=True)
class Terms:
    """A product of two tensors in Einstein's notation, one letter an axis."""

    tensors: tuple[Tensor, Tensor]
    letters: tuple[str, str]
    out: str


def terms(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Terms | None:
    """A call of one of `PRODUCTS` as terms; None if it is not a product of two tensors.

    Args:
        name: of the torch function.
        args: positional arguments of the call.
        kwargs: its keyword arguments; an operand may be among them.
    """
    if name == "einsum":
        return _einsum(args)
    if name == "baddbmm":
        operands = [*args[1:3], *(kwargs[key] for key in ("batch1", "batch2") if key in kwargs)]
    else:
        operands = [*args, *(kwargs[key] for key in ("other", "mat2") if key in kwargs)][:2]
    if name == "__rmatmul__":
        operands.reverse()
    if len(operands) != 2 or not all(isinstance(each, Tensor) and each.dim() >= 2 for each in operands):
        return None
    left, right = operands
    batch = ascii_letters[: max(left.dim(), right.dim()) - 2]
    sides = (batch[len(batch) - left.dim() + 2 :] + "xy", batch[len(batch) - right.dim() + 2 :] + "yz")
    return Terms((left, right), sides, batch + "xz")


def _einsum(args: Sequence[Any]) -> Terms | None:
    operands, sides, out = spelled(args)
    if len(operands) != 2:
        return None
    return Terms((operands[0], operands[1]), (sides[0], sides[1]), out)


def spelled(args: Sequence[Any]) -> tuple[list[Tensor], list[str], str]:
    """Operands of a call of einsum, the letters of each and of the result, dots spelled out; none of another form."""
    operands = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
    if not args or not isinstance(args[0], str):
        return [], [], ""
    inputs, arrow, out = args[0].replace(" ", "").partition("->")
    sides = inputs.split(",")
    if len(sides) != len(operands):
        return [], [], ""
    free = [letter for letter in ascii_letters if letter not in inputs]
    dots = max(each.dim() - len(side.replace("...", "")) for each, side in zip(operands, sides, strict=True))
    batch = "".join(free[:dots])
    written = []
    for each, side in zip(operands, sides, strict=True):
        own = each.dim() - len(side.replace("...", ""))
        written.append(side.replace("...", batch[dots - own :]))
    if not arrow:
        both = "".join(sides).replace(".", "")
        out = ("..." if "..." in inputs else "") + "".join(sorted(x for x in set(both) if both.count(x) == 1))
    return [*operands], written, out.replace("...", batch)


@dataclass(frozen=True)
class Mixing:
    """A product of a pattern with values: `batch` axes, and one each for query, key and width."""

    weights: Tensor
    values: Tensor
    letters: tuple[str, str, str]  # of weights, values, result
    batch: str
    query: str
    key: str
    width: str

    @classmethod
    def of(cls, product: Terms, pattern: int, key_axis: int) -> Mixing | None:
        """The product read as attention, if it contracts the key axis of its operand number `pattern`.

        Args:
            product: of two tensors.
            pattern: which operand may be the pattern, 0 or 1; the other is the values.
            key_axis: the axis of that operand that would be the keys.

        Returns:
            None if the key axis is not contracted, or the pattern has no axis of queries of its own.
        """
        of_weights, of_values = product.letters[pattern], product.letters[1 - pattern]
        out = product.out
        if any(len(set(letters)) != len(letters) for letters in (of_weights, of_values, out)):
            return None
        key = of_weights[key_axis]
        queries = [x for x in of_weights if x in out and x not in of_values]
        widths = [x for x in of_values if x in out and x not in of_weights]
        if key not in of_values or key in out or not queries or len(widths) != 1:
            return None
        query, width = queries[-1], widths[0]
        batch = "".join(x for x in of_weights if x not in (query, key))
        if set(out) != {*batch, query, width} or not set(of_values) <= {*batch, key, width}:
            return None
        weights, values = product.tensors[pattern], product.tensors[1 - pattern]
        return cls(weights, values, (of_weights, of_values, out), batch, query, key, width)

    @property
    def lead(self) -> tuple[int, ...]:
        """Sizes of the batch axes, broadcast."""
        sizes = dict.fromkeys(self.batch, 1)
        for letters, tensor in zip(self.letters, (self.weights, self.values), strict=False):
            for letter, size in zip(letters, tensor.shape, strict=True):
                if letter in sizes:
                    sizes[letter] = max(sizes[letter], size)
        return tuple(sizes.values())

    @property
    def tokens(self) -> tuple[int, int]:
        """Numbers of queries and keys."""
        shape = dict(zip(self.letters[0], self.weights.shape, strict=True))
        return shape[self.query], shape[self.key]

    def pattern(self, heads: int, tensor: Tensor | None = None) -> Tensor:
        """The pattern, or a tensor laid out as it is, as (batch, head, query, key)."""
        tensor = self.weights if tensor is None else tensor
        return self._four(tensor, self.letters[0], self.query + self.key, heads)

    def mixed_values(self, heads: int) -> Tensor:
        """The values as (batch, head, key, width)."""
        return self._four(self.values, self.letters[1], self.key + self.width, heads)

    def mixed(self, result: Tensor, heads: int) -> Tensor:
        """What the model's product gave as (batch, head, query, width)."""
        return self._four(result, self.letters[2], self.query + self.width, heads)

    def result(self, mixed: Tensor) -> Tensor:
        """Mixed values (batch, head, query, width), laid out as the model's product lays them out."""
        laid = mixed.reshape(*self.lead, *mixed.shape[-2:])
        order = self.batch + self.query + self.width
        return laid.permute([order.index(letter) for letter in self.letters[2]])

    def _four(self, tensor: Tensor, letters: str, last: str, heads: int) -> Tensor:
        order = [letters.index(letter) for letter in self.batch + last if letter in letters]
        tensor = tensor.permute(order)
        for axis, letter in enumerate(self.batch):
            if letter not in letters:  # shared by all heads, as in multi-query attention
                tensor = tensor.unsqueeze(axis)
        tensor = tensor.expand(*self.lead, *tensor.shape[-2:])
        return tensor.reshape(prod(self.lead) // heads, heads, *tensor.shape[-2:])
