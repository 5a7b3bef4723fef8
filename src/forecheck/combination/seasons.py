"""Which seasons a step of time has: the day and the week of hours, the year of months."""

from __future__ import annotations

from collections.abc import Sequence

from forecheck.data.frequency import Frequency

_DAY = 86_400_000_000
"""Microseconds."""
_LONGER = {7: 364, 5: 260}
"""The year of days and of weekdays, in whole weeks."""


def known_seasons(frequency: Frequency, period: int | None = None) -> tuple[int, ...]:
    """Steps of the seasons of a frequency, the shortest first; empty if there is none.

    Args:
        frequency: the step of the data.
        period: steps of the shortest season where somebody said it; longer ones that are multiples of it are kept.
    """
    natural = frequency.period
    if frequency.unit == "us" and frequency.count < _DAY and _DAY % frequency.count == 0:
        day = _DAY // frequency.count
        found: tuple[int, ...] = (day, 7 * day)
    else:
        calendar = frequency.unit in ("us", "weekday") and natural in _LONGER
        found = (natural, _LONGER[natural]) if calendar else (natural,)
    if period is not None:
        found = (period, *(season for season in found if season > period > 1 and season % period == 0))
    return tuple(season for season in found if season > 1)


def seasons_within(seasons: Sequence[int], longest: int) -> tuple[int, ...]:
    """Those of which the longest series has two and a step.

    Args:
        seasons: steps, the shortest first.
        longest: values of the longest series.
    """
    return tuple(season for season in seasons if 2 * season < longest)
