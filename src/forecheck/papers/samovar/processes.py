"""Stable vector autoregressions, one process a sample, with what the true coefficients forecast."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from forecheck.papers.in_context.theory.autoregressive import Autoregression, scaled_coefficients

RADIUS = (0.3, 0.95)
"""Of the companion matrix: drawn between these."""
NOISE = 0.05
"""Standard deviation of the innovations, as in the published set."""


def stable_samples(
    first: int, count: int, orders: tuple[int, ...], channels: int, steps: int
) -> tuple[Float[np.ndarray, "sample step channel"], Float[np.ndarray, "sample channel"]]:
    """Samples numbered from `first`, the orders in turn, and the oracle's forecast of each one's last step.

    Args:
        first: number of the first sample; numbers decide what is drawn.
        count: samples.
        orders: of the processes.
        channels: of a process.
        steps: of a sample, its target included.
    """
    index = np.arange(first, first + count)
    values, oracle = np.empty((count, steps, channels)), np.empty((count, channels))
    for turn, order in enumerate(orders):
        chosen = index % len(orders) == turn
        coefficients = scaled_coefficients(index[chosen], order, channels, RADIUS)
        noise = np.broadcast_to(NOISE**2 * np.eye(channels), (len(coefficients), channels, channels))
        process = Autoregression(coefficients, noise)
        values[chosen] = process.simulate(index[chosen], steps)
        oracle[chosen] = process.forecast(values[chosen, :-1], 1)[:, 0]
    return values, oracle
