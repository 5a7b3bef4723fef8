"""Many tests at once: p-values adjusted over their family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Correction = Literal["holm", "fdr"]
Adjust = Callable[[Sequence[float]], list[float]]


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Holm's step-down adjusted p-values, in the order given.

    .. math:: \tilde p_{(k)} = \max_{j \le k} \min(1, (m - j + 1)\, p_{(j)})

    Source: Holm 1979, Scand. J. Statist. 6:65.
    """
    order = np.argsort(p_values)
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def false_discovery_rate(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values (1995, JRSS B 57:289), in the order given."""
    from scipy import stats  # half a second that most commands do not need

    return [float(p) for p in stats.false_discovery_control(p_values)] if len(p_values) else []


CORRECTIONS: dict[Correction, Adjust] = {"holm": holm, "fdr": false_discovery_rate}


def threshold(p_values: Sequence[float], index: int, level: float, adjust: Adjust) -> float:
    """Below which p-value one test of a family is rejected at `level`, the others' p-values being as they are.

    Args:
        p_values: of the family, not adjusted.
        index: of the test; its own p-value plays no part.
        level: of the family.
        adjust: gives adjusted p-values; must grow with each of them.
    """
    if len(p_values) == 1:
        return level
    low, high = 0.0, level  # an adjusted p-value is never below the p-value
    family = list(p_values)
    for _ in range(20):
        family[index] = (low + high) / 2
        if adjust(family)[index] < level:
            low = family[index]
        else:
            high = family[index]
    return low
