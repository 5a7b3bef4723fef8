"""A worker process that runs trials; its argument is the ledger's folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forecheck.errors import ForecheckError
from forecheck.processes import serve
from forecheck.progress import Progress


def start() -> Callable[[dict[str, Any], Progress], None]:
    """What runs a trial."""
    import torch

    from forecheck.trials.ledger import Ledger
    from forecheck.trials.run import run_trial
    from forecheck.trials.trial import Trial

    torch.set_num_threads(1)
    ledger = Ledger(Path(sys.argv[1]))

    def run(message: dict[str, Any], progress: Progress) -> None:
        trial = Trial(**message["trial"])
        if trial.address != message["address"]:  # its result would lie where nobody looks for it
            raise ForecheckError("the source code was changed while this ran", "Run the command again.")
        run_trial(trial, ledger, progress)

    return run


if __name__ == "__main__":
    serve(start)
