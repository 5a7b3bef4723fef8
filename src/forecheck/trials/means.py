"""With what trials are run: one record that is handed down from the options to the last function."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from forecheck.trials.engines.base import Run, Silent, Watcher
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial


@dataclass(frozen=True)
class Means:
    """A store, an engine, a device, and a watcher of progress.

    Attributes:
        store: where results are stored.
        run: engine; runs the trials that are not in the store yet.
        parallel: trials that it runs at once, to estimate time by.
        watcher: receives the progress, and what a person should know before it is over.
        device: where networks are trained and edited.
    """

    store: Store
    run: Run = run_inline
    parallel: int = 1
    watcher: Watcher = field(default_factory=Silent)
    device: str = "cpu"

    def __call__(self, trials: Iterable[Trial]) -> None:
        """Run what is not in the store yet.

        Raises:
            TrialError: if a trial fails; finished ones are saved.
        """
        self.run(list(trials), self.store)
