"""The event toy set: a known carrier, triangles whose heights follow a state law, and noise; its optimum is known."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.data.panel import Panel
from forecheck.data.synthetic.blocks import panel_of_blocks

LOOKBACK, HORIZON = 336, 96
BLOCK = LOOKBACK + HORIZON
STATES = np.array([1.0, -1.0, 0.02, 2.0, 1.02])
TRANSITIONS = np.array(
    [[0.1, 0.9, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]], dtype=float
)
"""From state to state: 1 goes to -1 or stays, then by way of 0.02 and 2 to 1.02, which looks like 1, and back."""
EVERY, AMPLITUDE, NOISE, CARRIER = 80, 0.5, 0.025, 100
TRIANGLE = np.concatenate([np.linspace(0, 1, 5), np.linspace(1, 0, 5)])
MARGIN = 80
"""Steps that are built before and after a window and cut off again."""
EVENTS = -(-(BLOCK + 2 * MARGIN) // EVERY) + 1
"""Events that are drawn a window; the last may begin after its end."""

OPTIMUM = 0.00109
LAST_EVENT = 0.00285
AVERAGE_EVENT = 0.01009
NO_EVENT = 0.01831
"""Mean squared errors a target step of forecasters that know the carrier and where events are: one that knows the
states, one that sees the last event's height only, one that always forecasts the average event, one that forecasts
none (20000 windows simulated)."""


def event_states(index: Int[np.ndarray, " window"], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """State numbers and first steps of the events of windows, and their noise, each window from its own stream.

    Returns:
        States (window, event), starts (window, event) counted from the window's first step, and standard normal noise
        (window, step).
    """
    draws = [np.random.default_rng((seed, int(i))) for i in index]
    offset = (index + np.array([rng.integers(0, EVERY + 1) for rng in draws])) % EVERY
    uniform = np.stack([rng.random(EVENTS + 3) for rng in draws])
    noise = np.stack([rng.standard_normal(BLOCK) for rng in draws])
    # 1 with probability 0.1, else one of 1, -1, 0.02 and 2 alike; one transition is not used.
    state = np.where(uniform[:, 0] < 0.1, 0, (4 * uniform[:, 1]).astype(int))
    chain = []
    for step in range(EVENTS + 1):
        state = (np.cumsum(TRANSITIONS, axis=1)[state] < uniform[:, 2 + step, None]).sum(axis=1)
        chain.append(state)
    starts = offset[:, None] + EVERY * np.arange(EVENTS) - MARGIN
    return np.stack(chain[1:], axis=1), starts, noise


def event_windows(index: Int[np.ndarray, " window"], seed: int = 0) -> Float[np.ndarray, "window step"]:
    r"""Windows of lookback and target, side by side.

    .. math:: x(t) = \sin(2 \pi t / 100) + 0.5 \sum_k s_k \Delta(t - t_k) + \epsilon, \qquad
        \epsilon \sim N(0, 0.025^2)

    Window `i` begins at t = i (plus what is cut off); its events lie 80 steps apart at a random phase.
    """
    states, starts, noise = event_states(index, seed)
    values = NOISE * noise
    values += np.sin(2 * np.pi * (index[:, None] + MARGIN + np.arange(BLOCK)) / CARRIER)
    rows = np.arange(len(index))[:, None]
    for event in range(EVENTS):
        steps = starts[:, event, None] + np.arange(len(TRIANGLE))
        heights = AMPLITUDE * STATES[states[:, event], None] * TRIANGLE
        inside = (steps >= 0) & (steps < BLOCK)
        np.add.at(values, (np.broadcast_to(rows, steps.shape)[inside], steps[inside]), heights[inside])
    return values


def events(windows: int, seed: int = 0) -> Panel:
    """Independent windows of the event set, in one series; forecast it at 336 to 96 with step `BLOCK`.

    Args:
        windows: windows in all; the standard split is 70 % training, 10 % validation, 20 % test.
        seed: of the streams of all windows.

    Source: the toy set of arXiv 2509.20942 as released (`Dataset_Patch_dependent`, pattern 1), which draws every
    sample anew and without a seed; here sample i is always the same.
    """
    blocks = event_windows(np.arange(windows + 1), seed)  # the first only leads in
    return panel_of_blocks(blocks[:, :, None], HORIZON, "events", ("x",))
