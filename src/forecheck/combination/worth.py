"""What known columns are worth, as it is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Worth:
    """Mean absolute scaled errors at rolling origins, with known columns and without them.

    Attributes:
        used: whether the forecast is the one with them.
        why: in a sentence.
        without: MASE without them; None if there is no origin.
        with_them: MASE with them; None if they could not be tried.
        gain: by how much of the loss without them it is lower with them.
        interval: of the gain at 95 %; None where there is a single origin.
        lag: steps of the differences that the effects were fitted on.
        ridge: of the regression.
        constant: columns that never change in the history, which were set aside.
        collinear: columns that others give exactly; their effect is shared.
        leaking: columns that are the target itself, and by how many steps they are behind it.
    """

    used: bool
    why: str
    without: float | None = None
    with_them: float | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    lag: int | None = None
    ridge: float | None = None
    constant: tuple[str, ...] = ()
    collinear: tuple[str, ...] = ()
    leaking: Mapping[str, int] = field(default_factory=dict)
