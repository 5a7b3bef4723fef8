"""What pruning gains: numbers, bytes on disk, and seconds."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_FEWEST, _MOST, _SECONDS = 15, 61, 0.5
"""Turns, and how long they may take beyond the fewest."""
_LEVEL = 0.95


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


@dataclass(frozen=True)
class Timed:
    """Seconds of two forecasts that take turns, so that a busy moment falls on both.

    Attributes:
        before, after: median, with the 95 % interval of the median.
        ratio: of the two in one turn, before over after, likewise: how many times as fast it has become.
    """

    before: tuple[float, float, float]
    after: tuple[float, float, float]
    ratio: tuple[float, float, float]


def timed(before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor], x: Tensor) -> Timed:
    """How long two forecasts take.

    Args:
        before, after: what is timed.
        x: windows.
    """
    seconds: list[tuple[float, float]] = []
    started = time.perf_counter()
    while len(seconds) <= _FEWEST or (len(seconds) <= _MOST and time.perf_counter() - started < _SECONDS):
        turn = [_seconds(forecast, x) for forecast in (before, after)]
        seconds.append((turn[0], turn[1]))
    kept = seconds[1:]  # the first is slower
    return Timed(
        median([a for a, _ in kept]), median([b for _, b in kept]), median([a / max(b, 1e-9) for a, b in kept])
    )


def median(values: Sequence[float]) -> tuple[float, float, float]:
    r"""Median, and the two order statistics that hold it with at least 95 % if values are independent.

    .. math:: x_{(k)}, x_{(n + 1 - k)}, \qquad P(\mathrm{Bin}(n, 1/2) < k) \le 0.025

    Args:
        values: six or more.
    """
    count, below, k = len(values), 0.0, 0
    while (below := below + math.comb(count, k) / 2**count) <= (1 - _LEVEL) / 2:
        k += 1
    ordered = sorted(values)
    return statistics.median(values), ordered[max(k, 1) - 1], ordered[count - max(k, 1)]


def _seconds(forecast: Callable[[Tensor], Tensor], x: Tensor) -> float:
    started = time.perf_counter()
    forecast(x)
    return time.perf_counter() - started
