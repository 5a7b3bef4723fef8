"""Cutting work along its first dimension, so that what is computed last is still in cache when it is read next.

Training a small Transformer on a CPU waits for memory more than for arithmetic: computing a pattern or a hidden layer
a second time on the way back is faster than writing it out and reading it in again.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

# Of a buffer, a thread: two or three of them fit the second-level cache of a core.
_BYTES = 2**19


def chunks(rows: int, numbers: int, device: torch.device) -> Iterator[slice]:
    """Slices of `rows` rows of so many float32 numbers; one slice where there is nothing to gain (not a CPU)."""
    size = max(1, _BYTES * torch.get_num_threads() // (4 * numbers)) if device.type == "cpu" else max(1, rows)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))
