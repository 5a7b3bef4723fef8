"""Where errors lie and how far they spread, by mean and standard deviation or by medians."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from forecheck.errors import UsageError

Method = Literal["robust", "standardised"]
METHODS: tuple[Method, ...] = ("robust", "standardised")
LEAST = 1e-6
"""The least scale: standardised values in float32 are no finer."""
_NORMAL = 1.4826  # of a median absolute deviation, and
_SHARE = 0.25
_NORMAL_MEAN = 1.2533  # of a mean one, so that both are standard deviations of normal errors


def find_method(name: str) -> Method:
    """A method by name.

    Raises:
        UsageError: if there is none.
    """
    for each in METHODS:
        if each == name:
            return each
    raise UsageError(f"there are no {name!r} scores", f"Known: {', '.join(METHODS)}.")


def spread(errors: Float[np.ndarray, " _"], method: Method) -> tuple[float, float]:
    r"""Centre and scale.

    .. math:: m = \mathrm{med}(e), \qquad s = 1.4826 \, \mathrm{med} |e - m|

    or mean and standard deviation. The scale is no less than a quarter of what the mean absolute deviation gives: where
    most errors are alike (a rate that is held fixed for years) the median one says nothing of the others.

    Args:
        errors: at least one, none missing.
        method: `robust` or `standardised`.

    Source: Rousseeuw & Croux, *Alternatives to the median absolute deviation*, JASA 1993.
    """
    if method == "standardised":
        return float(errors.mean()), max(float(errors.std()), LEAST)
    centre = float(np.median(errors))
    distance = np.abs(errors - centre)
    scale = max(_NORMAL * float(np.median(distance)), _SHARE * _NORMAL_MEAN * float(distance.mean()))
    return centre, max(scale, LEAST)
