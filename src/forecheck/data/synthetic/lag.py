"""Channels that follow one another with a lag; who leads changes, and only the recent past tells."""

from __future__ import annotations

import numpy as np

from forecheck.data.panel import Panel
from forecheck.data.synthetic.blocks import panel_of_blocks

HORIZON = 8
"""Steps that a follower repeats before the forecast, and steps that it repeats after it."""
LOOKBACK = 3 * HORIZON
BLOCK = LOOKBACK + HORIZON


def lag(windows: int, seed: int = 0, channels: int = 6, noise: float = 0.1) -> Panel:
    r"""Windows in which every channel first goes its own way and then repeats another channel, 2 H steps late.

    .. math:: x_c(t + 2H) = x_{m(c)}(t) + \epsilon, \qquad t = 1 \dots 2H

    The leader m(c) is drawn anew in every window among the other channels. Its first H steps are repeated before the
    forecast, so that it can be recognised, and its next H steps are what is to be forecast. Any fixed sum over
    channels explains 1/(C - 1) of the variance at most, as all leaders are equally likely; a match of recent with
    earlier patterns, channel by channel, is a product of inputs and what attention between channels can form.

    Forecast it with lookback `LOOKBACK`, horizon `HORIZON`, step `BLOCK`; the windows are independent samples.

    Args:
        windows: windows in all.
        seed: of patterns, leaders and noise.
        channels: C, at least 2.
        noise: standard deviation of the noise on every step (each pattern has mean 0 and variance 1).
    """
    rng = np.random.default_rng(seed)
    count = windows + 1  # the first block only leads in
    patterns = rng.standard_normal((count, 2, HORIZON, channels))
    patterns -= patterns.mean(axis=2, keepdims=True)
    patterns /= patterns.std(axis=2, keepdims=True)
    others = (np.arange(channels) + rng.integers(1, channels, size=(count, channels))) % channels
    repeated = np.take_along_axis(patterns, others[:, None, None], axis=3)
    blocks = np.concatenate([patterns, repeated], axis=1).reshape(count, BLOCK, channels)
    blocks += noise * rng.standard_normal(blocks.shape)
    return panel_of_blocks(blocks, HORIZON, "lag", tuple(f"c{c}" for c in range(channels)))
