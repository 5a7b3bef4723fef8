"""A recall task: the target repeats an earlier patch, and a cue says which. Without attention it cannot be solved."""

from __future__ import annotations

import numpy as np

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel

BLOCK = 16
"""Steps of a block: a key (4), values (8), a cue (4)."""
KEYS = 4
"""Keys in use; every KEYS consecutive blocks hold each of them once."""


def recall(blocks: int, seed: int = 0, noise: float = 0.02) -> Panel:
    r"""One long series of blocks; the values of each repeat those of the marked one among the last four blocks.

    .. math:: v_{n+1} = v_m + \epsilon, \qquad m = \max\{i \le n : \mathrm{key}_i = \mathrm{cue}_n\}

    Keys go round in a fixed order, cues are uniform, and both are written as a spike at one of four steps. With
    probability 1/4 a block gets new values, so that the series does not run dry. Forecast it at origins that are
    multiples of `BLOCK` (step=BLOCK), horizon BLOCK, lookback 4 BLOCK, patch BLOCK: the cue is in the last patch, the
    key and values in an earlier one, and their product is what attention can form and any sum over tokens cannot.

    Args:
        blocks: blocks of the series.
        seed: of keys, values, cues and noise.
        noise: standard deviation of the noise on every step (values have standard deviation 1).
    """
    rng = np.random.default_rng(seed)
    cues = rng.integers(KEYS, size=blocks)
    fresh = rng.random(blocks) < 0.25
    new_values = rng.standard_normal((blocks, BLOCK // 2))
    series = np.zeros((blocks, BLOCK))
    for n in range(blocks):
        # The block that carries key c last: keys go round, so it is 1 to KEYS blocks back.
        back = (n - 1 - cues[n - 1]) % KEYS + 1
        series[n, 4:12] = new_values[n] if fresh[n] or n < KEYS else series[n - back, 4:12]
        series[n, n % KEYS] = 2.0
        series[n, 12 + cues[n]] = 2.0
    values = series.reshape(-1, 1) + noise * rng.standard_normal((blocks * BLOCK, 1))
    rows = len(values)
    time = np.arange(rows, dtype=np.int64)
    return Panel(values, np.array([0, rows]), time, ("recall",), ("y",), Frequency("step"), "recall")
