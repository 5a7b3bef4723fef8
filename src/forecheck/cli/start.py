"""The entry of the program: an interrupt ends it well before anything is loaded, and after all is done."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from forecheck.errors import UsageError

_INTERRUPTED = 130


def run() -> None:
    """Run the program."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))  # nothing is begun yet
    from forecheck.cli import signals

    signals.catch()
    from forecheck.cli.main import run as run_command

    try:
        if "TORCHELASTIC_RUN_ID" in os.environ and os.environ["WORLD_SIZE"] != "1":  # torchrun sets both
            _run_with_others(run_command)
        else:
            run_command()
    finally:
        signals.ignore()


def _run_with_others(run_command: Callable[[], None]) -> None:
    """Run the program in the first of the processes that torchrun started; the others help it to fit."""
    from forecheck.training.parallel import joined, tell
    from forecheck.trials.engines.helper import serve

    with joined() as group:
        if group.rank > 0:
            serve()
            return
        try:
            run_command()
        finally:
            with suppress(UsageError):  # of a fit that failed here alone, which torchrun tells the others
                tell(None)


if __name__ == "__main__":
    run()
