"""A worker process: reads trials as JSON lines, runs each, and answers with JSON lines."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any


def main() -> None:
    """Serve until standard input closes (which it does when the parent dies, however it dies)."""
    # The parent decides what Ctrl-C means; it reaches the whole process group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Answers get a channel of their own, so that a stray print cannot break the protocol.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    import torch

    from forecheck.errors import ForecheckError
    from forecheck.trials.ledger import Ledger
    from forecheck.trials.run import run_trial
    from forecheck.trials.trial import Trial

    torch.set_num_threads(1)
    ledger = Ledger(Path(sys.argv[1]))

    def answer(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    last = 0.0
    parent = os.getppid()

    def progress(fraction: float, word: str) -> None:
        nonlocal last
        if os.getppid() != parent:  # the parent was killed: its next run picks the trial up at the last checkpoint
            os._exit(1)
        if time.monotonic() - last > 0.2:
            last = time.monotonic()
            answer(progress=fraction, word=word)

    for line in sys.stdin:
        try:
            run_trial(Trial(**json.loads(line)), ledger, progress)
        except ForecheckError as error:
            answer(failed=str(error), trace="")
        except Exception as error:  # noqa: BLE001  the parent reports it with its trace
            answer(failed=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
        else:
            answer(done=True)


if __name__ == "__main__":
    main()
