"""One long series of independent blocks, a window each."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel


def panel_of_blocks(
    blocks: Float[np.ndarray, "block step channel"], horizon: int, name: str, channels: tuple[str, ...]
) -> Panel:
    """A panel whose windows at step = length of a block are the blocks but the first: none straddles two.

    Forecast origins are multiples of the step, so the series begins with the last `horizon` steps of the first block
    and every other block ends `horizon` steps after a multiple. The standard split puts 70 % of the blocks into
    training and 20 % into the test part; the parts share no row, not even as input.

    Args:
        blocks: lookback and target of every window, side by side.
        horizon: H; the lookback is the rest of the block.
        name: of the panel.
        channels: names of the channels.
    """
    count, length, _ = blocks.shape
    values = blocks.reshape(count * length, -1)[length - horizon :]
    rows = len(values)
    train, test = int(0.7 * (count - 1)), int(0.2 * (count - 1))
    split = f"{horizon + train * length}+{(count - 1 - train - test) * length}+{test * length}"
    time = np.arange(rows, dtype=np.int64)
    return Panel(values, np.array([0, rows]), time, (name,), channels, Frequency("step"), name, split)
