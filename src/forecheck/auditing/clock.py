"""The time an audit may take: what can still be afforded, by what was measured."""

from __future__ import annotations

import time
from collections.abc import Iterable

from forecheck.trials.store import Result

_RESERVE = 0.9
"""Of the time that is left, what may be planned: estimates err."""


class Clock:
    """Seconds since the start, against a limit.

    Args:
        limit: seconds; None for no limit.
        parallel: fits that run at once.
    """

    def __init__(self, limit: float | None, parallel: int = 1) -> None:
        self.limit = limit
        self.parallel = max(1, parallel)
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._started

    def affords(self, work: float) -> bool:
        """Whether so many seconds of work, shared by the processes, can still be done."""
        return self.limit is None or work / self.parallel <= _RESERVE * (self.limit - self.seconds)


def work_of(results: Iterable[Result]) -> float:
    """Seconds that the fits and their scoring took; results of older code that do not say it count as nothing."""
    total = 0.0
    for result in results:
        fit = result.summary.get("fit") or {}
        total += (fit.get("seconds") or 0.0) + 1.5 * (result.summary.get("scoring_seconds") or 0.0)
    return total
