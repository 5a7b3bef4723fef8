"""Batches of windows by step, and what a forecaster's network is trained and judged by."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.errors import DataError
from forecheck.nn.seeding import derive


def batches_of(windows: Windows, batch: int, seed: int = 0) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Inputs and targets of a step; every window once before any comes again, in an order that the seed gives.

    One window that is left over joins the batch before it: statistics of a batch (BatchNorm) are not those of one.

    Args:
        windows: to train on.
        batch: windows a step, or all if there are fewer.
        seed: of the order.

    Raises:
        DataError: if there are none.
    """
    if not len(windows):
        raise DataError("there is no training window", "Give a shorter --lookback or --horizon.")
    steps = max(1, math.ceil((len(windows) - 1) / batch)) if batch > 1 else len(windows)

    def of_step(step: int) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(step, steps)
        generator = torch.Generator().manual_seed(derive(seed, f"order {epoch}") & 0xFFFFFFFF)
        order = torch.randperm(len(windows), generator=generator)
        end = None if place == steps - 1 else (place + 1) * batch
        return windows.gather(order[place * batch : end])

    return of_step
