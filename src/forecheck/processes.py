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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Generic, Protocol, TypeVar, runtime_checkable

from forecheck.errors import NO_MEMORY, ForecheckError, TrialError, lacks_memory
from forecheck.progress import Progress

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


@runtime_checkable
class Jobs(Protocol[J_contra]):
    """What a pool has to know of its jobs."""

    def message(self, job: J_contra) -> dict[str, Any]:
        """What is sent to the worker."""

    def label(self, job: J_contra) -> str:
        """What a person calls it."""

    def ready(self, job: J_contra) -> bool:
        """Whether all that it needs is finished."""

    def progressed(self, job: J_contra, fraction: float, word: str) -> None:
        """It got so far.

        Args:
            job: that is running.
            fraction: the share that is done, in [0, 1].
            word: on what is going on.
        """

    def finished(self, job: J_contra, answer: Any) -> None:
        """It is done, and gave this."""


@dataclass
class _Worker(Generic[J]):
    """A process and what it is doing."""

    process: subprocess.Popen[bytes]
    job: J | None = None
    buffer: bytes = b""

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                _close(stream)


def default_workers() -> int:
    """One a core that this process may use, eight at most."""
    return max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


class Pool(Generic[J]):
    """Workers that stay from one queue to the next, so that they start once; `with` stops them at the end.

    A worker that dies is replaced and its job tried once more. Workers whose parent dies end by themselves.

    Args:
        module: run as `python -m module arguments`, see `serve`.
        arguments: of the module.
        workers: processes, None for one a core; they are started as they are needed.
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), workers: int | None = None) -> None:
        self._command = (module, *arguments)
        self._most = workers or default_workers()
        self._workers: list[_Worker[J]] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Pool[J]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers."""
        while self._workers:
            self._remove(self._workers[0])

    def run(self, queue: list[J], jobs: Jobs[J]) -> None:
        """Run every job of a queue, a job a worker at a time.

        On Ctrl-C or an error the workers are stopped; what they have finished is the worker's module's to keep.

        Args:
            queue: jobs; taken out as they are started.
            jobs: what to know of them.

        Raises:
            TrialError: if a job fails, or a worker dies with it twice.
        """
        died: list[J] = []
        try:
            while queue or any(worker.job is not None for worker in self._workers):
                self._feed(queue, jobs)
                for key, _ in self._selector.select():
                    worker: _Worker[J] = key.data
                    if _listen(worker, jobs):
                        continue
                    self._remove(worker)
                    if worker.job is not None:
                        if worker.job in died:
                            raise TrialError(_obituary(worker, jobs.label(worker.job)))
                        died.append(worker.job)
                        queue.insert(0, worker.job)
        except BaseException:
            self.close()
            raise

    def _feed(self, queue: list[J], jobs: Jobs[J]) -> None:
        """Give idle workers, old ones first, the next job that is ready; while none is idle, jobs are not asked."""
        while (idle := self._idle()) is not None or len(self._workers) < self._most:
            job = next((job for job in queue if jobs.ready(job)), None)
            if job is None:
                return
            worker = idle or self._add()
            if _start(worker, job, jobs):
                queue.remove(job)
            elif idle is None:
                raise TrialError(_obituary(worker, jobs.label(job)))
            else:  # it died while it had nothing to do
                self._remove(worker)

    def _idle(self) -> _Worker[J] | None:
        return next((worker for worker in self._workers if worker.job is None), None)

    def _add(self) -> _Worker[J]:
        worker: _Worker[J] = _Worker(_spawn(*self._command))
        self._workers.append(worker)
        assert worker.process.stdout is not None
        self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        return worker

    def _remove(self, worker: _Worker[J]) -> None:
        assert worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout)
        self._workers.remove(worker)
        worker.stop()


def serve(start: Callable[[], Callable[[dict[str, Any], Progress], Any]]) -> None:
    """Be a worker until standard input closes, which it does when the parent dies, however it dies.

    Args:
        start: imports what is heavy, and gives the function that runs a job; what it returns (JSON types) is sent back.
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
        try:
            answers.write(json.dumps(message) + "\n")
            answers.flush()
        except BrokenPipeError:  # the parent is gone
            os._exit(1)

    def progress(fraction: float, word: str) -> None:
        nonlocal last
        if os.getppid() != parent:  # the parent was killed: its next run goes on where this one is
            os._exit(1)
        if time.monotonic() - last > 0.2:
            last = time.monotonic()
            answer(progress=fraction, word=word)

    def handled(line: str) -> Any:
        return run(json.loads(line), progress)

    for line in sys.stdin:
        answer(**attempted(handled, line))


def attempted(run: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """What a call gave, as `done`; or why it `failed`, with a `trace` where that is no message for people.

    Args:
        run: what is called; what it returns (JSON types) is sent back.
        arguments: of the call.
    """
    try:
        return {"done": run(*arguments)}
    except ForecheckError as error:
        return {"failed": str(error), "trace": ""}
    except Exception as error:  # noqa: BLE001  the parent reports it with its trace
        if lacks_memory(error):
            return {"failed": NO_MEMORY, "trace": ""}
        return {"failed": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}


def done_of(answer: Mapping[str, Any], label: str) -> Any:
    """What a job gave.

    Args:
        answer: see `attempted`.
        label: of the job.

    Raises:
        TrialError: if it failed.
    """
    if "failed" in answer:
        raise TrialError(f"{label}: {answer['failed']}" + (f"\n{answer['trace']}" if answer["trace"] else ""))
    return answer["done"]


def _close(stream: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # what was left unwritten has nobody to read it
        stream.close()


def _spawn(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  our own interpreter and module
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | _ENVIRONMENT,
        start_new_session=True,
    )


def _start(worker: _Worker[J], job: J, jobs: Jobs[J]) -> bool:
    """Hand a job to a worker; false if the worker is gone."""
    assert worker.process.stdin is not None
    try:
        worker.process.stdin.write(json.dumps(jobs.message(job)).encode() + b"\n")
        worker.process.stdin.flush()
    except BrokenPipeError:
        return False
    worker.job = job
    return True


def _listen(worker: _Worker[J], jobs: Jobs[J]) -> bool:
    """Read what a worker says; false if it is gone."""
    assert worker.process.stdout is not None
    chunk = os.read(worker.process.stdout.fileno(), 65536)
    if not chunk:
        return False
    *lines, worker.buffer = (worker.buffer + chunk).split(b"\n")
    for line in lines:
        message, job = json.loads(line), worker.job
        assert job is not None
        if "progress" in message:
            jobs.progressed(job, message["progress"], message["word"])
        else:
            given = done_of(message, jobs.label(job))
            worker.job = None
            jobs.finished(job, given)
    return True


def _obituary(worker: _Worker[J], label: str) -> str:
    code = worker.process.wait()
    reason = f"a worker process ended with exit code {code} while running {label}, and so did its replacement"
    return reason + (" (out of memory?)" if code == -9 else "")
