"""`forecheck.calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from forecheck.calibration.result import Calibration
from forecheck.calibration.run import run_calibration
from forecheck.trials.engines.pools import Workers
from forecheck.verbs.common import Shown, means_of


def calibrate(
    budget: str = "quick",
    *,
    only: Sequence[str] = (),
    workers: Workers = None,
    store: Path | str | None = None,
    progress: Shown = False,
) -> Calibration:
    """Put the audit to data on which the right answer is known: can its verdicts be trusted?

    Args:
        budget: quick (minutes) or full (the better part of an hour): how many repetitions.
        only: names of parts; all if empty.
        workers: processes, None for one a core, 0 for none; or a Ray cluster, `forecheck.Ray("auto")`.
        store: folder of results; None for the user's cache.
        progress: True for a bar, or a function that is called with the share that is done and a word.

    Returns:
        What was found: `.passed`, `.parts`, `.to_json(path)`, `.to_markdown(path)`.

    Raises:
        UsageError: if there is no such budget or part.
        TrialError: if a trial fails; finished ones are saved.
    """
    with means_of(workers, store, progress) as means:
        return run_calibration(budget, means, only=only)
