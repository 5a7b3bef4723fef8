"""A known causal path: channel A drives B, and B drives C, each at one lag."""

from __future__ import annotations

import numpy as np

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.papers.in_context.theory.autoregressive import Autoregression

CHANNELS = ("A", "B", "C")
CAUSES = {"B": ("A", 2), "C": ("B", 1)}
"""Of every driven channel, what drives it and at which lag."""


def causal_path(strength: float = 0.9) -> Autoregression:
    r"""A chain of three channels of variance 1.

    .. math:: A_t = \epsilon_t, \qquad B_t = s A_{t-2} + \sqrt{1 - s^2} \, \eta_t, \qquad
        C_t = s B_{t-1} + \sqrt{1 - s^2} \, \zeta_t

    with independent standard normal innovations. All channels are white, so that no other lag of any channel says
    anything of a channel's next step once its cause is known, and C's own past says nothing of it at all.

    Args:
        strength: s, correlation of a driven channel with its cause, in (0, 1).
    """
    coefficients = np.zeros((1, 2, 3, 3))
    for channel, (cause, lag) in CAUSES.items():
        coefficients[0, lag - 1, CHANNELS.index(channel), CHANNELS.index(cause)] = strength
    rest = 1 - strength**2
    return Autoregression(coefficients, np.diag([1.0, rest, rest])[None])


def causal_panel(rows: int, seed: int = 0, strength: float = 0.9) -> Panel:
    """One path of the chain as a panel.

    Args:
        rows: steps.
        seed: of the path.
        strength: s, see `causal_path`.
    """
    values = causal_path(strength).simulate(np.arange(1), rows, seed)[0]
    time = np.arange(rows, dtype=np.int64)
    return Panel(values, np.array([0, rows]), time, ("path",), CHANNELS, Frequency("step"), "causal path")
