"""Where tensors of one forward pass come from: their feature axis, how often features were split, what came before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_SPLITS = {"view", "reshape", "unflatten", "chunk", "split", "tensor_split", "view_as"}
_JOINED = {"cat", "concat", "concatenate", "stack"}
_PICKING = {"gather", "take_along_dim", "index_select", "__getitem__", "take", "index"}
_CHOOSING = {"argsort", "sort", "topk", "argmax", "argmin", "kthvalue", "nonzero", "msort", "searchsorted", "bucketize"}
"""What gives indices that depend on values."""
_MAPPED = {"linear": -1, "layer_norm": -1, "rms_norm": -1, "embedding": -1, "conv1d": -2}
"""Functions whose result has its features on a known axis, counted from the end."""


class Lineage:
    """Notes on tensors, taken while functions of torch run.

    Args:
        parameters: addresses of the memory of parameters and buffers.
    """

    def __init__(self, parameters: frozenset[int]) -> None:
        self._parameters = parameters
        self._features = WeakTensorKeyDictionary()
        self._splits = WeakTensorKeyDictionary()
        self._sites = WeakTensorKeyDictionary()
        self._picked = WeakTensorKeyDictionary()
        self._chunks = WeakTensorKeyDictionary()
        self._chosen = WeakTensorKeyDictionary()  # whole numbers that depend on values, and what was picked by them

    def features(self, tensor: Tensor) -> int | None:
        """The axis of its features, counted from the end, if that is known."""
        axis: int | None = self._features.get(tensor, None)  # type: ignore[no-untyped-call]
        return axis

    def splits(self, *tensors: Tensor) -> frozenset[int]:
        """Into how many parts the features of some tensors were split on the way: one number may be that of heads."""
        return _union(self._splits, tensors)

    def sites(self, *tensors: Tensor) -> frozenset[int]:
        """Layers of the attention sites that some tensors come after."""
        return _union(self._sites, tensors)

    def picked(self, *tensors: Tensor) -> frozenset[int]:
        """By which tensors of indices rows of some tensors were picked or put into another order."""
        return _union(self._picked, tensors)

    def by_content(self, tensor: Tensor) -> bool:
        """Whether rows were picked or sorted by what they hold, after the last linear map."""
        return tensor in self._chosen

    def is_parameter(self, tensor: Tensor) -> bool:
        """Whether its memory is that of a parameter or buffer."""
        return tensor.untyped_storage().data_ptr() in self._parameters

    def note(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: object) -> None:
        """After a function of torch: what its results are.

        Args:
            name: of the function.
            args: what it was called with.
            kwargs: what it was called with by name.
            out: what it returned; of a tuple or list, every tensor counts.
        """
        given = list(tensors_in((*args, *kwargs.values())))
        results = list(tensors_in([out]))
        if not given or not results:
            return
        sites, splits = self.sites(*given), self._kept_splits(name, given)
        picked = self.picked(*given) | self._picks(name, given)
        chosen = self._is_chosen(name, given)
        chunks = _union(self._chunks, given)
        if name in _SPLITS and len(results) > 1:
            chunks |= {len(results)}
        else:
            splits |= _split_by(name, given, results[0], chunks)
        for each in results:
            if sites:
                self._sites[each] = self.sites(each) | sites
            if picked:
                self._picked[each] = picked
            if chosen and (not each.is_floating_point() or name not in _CHOOSING):
                self._chosen[each] = True
            if splits:
                self._splits[each] = splits
            if chunks:
                self._chunks[each] = chunks
            axis = _MAPPED[name] if name in _MAPPED else self._axis(name, given, each)
            if axis is not None:
                self._features[each] = axis

    def _picks(self, name: str, given: Sequence[Tensor]) -> frozenset[int]:
        if name not in _PICKING or self.is_parameter(given[0]) or not given[0].is_floating_point():
            return frozenset()
        whole = (torch.int64, torch.int32, torch.int16, torch.uint8)
        return frozenset(each.untyped_storage().data_ptr() for each in given[1:] if each.dtype in whole and each.dim())

    def _is_chosen(self, name: str, given: Sequence[Tensor]) -> bool:
        if name in _MAPPED:
            return False
        return any(each in self._chosen for each in given) or (
            name in _CHOOSING and given[0].is_floating_point() and not self.is_parameter(given[0])
        )

    def _kept_splits(self, name: str, given: Sequence[Tensor]) -> frozenset[int]:
        """What was split before; a product with a parameter of more than two axes splits by those."""
        if name in _MAPPED:
            return frozenset()
        parameters = [each for each in given if self.is_parameter(each)]
        per_head = {size for each in parameters if each.dim() > 2 for size in each.shape[:-1]}
        return self.splits(*given) | frozenset(per_head)

    def come_after(self, tensor: Tensor, layer: int) -> None:
        """Note that a tensor is what the attention of a layer gave."""
        self._sites[tensor] = self.sites(tensor) | {layer}

    def _axis(self, name: str, given: Sequence[Tensor], out: Tensor) -> int | None:
        for tensor in given:
            axis = self.features(tensor)
            if axis is None:
                continue
            if name in ("matmul", "__matmul__", "bmm") or name == "einsum":
                parameter = any(self.is_parameter(each) for each in given)
                return -1 if parameter and axis == -1 else None
            if out.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr():
                return _same_stride(axis, tensor, out)
            if out.shape == tensor.shape or (out.dim() > -axis - 1 and out.shape[axis] == tensor.shape[axis]):
                return axis
        return None


def _union(notes: WeakTensorKeyDictionary, tensors: Sequence[Tensor]) -> frozenset[int]:
    return frozenset().union(*(notes[each] for each in tensors if each in notes))


def _split_by(name: str, given: Sequence[Tensor], out: Tensor, chunks: frozenset[int]) -> set[int]:
    """Into how many parts a call lays features on one axis; parts that stay apart, as of queries and keys, are none."""
    if name in _JOINED:
        return {len(given)} & chunks
    parts = _parts(given[0], out) if name in _SPLITS and given[0].dim() else 1
    return {parts} if parts > 1 else set()


def _parts(before: Tensor, after: Tensor) -> int:
    """Into how many the last axis was cut by a view."""
    if not after.dim() or after.numel() != before.numel() or before.shape[-1] % max(after.shape[-1], 1):
        return 1
    parts = before.shape[-1] // after.shape[-1] if after.shape[-1] else 1
    return parts if parts in after.shape[:-1] else 1


def _same_stride(axis: int, before: Tensor, after: Tensor) -> int | None:
    """Where an axis is in a view: with the same stride, whole or cut into parts."""
    stride, size = before.stride(axis), before.shape[axis]
    fits = [n for n in range(-after.dim(), 0) if after.stride(n) == stride and after.shape[n] > 1]
    fits = [n for n in fits if size % after.shape[n] == 0 or after.shape[n] < size]
    return axis if axis in fits else fits[-1] if fits else None


def tensors_in(values: Sequence[Any]) -> Iterator[Tensor]:
    """Tensors among some values, and in the lists and tuples among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)
