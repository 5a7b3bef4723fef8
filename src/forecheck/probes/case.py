"""What a measure is given, and the windows that it looks at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecheck.attention.sites import Site, Subject
from forecheck.data.windows import Experiment, Windows
from forecheck.forecasters.base import Forecaster

Measured = tuple[dict[str, Any], dict[str, np.ndarray[Any, np.dtype[Any]]]]
"""A summary of JSON types, and arrays."""

WINDOWS = 256
"""Windows that a measure looks at, at most."""
# Series (windows times channels) at most, so that a panel of hundreds of channels costs no more than a narrow one.
_SERIES = 4096
# Numbers in the patterns of one batch, at most.
_PATTERN_NUMBERS = 16_000_000


@dataclass(frozen=True, eq=False)
class Case:
    """A trained model and its data.

    Attributes:
        subject: the model for white-box measures; its module is None for a plain function.
        forecaster: the same model as a forecaster.
        experiment: training, validation and test windows, standardised by the training rows.
        seed: of everything that a measure draws.
    """

    subject: Subject
    forecaster: Forecaster
    experiment: Experiment
    seed: int = 0


def spread(windows: Windows, most: int = WINDOWS) -> Int[Tensor, " window"]:
    """Indices of windows evenly spread over a part: `most` of them, fewer on wide panels (but 16 if there are)."""
    most = min(most, max(16, _SERIES * most // WINDOWS // windows.channels))
    count = min(len(windows), most)
    return torch.unique(torch.linspace(0, len(windows) - 1, count, dtype=torch.float64).round().long())


def batches(
    windows: Windows, index: Int[Tensor, " window"], size: int = 64
) -> Iterator[tuple[Float[Tensor, "batch lookback channel"], Float[Tensor, "batch horizon channel"]]]:
    """Inputs and targets of the windows at `index`, `size` at a time.

    Args:
        windows: of a part of the data.
        index: which of them, by their place.
        size: windows a batch, at most.
    """
    for part in torch.split(index, size):
        yield windows.gather(part)


def batch_of(sites: list[Site], channels: int, kept: int = 1) -> int:
    """Windows a batch, so that `kept` patterns of every channel fit in memory at once.

    Args:
        sites: whose patterns are held.
        channels: of the data; each may be a batch entry of its own.
        kept: patterns of each channel that are held at once.
    """
    largest = max(site.heads * site.queries * site.keys for site in sites)
    return max(1, min(64, _PATTERN_NUMBERS // (largest * channels * kept)))


def observed_mean(values: Tensor, dim: tuple[int, ...] | None = None) -> Tensor:
    """Mean over all errors that are not NaN: those against targets that were observed."""
    return values.nanmean(dim) if bool(torch.isnan(values).any()) else values.mean(dim)


def number(value: float | Tensor | np.floating[Any]) -> float | None:
    """A number for JSON, which knows no NaN or infinity: those are None."""
    value = float(value)
    return value if math.isfinite(value) else None


def numbers(values: Tensor | np.ndarray[Any, np.dtype[Any]]) -> list[float | None]:
    """A vector as `number`s."""
    return [number(value) for value in values]
