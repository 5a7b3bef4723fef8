"""The engine of all verbs: worker processes for what is trained, this process for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster
from forecheck.peers.find import is_peer, kind_of
from forecheck.trials.engines.base import Announced, Silent, Watcher, to_run
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.engines.local import run_local, trial_pool
from forecheck.trials.engines.pools import AnyPool, Workers, parallel
from forecheck.trials.store import Store
from forecheck.trials.trial import EXTERNAL, Trial


class Engine:
    """Runs trials in worker processes, or in this process; the processes stay until it is closed, which `with` does.

    Args:
        workers: processes; None for one a core, 0 for this process (nothing is started, good for small runs); or a Ray
            cluster.
        watcher: receives the progress.
        models: by fingerprint, models that were trained elsewhere; they are run in this process.
    """

    def __init__(
        self, workers: Workers = None, watcher: Watcher | None = None, models: Mapping[str, Forecaster] | None = None
    ) -> None:
        self.workers = workers
        self.watcher = watcher
        self.models = models or {}
        self._pools: dict[Path, AnyPool[Trial]] = {}

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools.values():
            pool.close()

    @property
    def parallel(self) -> int:
        """Trials that are run at once."""
        return parallel(self.workers)

    def __call__(self, trials: list[Trial], store: Store) -> None:
        """Run what is not in the store yet."""
        watcher = self.watcher or Silent()
        left = to_run(trials, store, watcher)
        # Closed forms take less time than starting a process, and a given model lives here only.
        slow = [trial for trial in left if self.workers != 0 and _in_a_worker(trial)]
        run_inline([trial for trial in left if trial not in slow], store, Announced(watcher), self.models)
        if slow:
            if store.root not in self._pools:
                self._pools[store.root] = trial_pool(store, self.workers)
            run_local(slow, store, Announced(watcher), pool=self._pools[store.root])


def _in_a_worker(trial: Trial) -> bool:
    name = trial.forecaster
    return name != EXTERNAL and (kind_of(name) if is_peer(name) else registry.find(name)).trained
