"""Position codes that a model stores: tables of one row a position, known by their names and shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from forecheck.attention.parts import features
from forecheck.attention.trace import Trace
from forecheck.errors import UsageError

_WORD = re.compile(r"w?pos|position(s|al)?|w?pe|pos(ition(al)?)?(emb|enc)\w*")
_RELATIVE = re.compile(r"rel(ative)?")


@dataclass(frozen=True, eq=False)
class Code:
    """A table of position codes.

    Attributes:
        name: path below the root.
        tensor: parameter or buffer, (..., position, ..., feature).
        axis: which axis is that of positions.
        tokens: rows that the model's tokens use, the first ones; all of a table of distances.
        relative: whether rows are distances between tokens (T5's buckets) instead of places.
        owner: the module that holds it.
    """

    name: str
    tensor: Tensor
    axis: int
    tokens: int
    relative: bool
    owner: nn.Module

    def rows(self) -> Tensor:
        """A copy of the values, (position, ..., feature)."""
        return self.tensor.detach().movedim(self.axis, 0).clone()


def find_codes(traced: Trace) -> list[Code]:
    """The additive codes and relative biases that a model stores.

    A table is a parameter or buffer of floats whose name, or whose module's name, says *position* (`pos`, `W_pos`,
    `pe`, `embed_positions`, ...), with an axis of at least as many positions as there are tokens before its features
    and no further axis but one of channels; relative biases (`relative_attention_bias`) may have any number of
    distances.

    Raises:
        UsageError: if there is none.
    """
    lengths = {length for site in traced.sites for length in (site.queries, site.keys)}
    found = []
    for root in traced.roots:
        for name, tensor in [*root.named_parameters(), *root.named_buffers()]:
            owner = root.get_submodule(name.rpartition(".")[0])
            words = [re.split(r"[_\d]+", each.lower()) for each in name.split(".")[-2:]]
            relative = any(_RELATIVE.fullmatch(word) for part in words for word in part)
            said = relative or any(_WORD.fullmatch(word) for part in words for word in part)
            axes = [axis for axis in range(tensor.dim() - 1) if tensor.shape[axis] > 1]
            if not said or features(owner) or not tensor.is_floating_point() or tensor.dim() < 2:
                continue
            if len(axes) == 2:
                axes = [axis for axis in axes if tensor.shape[axis] in lengths]
            if len(axes) > 1:
                continue
            axis = axes[0] if axes else tensor.dim() - 2
            rows = tensor.shape[axis]
            used = rows if relative else max((length for length in lengths if length <= rows), default=0)
            if used:
                found.append(Code(name, tensor, axis, used, relative, owner))
    if not found:
        names = ", ".join(type(root).__name__ for root in traced.roots)
        raise UsageError(
            f"{names} stores no position codes: they are computed (such as rotary ones), or there are none"
        )
    return found


@contextmanager
def recoded(codes: list[Code], change: Callable[[Code], Tensor]) -> Iterator[None]:
    """Other values in the tables for the time of a `with` block: `change` gives (position, ..., feature).

    The tensors are handed other memory and get their own back, so the old values return bit by bit, and neither
    versions (which autograd watches) nor `requires_grad` change.
    """
    old = [(code.tensor, code.tensor.data) for code in codes]
    try:
        for code in codes:
            code.tensor.data = change(code).to(code.tensor).movedim(0, code.axis).contiguous()
        yield
    finally:
        for tensor, data in old:
            tensor.data = data
