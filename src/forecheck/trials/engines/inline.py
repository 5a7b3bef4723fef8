"""The simplest engine: one trial after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from forecheck.errors import NO_MEMORY, TrialError, lacks_memory
from forecheck.forecasters.base import Forecaster
from forecheck.trials.engines.base import Silent, Watcher, to_run
from forecheck.trials.run import run_trial
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial


def run_inline(
    trials: Iterable[Trial],
    store: Store,
    watcher: Watcher | None = None,
    models: Mapping[str, Forecaster] | None = None,
) -> None:
    """Run what is not in the store yet; `models` were trained elsewhere, by fingerprint.

    Args:
        trials: that are asked for; fits that they need are run too.
        store: where results are saved.
        watcher: receives the progress.
        models: trained elsewhere, by fingerprint.

    Raises:
        TrialError: if a trial fails.
        ForecheckError: if a trial cannot be run as described.
    """
    watcher = watcher or Silent()
    for trial in to_run(trials, store, watcher):
        try:
            run_trial(trial, store, partial(watcher.progressed, trial), models)
        except (FloatingPointError, RuntimeError, MemoryError) as error:
            raise TrialError(f"{trial.label}: {NO_MEMORY if lacks_memory(error) else error}") from error
        watcher.finished(trial)
