"""What engines share: which trials are left, in which order, and how progress is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from forecheck.trials.store import Store
from forecheck.trials.trial import Trial


@runtime_checkable
class Watcher(Protocol):
    """Receives what happens; a progress bar, or nothing."""

    def planned(self, total: int, finished: int) -> None:
        """So many trials more, of which so many were in the store already; may be called again."""

    def progressed(self, trial: Trial, fraction: float, word: str) -> None:
        """A running trial got so far.

        Args:
            trial: that is running.
            fraction: the share that is done, in [0, 1].
            word: on what is going on.
        """

    def finished(self, trial: Trial) -> None:
        """A trial is in the store now."""

    def part(self, name: str, done: float, total: int) -> None:
        """Something that is no trial and counts repetitions of its own got so far.

        Args:
            name: of the work.
            done: repetitions so far.
            total: repetitions in all.
        """

    def say(self, line: str) -> None:
        """Something that a person should know before it is over."""


class Silent:
    """Watches and says nothing."""

    def part(self, name: str, done: float, total: int) -> None:
        """Ignore it."""

    def planned(self, total: int, finished: int) -> None:
        """Ignore it."""

    def progressed(self, trial: Trial, fraction: float, word: str) -> None:
        """Ignore it."""

    def finished(self, trial: Trial) -> None:
        """Ignore it."""

    def say(self, line: str) -> None:
        """Ignore it."""


Run = Callable[[list[Trial], Store], None]
"""An engine: runs the trials that are not in the store yet."""


class Announced:
    """Hands on what happens, but not what is planned: for trials that were announced as part of a larger plan."""

    def __init__(self, watcher: Watcher) -> None:
        self.progressed = watcher.progressed
        self.finished = watcher.finished
        self.part = watcher.part
        self.say = watcher.say

    def planned(self, total: int, finished: int) -> None:
        """Ignore it."""


def to_run(trials: Iterable[Trial], store: Store, watcher: Watcher) -> list[Trial]:
    """Trials that are not in the store, fits before the post-hoc trials that need them, each once.

    Args:
        trials: that are asked for.
        store: of results.
        watcher: hears how many trials there are and how many are finished.
    """
    wanted: dict[str, Trial] = {}
    for trial in trials:
        if trial.parent is not None:
            wanted.setdefault(trial.parent.address, trial.parent)
        wanted.setdefault(trial.address, trial)
    left = [trial for trial in wanted.values() if store.get(trial) is None]
    watcher.planned(len(wanted), len(wanted) - len(left))
    return sorted(left, key=lambda trial: trial.parent is not None)
