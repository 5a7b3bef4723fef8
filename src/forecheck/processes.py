"""Worker processes on this machine, one thread each: on small models faster than threads inside one process.

They are handed jobs as JSON lines and answer with JSON lines (docs/decisions/0001).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Generic, Protocol, TypeVar, runtime_checkable

from forecheck.errors import ForecheckError, TrialError

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

J = TypeVar("J")
J_contra = TypeVar("J_contra", contravariant=True)
Told = Callable[[float, str], None]
"""Told of a job's progress: the share that is done, and a word."""


@runtime_checkable
class Jobs(Protocol[J_contra]):
    """What a pool has to know of its jobs."""

    def message(self, job: J_contra) -> dict[str, Any]:
        """What the worker is told."""

    def label(self, job: J_contra) -> str:
        """What a person calls it."""

    def ready(self, job: J_contra) -> bool:
        """Whether all that it needs is finished."""

    def progressed(self, job: J_contra, fraction: float, word: str) -> None:
        """It got so far."""

    def finished(self, job: J_contra, answer: Any) -> None:
        """It is done, and gave this."""


@dataclass
class _Worker(Generic[J]):
    """A process and what it is doing."""

    process: subprocess.Popen[bytes]
    job: J | None = None
    buffer: bytes = b""


def default_workers() -> int:
    """One a core that this process may use, eight at most."""
    return max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


def run_jobs(
    queue: list[J], jobs: Jobs[J], module: str, arguments: Sequence[str] = (), workers: int | None = None
) -> None:
    """Run every job of a queue, a job a worker at a time.

    On Ctrl-C or an error the workers are stopped; what they have finished is the worker's module's to keep.

    Args:
        queue: jobs; taken out as they are started.
        jobs: what to know of them.
        module: run as `python -m module arguments`, see `serve`.
        arguments: of the module.
        workers: processes, None for one a core.

    Raises:
        TrialError: if a job fails or a worker dies.
    """
    if not queue:
        return
    pool: list[_Worker[J]] = []
    selector = selectors.DefaultSelector()
    try:
        for _ in range(min(workers or default_workers(), len(queue))):
            worker: _Worker[J] = _Worker(_spawn(module, arguments))
            pool.append(worker)
            assert worker.process.stdout is not None
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        _feed(pool, queue, jobs)
        while any(worker.job is not None for worker in pool):
            for key, _ in selector.select():
                _listen(key.data, jobs)
            _feed(pool, queue, jobs)
    finally:
        selector.close()
        for worker in pool:
            worker.process.kill()
            worker.process.wait()
            for stream in (worker.process.stdin, worker.process.stdout):
                if stream is not None:
                    _close(stream)


def serve(start: Callable[[], Callable[[dict[str, Any], Told], Any]]) -> None:
    """Be a worker until standard input closes, which it does when the parent dies, however it dies.

    Args:
        start: imports what is heavy, and gives the function that runs a job; what it returns (JSON types) is told.
    """
    # The parent decides what Ctrl-C means; it reaches the whole process group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Answers get a channel of their own, so that a stray print cannot break the protocol.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    run = start()
    last = 0.0
    parent = os.getppid()

    def answer(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    def progress(fraction: float, word: str) -> None:
        nonlocal last
        if os.getppid() != parent:  # the parent was killed: its next run goes on where this one is
            os._exit(1)
        if time.monotonic() - last > 0.2:
            last = time.monotonic()
            answer(progress=fraction, word=word)

    for line in sys.stdin:
        try:
            given = run(json.loads(line), progress)
        except ForecheckError as error:
            answer(failed=str(error), trace="")
        except Exception as error:  # noqa: BLE001  the parent reports it with its trace
            answer(failed=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
        else:
            answer(done=given)


def _close(stream: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # what was left unwritten has nobody to read it
        stream.close()


def _spawn(module: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  our own interpreter and module
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | _ENVIRONMENT,
        start_new_session=True,
    )


def _feed(pool: list[_Worker[J]], queue: list[J], jobs: Jobs[J]) -> None:
    """Give idle workers the next job that is ready."""
    for worker in pool:
        if worker.job is not None:
            continue
        for job in queue:
            if jobs.ready(job):
                queue.remove(job)
                _start(worker, job, jobs)
                break


def _start(worker: _Worker[J], job: J, jobs: Jobs[J]) -> None:
    assert worker.process.stdin is not None
    worker.job = job
    try:
        worker.process.stdin.write(json.dumps(jobs.message(job)).encode() + b"\n")
        worker.process.stdin.flush()
    except BrokenPipeError as error:
        raise TrialError(f"a worker process ended before it took {jobs.label(job)} (out of memory?)") from error


def _listen(worker: _Worker[J], jobs: Jobs[J]) -> None:
    """Read what a worker says."""
    assert worker.process.stdout is not None
    chunk = os.read(worker.process.stdout.fileno(), 65536)
    job = worker.job
    if not chunk:
        code = worker.process.wait()
        label = jobs.label(job) if job is not None else "nothing"
        raise TrialError(
            f"a worker process ended with exit code {code} while running {label}"
            + (" (out of memory?)" if code == -9 else "")
        )
    *lines, worker.buffer = (worker.buffer + chunk).split(b"\n")
    for line in lines:
        message = json.loads(line)
        assert job is not None
        if "progress" in message:
            jobs.progressed(job, message["progress"], message["word"])
        elif "failed" in message:
            raise TrialError(
                f"{jobs.label(job)}: {message['failed']}" + (f"\n{message['trace']}" if message["trace"] else "")
            )
        else:
            worker.job = None
            jobs.finished(job, message["done"])
