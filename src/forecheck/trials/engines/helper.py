"""A process that torchrun started beside the first: it fits what the first one fits, and does nothing else."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace

from forecheck.data.windows import prepare
from forecheck.devices import kind_of
from forecheck.errors import UsageError
from forecheck.training.parallel import tell
from forecheck.trials.run import fitted
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial


def serve() -> None:
    """Fit with the first process until it says that there is no more.

    Raises:
        UsageError: if the first process has other code.
    """
    while (message := tell(None)) is not None:
        trial, store = Trial(**message["trial"]), Store(message["store"])
        if trial.address != message["address"]:
            raise UsageError("the processes of this fit have different code", "Install the same version everywhere.")
        if kind_of(trial.device) == "cuda":
            trial = replace(trial, device=f"cuda:{os.environ['LOCAL_RANK']}")
        experiment = prepare(store.get_panel(trial.data), trial.lookback, trial.horizon, trial.split, trial.step)
        with suppress(FloatingPointError):  # the first one says so
            fitted(trial, experiment, store)
