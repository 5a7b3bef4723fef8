"""Which of two ways numbers are computed: by kernels made for a CPU, or by plain operations of torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_PLAINLY: ContextVar[bool] = ContextVar("plainly", default=False)


def recorded() -> bool:
    """Whether `torch.compile` or `torch.export` is recording the program.

    It then takes the plain operations: cuts by size and decisions by value would be those of the example.
    """
    return torch.compiler.is_compiling()


def fused(device: torch.device) -> bool:
    """Whether torch's fused attention is to be taken where no pattern is asked for: off the CPU, but in no record."""
    return plain(device) and not recorded()


def plain(device: torch.device) -> bool:
    """Whether to take plain operations: off the CPU, where kernels of torch are faster than ours, and in a record."""
    return device.type != "cpu" or _PLAINLY.get() or recorded()


@contextmanager
def plainly() -> Iterator[None]:
    """Compute on the CPU as on other devices while a `with` block lasts, so that what they do can be tested there."""
    token = _PLAINLY.set(True)
    try:
        yield
    finally:
        _PLAINLY.reset(token)
