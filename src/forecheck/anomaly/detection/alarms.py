"""Alarms as segments, by a rule that never waits for later rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from forecheck.errors import UsageError
from forecheck.trials.protocol import whole


@dataclass(frozen=True)
class Rule:
    """How rows over the threshold become alarms.

    Attributes:
        merge: rows below the threshold that do not end a segment.
        least: rows from the first one over the threshold on that a segment needs before it raises an alarm.

    Raises:
        UsageError: if a number lies outside its range.
    """

    merge: int = 0
    least: int = 1

    def __post_init__(self) -> None:
        for name, lowest in (("merge", 0), ("least", 1)):
            object.__setattr__(self, name, whole(name, getattr(self, name)))
            if getattr(self, name) < lowest:
                raise UsageError(f"--{name} is a number of rows, at least {lowest}, got {getattr(self, name)}")


def segmented(
    over: Bool[np.ndarray, " time"], rule: Rule
) -> tuple[Bool[np.ndarray, " time"], Int[np.ndarray, " time"]]:
    """Alarms, and of every alarm the row of the first alarm of its segment; -1 for rows without.

    A row over the threshold belongs to the segment before it if at most `merge` rows lie between. It raises an alarm
    if it is at least the `least`-th row of its segment. Both are known when the row is, so that it does not matter in
    which pieces rows come.

    Args:
        over: whether a row of one series is over the threshold.
        rule: of merging and least length.
    """
    alarm, first = np.zeros(len(over), dtype=bool), np.full(len(over), -1)
    rows = np.flatnonzero(over)
    if not len(rows):
        return alarm, first
    opens = np.concatenate([[True], np.diff(rows) > rule.merge + 1])
    begun = rows[np.maximum.accumulate(np.where(opens, np.arange(len(rows)), 0))]
    kept = rows - begun + 1 >= rule.least
    raised, segment = rows[kept], begun[kept]
    alarm[raised] = True
    _, start, place = np.unique(segment, return_index=True, return_inverse=True)
    first[raised] = raised[start][place]
    return alarm, first
