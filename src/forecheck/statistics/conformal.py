"""Split-conformal forecast intervals, one width a horizon step and channel."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from forecheck.errors import DataError


def conformal_width(
    residuals: Float[np.ndarray, "window horizon channel"], level: float
) -> Float[np.ndarray, "horizon channel"]:
    r"""Half-width that covers a new absolute residual with probability at least `level`.

    .. math:: q_h = |e|_{(\lceil (n + 1) \, level \rceil)}

    the order statistic over the n calibration windows of step h. Exact for exchangeable residuals; neighbouring
    windows are not, so the coverage is approximate and best judged by a backtest.

    Args:
        residuals: calibration residuals on windows that fitting never saw; any unit.
        level: coverage in (0, 1).

    Raises:
        ValueError: if the level is not in (0, 1).
        DataError: if there are too few windows for the level.

    Source: Vovk et al. 2005; Lei et al. 2018, JASA, section 2.2.
    """
    rank = conformal_rank(len(residuals), level)
    return np.partition(np.abs(residuals), rank - 1, axis=0)[rank - 1]


def conformal_rank(count: int, level: float) -> int:
    r"""Which of n absolute residuals, the smallest first, is the half-width: :math:`\lceil (n + 1) \, level \rceil`.

    Raises:
        ValueError, DataError: as `conformal_width`.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    rank = math.ceil(round((count + 1) * level, 9))
    if rank > count:
        needed = math.ceil(level / (1 - level))
        raise DataError(
            f"a {100 * level:g} % interval needs at least {needed} calibration windows, but there are {count}",
            "Give a lower level, a shorter horizon, or more data.",
        )
    return rank
