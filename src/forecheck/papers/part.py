"""One part of an experiment is run and saved."""

from __future__ import annotations

import time

from forecheck.errors import DataError
from forecheck.papers.experiment import Bench, Part, UntestableError
from forecheck.papers.results import put_part
from forecheck.progress import Progress
from forecheck.trials.store import Store


def run_part(paper: str, part: Part, store: Store, progress: Progress) -> str:
    """Run a part and store its numbers.

    Args:
        paper: its name.
        part: the experiment and the settings it is run with.
        store: of results: of this part, and of the trials that it runs.
        progress: called with the share that is done and a word.

    Returns:
        Why it cannot be run here, such as a set that cannot be read; empty if it was run.

    Raises:
        ValueError: if the experiment returns a number under the name of a setting.
    """
    started = time.perf_counter()
    try:
        measured = part.experiment.measure(Bench(store, progress), **part.settings)
    except (UntestableError, DataError) as error:
        return str(error)
    put_part(store, paper, part, measured, time.perf_counter() - started)
    return ""
