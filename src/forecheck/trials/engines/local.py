"""Trials in worker processes on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from forecheck.processes import run_jobs
from forecheck.trials.engines.base import Silent, Watcher, to_run
from forecheck.trials.ledger import Ledger
from forecheck.trials.trial import Trial


class _Trials:
    """Trials as jobs: a post-hoc trial waits for its fit."""

    def __init__(self, ledger: Ledger, watcher: Watcher) -> None:
        self._ledger = ledger
        self.progressed = watcher.progressed
        self._watcher = watcher

    def message(self, job: Trial) -> dict[str, Any]:
        return {"trial": job.to_dict(), "address": job.address}

    def label(self, job: Trial) -> str:
        return job.label

    def ready(self, job: Trial) -> bool:
        return job.parent is None or job.parent in self._ledger

    def finished(self, job: Trial, answer: Any) -> None:
        self._watcher.finished(job)


def run_local(
    trials: Iterable[Trial], ledger: Ledger, watcher: Watcher | None = None, workers: int | None = None
) -> None:
    """Run what is not in the ledger yet, a trial a worker at a time.

    Finished trials are in the ledger at once; on Ctrl-C or an error the workers are stopped and the rest is kept.

    Raises:
        TrialError: if a trial fails or a worker dies.
    """
    watcher = watcher or Silent()
    queue = to_run(trials, ledger, watcher)
    run_jobs(queue, _Trials(ledger, watcher), "forecheck.trials.engines.worker", [str(ledger.root)], workers)
