"""Progress of many things as one share, for a function of the user's."""

from __future__ import annotations

from forecheck.progress import Progress
from forecheck.progress.bar import Labelled


class Called:
    """A watcher that calls a function with the share that is done of all that is known of, and what is being done.

    Args:
        progress: called with a share in [0, 1], which falls where more work becomes known, and a short text.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._total = self._finished = 0
        self._running: dict[int, float] = {}
        self._parts: dict[str, tuple[float, int]] = {}

    def planned(self, total: int, finished: int) -> None:
        """Count trials that are to be run."""
        self._total += total - finished

    def progressed(self, trial: Labelled, fraction: float, word: str) -> None:
        """A trial got so far.

        Args:
            trial: that is running.
            fraction: the share that is done, in [0, 1].
            word: on what is going on.
        """
        self._running[id(trial)] = fraction
        self._call(f"{trial.label}: {word}")

    def finished(self, trial: Labelled) -> None:
        """A trial is done."""
        self._running.pop(id(trial), None)
        self._finished += 1
        self._call(trial.label)

    def part(self, name: str, done: float, total: int) -> None:
        """Something that counts repetitions got so far.

        Args:
            name: of the work.
            done: repetitions so far.
            total: repetitions in all.
        """
        self._parts[name] = (done, total)
        self._call(name)

    def say(self, line: str) -> None:
        """A line that a person should know, with the share unchanged."""
        self._call(line)

    def _call(self, word: str) -> None:
        done = self._finished + sum(self._running.values()) + sum(done for done, _ in self._parts.values())
        total = self._total + sum(total for _, total in self._parts.values())
        self._progress(min(1.0, done / total) if total else 0.0, word)
