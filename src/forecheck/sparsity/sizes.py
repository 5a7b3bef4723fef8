"""What pruning gains: numbers, bytes on disk, and seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

_REPEATS = 15


def weights_of(model: nn.Module) -> dict[str, int]:
    """Parameters of a network, and how many are not zero; shared ones once.

    Args:
        model: the network.
    """
    parameters = list(model.parameters())
    return {
        "parameters": sum(each.numel() for each in parameters),
        "nonzero": sum(int(torch.count_nonzero(each)) for each in parameters),
    }


def bytes_of(tensors: Mapping[str, Tensor]) -> int:
    """Bytes that tensors take, without names.

    Args:
        tensors: by name.
    """
    return sum(each.numel() * each.element_size() for each in tensors.values())


def latencies(forecasts: Mapping[str, Callable[[Tensor], Tensor]], x: Tensor) -> dict[str, float]:
    """Median seconds of a forecast by name; they take turns, so that a busy moment falls on all.

    Args:
        forecasts: what is timed.
        x: windows.
    """
    seconds: dict[str, list[float]] = {name: [] for name in forecasts}
    for repeat in range(_REPEATS + 1):
        for name, forecast in forecasts.items():
            started = time.perf_counter()
            forecast(x)
            if repeat:  # the first is slower
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) for name, each in seconds.items()}
