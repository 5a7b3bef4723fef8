"""Tensors with many zeros in few bytes: one bit a place, and the values that are not zero."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

_MASK, _VALUES, _SHAPE = "#mask", "#values", "#shape"
_ENTRIES = 160
"""Bytes that two more entries take in a file."""


def pack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those for which it is smaller as three: bits that tell where values are, the values, the shape.

    Negative zeros count as values, so that `unpack` gives back every bit.

    Args:
        tensors: by name.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        held = tensor.detach().contiguous()
        whole = held.numel() * held.element_size()
        if not held.is_floating_point():
            packed[name] = held
            continue
        there = (held != 0) | torch.signbit(held)
        size = math.ceil(held.numel() / 8) + int(there.sum()) * held.element_size() + 8 * held.dim() + _ENTRIES
        if size >= whole:
            packed[name] = held
            continue
        packed[name + _MASK] = torch.from_numpy(np.packbits(there.flatten().numpy()))
        packed[name + _VALUES] = held[there]
        packed[name + _SHAPE] = torch.tensor(held.shape, dtype=torch.int64)
    return packed


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `pack` was given.

    Args:
        tensors: as `pack` gave them.

    Raises:
        ValueError: if parts of a tensor do not belong together.
    """
    unpacked: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith((_VALUES, _SHAPE)) and name.rsplit("#", 1)[0] + _MASK in tensors:
            continue
        if not name.endswith(_MASK):
            unpacked[name] = tensor
            continue
        base = name.removesuffix(_MASK)
        if base + _VALUES not in tensors or base + _SHAPE not in tensors:
            raise ValueError(f"{base} is packed and lacks a part")
        unpacked[base] = _unpacked(base, tensor, tensors[base + _VALUES], tensors[base + _SHAPE])
    return unpacked


def _unpacked(name: str, mask: Tensor, values: Tensor, shape: Tensor) -> Tensor:
    size = math.prod(sizes := [int(each) for each in shape])
    if min(sizes, default=0) < 0 or len(mask) != math.ceil(size / 8):
        raise ValueError(f"{name} is packed and its shape {sizes} does not fit")
    there = torch.from_numpy(np.unpackbits(mask.numpy(), count=size).astype(bool))
    if int(there.sum()) != len(values):
        raise ValueError(f"{name} is packed and has {len(values)} values for {int(there.sum())} places")
    whole = torch.zeros(size, dtype=values.dtype)
    whole[there] = values
    return whole.view(sizes)
