"""Progress on standard error: one bar, with what is being done and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from forecheck.durations import duration
from forecheck.errors import printable
from forecheck.progress.pace import Pace

_BETWEEN_LINES = 10.0


@runtime_checkable
class Labelled(Protocol):
    """Work that a person has a name for."""

    @property
    def label(self) -> str:
        """The name of the trial, as the bar shows it."""


class Bar:
    """A watcher that draws; a context manager.

    The bar is that of the trials while any is left, else that of what counts repetitions (see `part`). Where standard
    error is no terminal, the same stands on a line every ten seconds at most.

    Args:
        quiet: say nothing at all.
        clock: seconds of a clock that is never set back.
    """

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._clock = clock
        self._live = self._console.is_terminal and not quiet
        self._log: Callable[..., None] | None = getattr(sys.stderr, "event", None)  # see `forecheck.cli.logs`
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._bar = self._progress.add_task("", total=None, visible=False)
        self._trials = Pace(clock)
        self._running: dict[int, tuple[Labelled, float, str]] = {}  # trials cannot be hashed
        self._finished = 0
        self._parts: dict[str, tuple[float, int]] = {}
        self._counted = Pace(clock)
        self._printed = clock()

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if not self._quiet:
            self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def planned(self, total: int, finished: int) -> None:
        """Add trials that are to be run; those in the store are mentioned once and not counted."""
        if finished and not self._trials.total and self._log is None:
            self.say(f"{finished} of {total} trials are in the store already")
        self._trials.grow(total - finished)
        if self._log is not None:
            self._log("planned", trials=total, finished=finished)
        self._show()

    def progressed(self, trial: Labelled, fraction: float, word: str) -> None:
        """A trial got so far.

        Args:
            trial: that is running.
            fraction: the share that is done, in [0, 1].
            word: on what is going on.
        """
        self._running[id(trial)] = (trial, fraction, word)
        self._show()

    def finished(self, trial: Labelled) -> None:
        """A trial is done."""
        self._running.pop(id(trial), None)
        self._finished += 1
        if self._log is not None:
            self._log("trial", trial=trial.label)
        self._show()

    def part(self, name: str, done: float, total: int) -> None:
        """Something that counts repetitions got so far; what is finished stays in the count while other parts go on.

        Args:
            name: of the work.
            done: repetitions so far.
            total: repetitions in all.
        """
        if not self._counted.left:
            self._parts, self._counted = {}, Pace(self._clock)
        if name not in self._parts:
            self._counted.grow(total, done)
        self._parts[name] = (done, total)
        self._counted.reach(sum(each for each, _ in self._parts.values()))
        self._show()

    def _show(self) -> None:
        self._trials.reach(self._finished + sum(fraction for _, fraction, _ in self._running.values()))
        if self._live:
            done, total, text = self._state()
            self._progress.update(
                self._bar, completed=done, total=total, description=printable(text), visible=bool(total)
            )
        elif not self._quiet and self._clock() - self._printed >= _BETWEEN_LINES:
            self._printed = self._clock()
            done, total, text = self._state()
            if self._log is None:
                self.say(text)
            else:
                self._log("progress", done=round(done, 3), total=total, message=text)

    def _state(self) -> tuple[float, float, str]:
        """Done, total, and all in words."""
        words = [f"{name} {int(done)}/{total}" for name, (done, total) in self._parts.items() if done < total]
        pace, done = self._counted, int(self._counted.done)
        if self._trials.left or not self._parts:
            pace, done = self._trials, self._finished
            words += [f"{trial.label}: {word}" for trial, _, word in list(self._running.values())[:1]]
            words += [f"{len(self._running) - 1} more"] if len(self._running) > 1 else []
        left = pace.seconds_left
        words += [f"about {_roughly(left)} left"] if left else []
        return pace.done, pace.total, ", ".join([f"{done}/{pace.total:g}", *words])


def _roughly(left: float) -> str:
    return f"{left:.0f} s" if left < 59.5 else duration(left)
