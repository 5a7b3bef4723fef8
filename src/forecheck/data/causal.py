"""What was known when: filled values replaced by what came before them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from forecheck.data.fill import carry_forward
from forecheck.data.panel import Panel


def causal(panel: Panel) -> Float[np.ndarray, "time channel"]:
    r"""The panel's values with filled ones replaced by a function of earlier rows of their series alone.

    .. math:: \tilde x_t = \begin{cases} x_t & \text{observed} \\ \tilde x_{t-P} & \text{filled by season, if known} \\
              \tilde x_{t-1} & \text{else} \end{cases}

    A straight line to the next observation, or the next season's value, tells a window its own target. So inputs see
    the last value, or for `fill="seasonal"` that of the period P before; training inputs too, since a model must be
    trained on what it will be given.

    Returns:
        In the units of the panel; NaN in the rows of a series before a channel's first observation. The panel's own
        array where nothing was filled.
    """
    if panel.filled is None:
        return panel.values
    values = np.where(panel.filled, np.nan, panel.values)
    period = panel.frequency.period if panel.fill == "seasonal" else 1
    for channel in np.flatnonzero(panel.filled.any(axis=0)):
        for start, end in zip(panel.offsets[:-1], panel.offsets[1:], strict=True):
            part = values[start:end, channel]  # a view
            for phase in range(min(period, len(part))):
                carry_forward(part[phase::period])
            carry_forward(part)
    return values
