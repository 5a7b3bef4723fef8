"""Looks at the data while seeds are added: the level of every look, so that stopping early keeps the error."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from forecheck.errors import UsageError

_FIRST = 0.5


def spend(looks: Sequence[int], alpha: float = 0.05) -> tuple[float, ...]:
    r"""The level of every look: half of alpha for the first, the rest in equal parts.

    .. math:: \alpha_1 = \alpha / 2, \qquad \alpha_k = \frac{\alpha}{2 (K - 1)}, \qquad \sum_k \alpha_k = \alpha

    At every look the same test windows come back with more seeds, so what is added is not independent of what was
    there. Levels that sum to alpha keep the error under any dependence (Bonferroni): the intervals of all looks, at
    level 1 - alpha_k each, cover the truth together with probability 1 - alpha, whatever stopping rule uses them. The
    first look has the most, because most questions that can be decided are decided there.

    Were the variances known, the covariance of two looks would be the variance of the later one, and levels that sum
    to 0.070 would do for looks at 3, 5, 8, 12 and 20 seeds. They are estimated, at first from three seeds, which uses
    up that slack: with such levels a true zero is rejected in up to 7.4 % where the seeds' spread prevails.

    Args:
        looks: numbers of seeds at which the question is judged, declared before the first, rising.
        alpha: of the whole procedure.

    Returns:
        The alpha to judge with (`compare`), a look each.

    Raises:
        UsageError: if there are no looks, they do not rise, or alpha is no level.

    Source: Jennison & Turnbull 1989, JRSS B 51:305 (repeated confidence intervals).
    """
    if not looks or looks[0] < 1 or any(later <= earlier for earlier, later in pairwise(looks)):
        raise UsageError(
            f"looks are rising numbers of seeds, got {', '.join(map(str, looks)) or 'none'}",
            "Declare them beforehand, such as 3, 5, 8.",
        )
    if not 0 < alpha < 1:
        raise UsageError(f"the level must lie between 0 and 1, got {alpha:g}", "Use a level such as 0.05.")
    if len(looks) == 1:
        return (alpha,)
    later = (1 - _FIRST) * alpha / (len(looks) - 1)
    return (_FIRST * alpha, *[later] * (len(looks) - 1))
