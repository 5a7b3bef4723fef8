"""One part of an experiment is run and kept."""

from __future__ import annotations

import time

from forecheck.errors import DataError
from forecheck.papers.experiment import Bench, Part, UntestableError
from forecheck.papers.journal import Journal
from forecheck.progress import Progress
from forecheck.trials.ledger import Ledger


def run_part(paper: str, part: Part, ledger: Ledger, told: Progress) -> str:
    """Run a part and keep its numbers.

    Returns:
        Why it cannot be run here, such as a set that cannot be read; empty if it was run.
    """
    started = time.perf_counter()
    try:
        measured = part.experiment.measure(Bench(ledger, told), **part.settings)
    except (UntestableError, DataError) as error:
        return str(error)
    Journal(ledger).put(paper, part, measured, time.perf_counter() - started)
    return ""
