"""What a forecast costs in floating-point operations: the same on every machine, unlike seconds."""

from __future__ import annotations

import torch

from forecheck.forecasters.base import Forecaster

USUAL_WORK = 1.2e7
"""Operations a window of PatchTST's ETT settings, 336 to 96, 7 channels."""


def work_a_window(forecaster: Forecaster) -> float:
    """Floating-point operations of one forecast of one window.

    Args:
        forecaster: trained or not; what it does outside of PyTorch is not counted.
    """
    from torch.utils.flop_counter import FlopCounterMode

    task = forecaster.task
    with FlopCounterMode(display=False) as counter:
        forecaster.predict(torch.zeros(2, task.lookback, task.channels))
    return max(1.0, counter.get_total_flops() / 2)
