"""A second device that is none: tensors that say they lie elsewhere and are computed on the CPU.

As on a GPU, an operation whose tensors lie on two devices is an error (single numbers of the CPU may take part), and so
is a look into the memory of one by numpy. It has no doubles, like Apple's. So whatever forgets a device fails here.
"""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

NAME = "meta"
"""Torch has a device of this name everywhere; here it holds numbers."""
_ATEN = torch.ops.aten
# In here nothing sees that a view is to be conjugated or negated when it is read.
_DONE_AT_ONCE = {_ATEN._conj.default: _ATEN.conj_physical.default, _ATEN._neg_view.default: _ATEN.neg.default}
_INDEXED = {_ATEN.index.Tensor, _ATEN.index_put_.default, _ATEN.index_put.default}


class There(torch.Tensor):
    """A tensor on the second device."""

    @staticmethod
    def __new__(cls, inner):
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device=NAME
        )
        made.inner = inner
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    is_meta = property(lambda self: False)

    def __repr__(self):
        return f"There({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


def _run(func, args, kwargs):
    to = kwargs.get("device")
    flat = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
    there = [each for each in flat if isinstance(each, There)]
    moves = func in (_ATEN._to_copy.default, _ATEN.copy_.default)
    if there and not moves and func not in _INDEXED:
        here = [each for each in flat if not isinstance(each, There) and each.dim()]
        assert not here, f"{func} has tensors on two devices: {[tuple(each.shape) for each in here]}"
    kwargs = {key: value for key, value in kwargs.items() if key != "device"}
    inner = tree_map(lambda each: each.inner if isinstance(each, There) else each, (args, kwargs))
    found = _DONE_AT_ONCE.get(func, func)(*inner[0], **inner[1], **({} if to is None else {"device": "cpu"}))
    goes = bool(there) if to is None else torch.device(to).type == NAME
    if func is _ATEN.copy_.default:
        return args[0]
    if not goes:
        return found
    same = {id(each.inner): each for each in there}  # what is changed in place stays itself

    def moved(value):
        if not isinstance(value, torch.Tensor):
            return value
        assert value.dtype not in (torch.float64, torch.complex128), f"{func} makes doubles, which there are none of"
        return same[id(value)] if id(value) in same else There(value)

    return tree_map(moved, found)


class _Made(TorchDispatchMode):
    """Sees what is made on the device, or moved to it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


@contextmanager
def second_device():
    """Have the device while a `with` block lasts; gives its name."""
    with _Made():
        yield NAME
