"""Worker processes on a store, whose folder or URL is their argument; run as a program, one that runs trials."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from forecheck.errors import ForecheckError
from forecheck.processes import serve
from forecheck.progress import Progress
from forecheck.trials.store import Store

Job = Callable[[dict[str, Any], Progress], Any]
"""Runs what a message describes; see `forecheck.processes.serve`."""


def serve_store(start: Callable[[str], Job]) -> None:
    """Be a worker, of one thread.

    Args:
        start: imports what is heavy, and gives the function that runs a job, on a store in a folder.
    """

    def started() -> Job:
        import torch

        torch.set_num_threads(1)
        return start(sys.argv[1])

    serve(started)


def start(folder: str) -> Job:
    """What runs a trial, on a store in a folder or under a URL."""
    from forecheck.trials.run import run_trial
    from forecheck.trials.trial import Trial

    store = Store(folder)

    def run(message: dict[str, Any], progress: Progress) -> None:
        trial = Trial(**message["trial"])
        if trial.address != message["address"]:  # its result would lie where nobody looks for it
            raise ForecheckError("the source code was changed while this ran", "Run the command again.")
        if trial not in store:  # another worker may have finished it and died before it could tell
            run_trial(trial, store, progress)

    return run


if __name__ == "__main__":
    serve_store(start)
