"""Progress bars on standard error: one for all trials, one for each that is running."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from forecheck.trials.trial import Trial

_SECONDS = 10


class Bars:
    """A watcher that draws; a context manager. Where standard error is no terminal it prints a line a trial."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._live = self._console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[word]}"),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._all: TaskID | None = None
        self._running: dict[str, TaskID] = {}
        self._done = self._total = 0
        self._parts: dict[str, TaskID] = {}
        self._told = 0.0

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, total: int, finished: int) -> None:
        """Add trials to the bar of all trials."""
        self._total += total
        self._done += finished
        if finished and not self._quiet:
            self._console.print(f"{finished} of {total} trials are in the ledger already", highlight=False)
        if self._all is None:
            self._all = self._progress.add_task("all trials", total=self._total, completed=self._done, word="")
        self._progress.update(self._all, total=self._total, completed=self._done)

    def progressed(self, trial: Trial, fraction: float, word: str) -> None:
        """Move a trial's own bar."""
        if trial.address not in self._running:
            self._running[trial.address] = self._progress.add_task(trial.label, total=1.0, word=word)
        self._progress.update(self._running[trial.address], completed=fraction, word=word)

    def finished(self, trial: Trial) -> None:
        """Take a trial's bar away."""
        self._done += 1
        if trial.address in self._running:
            self._progress.remove_task(self._running.pop(trial.address))
        if self._all is not None:
            self._progress.update(self._all, completed=self._done)
        if not (self._live or self._quiet):
            self._console.print(f"[{self._done}/{self._total}] {trial.label}", markup=False, highlight=False)

    def part(self, name: str, done: float, total: int) -> None:
        """Move the bar of something that counts repetitions; where nothing is drawn, a line now and then."""
        if name not in self._parts:
            self._parts[name] = self._progress.add_task(name, total=total, word="")
        self._progress.update(self._parts[name], completed=done, total=total, word=f"{int(done)} of {total}")
        if done == total:
            self._progress.remove_task(self._parts.pop(name))
        if not (self._live or self._quiet) and (done == total or time.monotonic() - self._told > _SECONDS):
            self._told = time.monotonic()
            self._console.print(f"{name}: {int(done)} of {total}", markup=False, highlight=False)
