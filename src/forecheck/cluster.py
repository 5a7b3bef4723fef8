"""Jobs on the machines of a Ray cluster: the same jobs as in `forecheck.processes`, handed out by Ray.

What a job makes lies in a folder that all machines share, or under a URL; nothing but its description and its answer
travels.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from forecheck.errors import ForecheckError, TrialError, UsageError
from forecheck.processes import Jobs, attempted, done_of

J = TypeVar("J")
_TRIES = 3
"""Times that a job is started again on another worker after one died with it."""
_AHEAD = 2
"""Jobs beyond the number of cores that wait at the cluster, so that no core waits for the driver."""


@dataclass(frozen=True)
class Ray:
    """A Ray cluster as the place where trials are run (needs `ray`).

    Attributes:
        address: of a cluster, `auto` for that of this machine; None to start one here, which ends with the process.
    """

    address: str | None = None

    def connect(self) -> Any:
        """The module `ray`, connected.

        Raises:
            UsageError: if it is not installed, or there is no cluster at the address.
        """
        try:
            import ray
        except ImportError:
            raise UsageError("the engine ray needs Ray", "Install it: pip install 'forecheck[ray]'.") from None
        if not ray.is_initialized():
            try:
                ray.init(address=self.address or "local", log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise UsageError(
                    f"there is no Ray cluster at {self.address}: {(str(error).splitlines() or [''])[0]}",
                    "Start one (ray start --head), or leave the address out to start one on this machine.",
                ) from error
        return ray

    @property
    def cores(self) -> int:
        """Cores of all machines, each of which runs a job at a time."""
        return max(1, int(self.connect().cluster_resources().get("CPU", 1)))


class RayPool(Generic[J]):
    """Runs queues on a cluster; what `forecheck.processes.Pool` is for this machine.

    A job whose worker or machine dies is started again elsewhere, and goes on from what it has left in the folder.

    Args:
        cluster: where.
        module: has `start`, which takes the place and gives the function that runs a job.
        place: where results lie: a folder or a URL.
        shared: whether it is a folder, which all machines must share.
    """

    def __init__(self, cluster: Ray, module: str, place: str, *, shared: bool) -> None:
        self._cluster = cluster
        self._ray = cluster.connect()
        self._seen: Path | None = None
        if shared:  # a path may be on all machines and not be one folder: a file of this run tells
            self._seen = Path(place) / f".cluster.{secrets.token_hex(8)}.part"
            self._seen.parent.mkdir(parents=True, exist_ok=True)
            self._seen.touch()
        self._what = (module, place, "" if self._seen is None else str(self._seen))
        self._remote = self._ray.remote(num_cpus=1, max_retries=_TRIES)(_work)
        self._running: dict[Any, J] = {}

    def __enter__(self) -> RayPool[J]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what is running; the cluster stays."""
        self._stop()
        if self._seen is not None:
            self._seen.unlink(missing_ok=True)

    def _stop(self) -> None:
        for reference in self._running:
            with contextlib.suppress(Exception):  # the cluster may be gone
                # Ray aborts this very process if a job is cancelled while its answer is taken in.
                over, _ = self._ray.wait([reference], num_returns=1, timeout=0)
                if not over:
                    self._ray.cancel(reference, force=True)
        self._running.clear()

    def run(self, queue: list[J], jobs: Jobs[J]) -> None:
        """Run every job of a queue; see `forecheck.processes.Pool.run`.

        Raises:
            TrialError: if a job fails, or workers die with it several times.
        """
        try:
            while queue or self._running:
                self._feed(queue, jobs)
                done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=5)
                for reference in done:
                    job = self._running.pop(reference)
                    jobs.finished(job, self._answer(reference, jobs.label(job)))
        except BaseException:
            self._stop()
            raise

    def _feed(self, queue: list[J], jobs: Jobs[J]) -> None:
        most = self._cluster.cores + _AHEAD
        for job in [job for job in queue if jobs.ready(job)] if len(self._running) < most else ():
            if len(self._running) >= most:
                return
            self._running[self._remote.remote(self._what, jobs.message(job))] = job
            queue.remove(job)

    def _answer(self, reference: Any, label: str) -> Any:
        try:
            message = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            what = (str(error).splitlines() or [type(error).__name__])[0]
            raise TrialError(
                f"a worker of the cluster died while running {label}, and so did others: {what}"
            ) from error
        return done_of(message, label)


def _work(what: tuple[str, str, str], message: dict[str, Any]) -> dict[str, Any]:
    """Run a job on a machine of the cluster: what it gave, or why it failed."""
    return attempted(lambda: _job(what)(message, _silent))


@cache
def _job(what: tuple[str, str, str]) -> Any:
    """The function that runs jobs, once a process."""
    import torch

    torch.set_num_threads(1)
    module, place, seen = what
    if seen and not Path(seen).exists():
        raise ForecheckError(
            f"a machine of the cluster does not see the folder {place} of the process that was started",
            "Name one that all its machines share, or a URL: --store PLACE.",
        )
    return import_module(module).start(place)


def _silent(fraction: float, word: str) -> None:
    """Nothing."""
    del fraction, word
