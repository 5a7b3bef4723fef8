"""Trials in worker processes on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from forecheck.trials.engines.base import Silent, Watcher, to_run
from forecheck.trials.engines.pools import AnyPool, Workers, pool_on
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial


class _Trials:
    """Trials as jobs: a post-hoc trial waits for its fit."""

    def __init__(self, store: Store, watcher: Watcher) -> None:
        self._store = store
        self.progressed = watcher.progressed
        self._watcher = watcher

    def message(self, job: Trial) -> dict[str, Any]:
        return {"trial": job.to_dict(), "address": job.address}

    def label(self, job: Trial) -> str:
        return job.label

    def ready(self, job: Trial) -> bool:
        return job.parent is None or job.parent in self._store

    def finished(self, job: Trial, answer: Any) -> None:
        self._watcher.finished(job)


def run_local(
    trials: Iterable[Trial],
    store: Store,
    watcher: Watcher | None = None,
    workers: Workers = None,
    pool: AnyPool[Trial] | None = None,
) -> None:
    """Run what is not in the store yet, a trial a worker at a time.

    Finished trials are in the store at once; on Ctrl-C or an error the workers are stopped and the rest is saved.

    Args:
        trials: what to run.
        store: of results.
        watcher: receives the progress.
        workers: processes of this call, None for one a core.
        pool: workers that stay, see `trial_pool`; None for some of this call's own.

    Raises:
        TrialError: if a trial fails, or a worker dies with it twice.
    """
    watcher = watcher or Silent()
    queue, jobs = to_run(trials, store, watcher), _Trials(store, watcher)
    if pool is not None:
        pool.run(queue, jobs)
        return
    with trial_pool(store, workers) as own:
        own.run(queue, jobs)


def trial_pool(store: Store, workers: Workers = None) -> AnyPool[Trial]:
    """Workers that run trials of a store, see `forecheck.trials.engines.pools`; they start as they are needed."""
    return pool_on(store, "forecheck.trials.engines.worker", workers)
