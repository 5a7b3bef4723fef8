"""Cutting work along its first dimension, so that what is computed last is still in cache when it is read next.

Training a small Transformer on a CPU waits for memory more than for arithmetic: computing a pattern or a hidden layer
a second time on the way back is faster than writing it out and reading it in again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

# Of a buffer, a thread: two or three of them fit the second-level cache of a core.
_BYTES = 2**19


def chunk(numbers: int, device: torch.device) -> int:
    """How many rows of so many float32 numbers to take at once; all where there is nothing to gain (not a CPU)."""
    return max(1, _BYTES * torch.get_num_threads() // (4 * numbers)) if device.type == "cpu" else sys.maxsize


def pieces(size: int, first: Tensor, *others: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """`size` rows of all tensors at a time, as views; None stays None."""
    parts = first.split(size)  # type: ignore[no-untyped-call]
    others_ = ([None] * len(parts) if x is None else x.split(size) for x in others)  # type: ignore[no-untyped-call]
    return zip(parts, *others_, strict=True)
