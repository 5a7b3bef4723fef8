"""Worker processes on this machine, one thread each: on small models faster than threads inside one process."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from forecheck.errors import TrialError
from forecheck.trials.engines.base import Silent, Watcher, to_run
from forecheck.trials.ledger import Ledger
from forecheck.trials.trial import Trial

# One thread a process; and freed memory is kept by the process, since getting it anew from the system at every
# training step costs more than some of the arithmetic done in it (glibc only, ignored elsewhere).
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "2147483647",
    "MALLOC_TOP_PAD_": "67108864",
}


@dataclass
class _Worker:
    """A process and what it is doing."""

    process: subprocess.Popen[bytes]
    trial: Trial | None = None
    buffer: bytes = field(default=b"")

    def start(self, trial: Trial) -> None:
        assert self.process.stdin is not None
        self.trial = trial
        try:
            self.process.stdin.write(json.dumps(trial.to_dict()).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise TrialError(f"a worker process ended before it took {trial.label} (out of memory?)") from error


def default_workers() -> int:
    """One a core that this process may use, eight at most."""
    return max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


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
    if not queue:
        return
    pool: list[_Worker] = []
    selector = selectors.DefaultSelector()
    try:
        for _ in range(min(workers or default_workers(), len(queue))):
            worker = _Worker(_spawn(ledger.root))
            pool.append(worker)
            assert worker.process.stdout is not None
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        _feed(pool, queue, ledger)
        while any(worker.trial for worker in pool):
            for key, _ in selector.select():
                _listen(key.data, watcher)
            _feed(pool, queue, ledger)
    finally:
        selector.close()
        for worker in pool:
            worker.process.kill()
            worker.process.wait()
            for stream in (worker.process.stdin, worker.process.stdout):
                if stream is not None:
                    _close(stream)


def _close(stream: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # what was left unwritten has nobody to read it
        stream.close()


def _spawn(root: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "forecheck.trials.engines.worker", str(root)]
    return subprocess.Popen(  # noqa: S603  our own interpreter and module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | _ENVIRONMENT, start_new_session=True
    )


def _feed(pool: list[_Worker], queue: list[Trial], ledger: Ledger) -> None:
    """Give idle workers the next trial whose parent is finished."""
    for worker in pool:
        if worker.trial is not None:
            continue
        for trial in queue:
            if trial.parent is None or trial.parent in ledger:
                queue.remove(trial)
                worker.start(trial)
                break


def _listen(worker: _Worker, watcher: Watcher) -> None:
    """Read what a worker says."""
    assert worker.process.stdout is not None
    chunk = os.read(worker.process.stdout.fileno(), 65536)
    trial = worker.trial
    if not chunk:
        code = worker.process.wait()
        label = trial.label if trial else "no trial"
        raise TrialError(
            f"a worker process ended with exit code {code} while running {label}"
            + (" (out of memory?)" if code == -9 else "")
        )
    *lines, worker.buffer = (worker.buffer + chunk).split(b"\n")
    for line in lines:
        message = json.loads(line)
        assert trial is not None
        if "progress" in message:
            watcher.progressed(trial, message["progress"], message["word"])
        elif "failed" in message:
            raise TrialError(
                f"{trial.label}: {message['failed']}" + (f"\n{message['trace']}" if message["trace"] else "")
            )
        else:
            worker.trial = None
            watcher.finished(trial)
