"""Windows that know when they are, whatever is done to them on the way to a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecheck.errors import UsageError

Times = np.ndarray[Any, np.dtype[Any]]

_NONE = -1  # what is of no window

# Functions that put numbers elsewhere; the same is done to the rows that the numbers came with.
_MOVES = {
    *(
        "__getitem__",
        "split",
        "split_with_sizes",
        "tensor_split",
        "chunk",
        "unbind",
        "select",
        "narrow",
        "index_select",
    ),
    *("cat", "concat", "concatenate", "stack", "roll", "flip", "expand", "expand_as", "repeat", "repeat_interleave"),
    *(
        "tile",
        "permute",
        "transpose",
        "swapaxes",
        "movedim",
        "reshape",
        "index_select",
        "view",
        "flatten",
        "unflatten",
        "unsqueeze",
    ),
    *("squeeze", "take_along_dim", "gather", "__get__"),
}
# Functions of every number by itself; what is added to a window or put in its place does not move it in time.
_ELEMENTWISE = {
    *("add", "__add__", "__radd__", "sub", "__sub__", "__rsub__", "rsub", "mul", "__mul__", "__rmul__", "div"),
    *("__truediv__", "true_divide", "neg", "__neg__", "where", "lerp", "clamp", "clip", "masked_fill", "nan_to_num"),
    *("to", "float", "double", "half", "bfloat16", "type_as", "cpu", "cuda", "clone", "detach", "contiguous"),
    *("zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "dropout", "requires_grad_"),
}
_LIKE = {"to", "type_as"}


class Stamped(Tensor):
    """A batch of windows, each with the row of its panel at which its target begins.

    Slices, copies, permutations and concatenations keep what they are of. A window with something added to it or
    written into it is still of its time, and a sum of several is of the first's. Whatever else is made of windows is a
    plain tensor, which has no time.

    Attributes:
        rows: of every number, the row at which the target of its window begins; -1 where it is of none.
        stamps: of every row of the panel.
    """

    rows: Tensor
    stamps: Times

    @classmethod
    def of(cls, x: Float[Tensor, "batch lookback channel"], rows: Int[Tensor, " batch"], stamps: Times) -> Stamped:
        """Windows whose targets begin at some rows of a panel with these stamps.

        Args:
            x: windows.
            rows: the row of the panel at which the target of each window begins.
            stamps: of every row of the panel.
        """
        return _stamped(x, rows[:, None, None].expand(x.shape), stamps)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The function on plain tensors, and what its results are of."""
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001  the documented way to leave a subclass
            out = func(*args, **kwargs)
            given = list(_stamped_in([*args, *kwargs.values()]))
            name = getattr(func, "__name__", "")
            if not given or any(out is each for each in given):
                return out
            if any(each.stamps is not given[0].stamps for each in given):
                return out
            if name in _MOVES:
                return _with_rows(out, _moved(func, args, kwargs), given[0].stamps)
            like = name in _LIKE and given[0] is not args[0]  # only its type is asked for
            if name in _ELEMENTWISE and isinstance(out, Tensor) and out.dim() >= given[0].dim() and not like:
                rows = next((each.rows for each in given if each.shape == out.shape), given[0].rows)
                return _with_rows(out, rows.expand(out.shape), given[0].stamps)
            return out


def times_of(x: Tensor, lookback: int, horizon: int, called: str) -> Times:
    """Stamps of the windows and of their horizons (batch, lookback + horizon).

    Args:
        x: a batch as `Windows.gather` gave it, or what was made of one.
        lookback: L, steps of input.
        horizon: H, steps of target.
        called: name of the model, for the message.

    Raises:
        UsageError: if it is not known which windows they are.
    """
    if not isinstance(x, Stamped):
        raise UsageError(f"{called} needs the times of its windows, and what it is given here has none")
    rows = x.rows.flatten(1)
    first = rows.amax(dim=1)
    if bool(((rows != first[:, None]) & (rows != _NONE)).any()) or bool((first == _NONE).any()):
        raise UsageError(f"{called} needs the times of its windows, and one is made of windows of several times here")
    steps = np.arange(-lookback, horizon)
    return x.stamps[first.cpu().numpy()[:, None] + steps]


def plain(x: Tensor) -> Tensor:
    """The same numbers without their times."""
    with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001
        return x.view(x.shape)  # an operation that those who watch operations see


def _stamped(x: Tensor, rows: Tensor, stamps: Times) -> Stamped:
    stamped = x.as_subclass(Stamped)
    stamped.rows, stamped.stamps = rows, stamps
    return stamped


def _stamped_in(values: Sequence[Any]) -> Any:
    for value in values:
        if isinstance(value, Stamped):
            yield value
        elif isinstance(value, list | tuple):
            yield from _stamped_in(value)


def _moved(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The function on rows in place of numbers."""
    try:
        return func(*map(_rows, args), **{key: _rows(value) for key, value in kwargs.items()})
    except RuntimeError:  # a view of numbers that lie in order is none of rows that are repeated
        return func(*(_rows(each, laid=True) for each in args), **kwargs)


def _rows(value: Any, *, laid: bool = False) -> Any:
    if isinstance(value, Stamped):
        return value.rows.contiguous() if laid else value.rows
    if isinstance(value, Tensor) and value.is_floating_point():
        return torch.full_like(value, _NONE, dtype=torch.int64)
    if isinstance(value, list | tuple):
        return type(value)(_rows(each, laid=laid) for each in value)
    return value


def _with_rows(out: Any, rows: Any, stamps: Times) -> Any:
    if isinstance(out, Tensor):
        return _stamped(out, rows, stamps) if isinstance(rows, Tensor) and rows.shape == out.shape else out
    if isinstance(out, list | tuple) and isinstance(rows, list | tuple):
        return type(out)(_with_rows(each, row, stamps) for each, row in zip(out, rows, strict=True))
    return out
