"""All parts of a calibration, in order."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

import forecheck
from forecheck.calibration.context import Context, find_scale
from forecheck.calibration.decisions import run_decisions
from forecheck.calibration.equivalence import run_equivalence
from forecheck.calibration.folds import run_folds
from forecheck.calibration.negative import run_negative, run_real
from forecheck.calibration.positive import run_events, run_positive
from forecheck.calibration.result import Calibration, Part
from forecheck.calibration.sequential import run_sequential
from forecheck.calibration.settings import run_settings
from forecheck.calibration.size import run_size
from forecheck.errors import UsageError
from forecheck.trials.means import Means

PARTS: dict[str, Callable[[Context], Part]] = {
    "size": run_size,
    "decisions": run_decisions,
    "sequential": run_sequential,
    "folds": run_folds,
    "settings": run_settings,
    "negative": run_negative,
    "real": run_real,
    "recall": partial(run_positive, name="recall"),
    "lag": partial(run_positive, name="lag"),
    "events": run_events,
    "equivalence": run_equivalence,
}


def check_parts(only: Sequence[str]) -> list[str]:
    """The names of the parts to run, in order; all if none is named.

    Raises:
        UsageError: if there is no such part.
    """
    if unknown := [name for name in only if name not in PARTS]:
        raise UsageError(f"no part is called {unknown[0]!r}", f"Parts: {', '.join(PARTS)}.")
    return [name for name in PARTS if name in only or not only]


def run_calibration(
    budget: str,
    means: Means,
    *,
    only: Sequence[str] = (),
) -> Calibration:
    """Put the audit to data on which the right answer is known.

    What is finished is saved in the store; a calibration that was stopped goes on from there.

    Args:
        budget: quick or full.
        means: engine, and the store of results.
        only: names of parts, see `PARTS`; none for all.

    Raises:
        UsageError: if there is no such budget or part.
        TrialError: if a trial fails; finished ones are saved.
    """
    names, scale = check_parts(only), find_scale(budget)
    started = time.perf_counter()
    context = Context(scale, means)
    parts = [PARTS[name](context) for name in names]
    environment = {
        "budget": scale.name,
        "forecheck": forecheck.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "seconds of the last sitting": round(time.perf_counter() - started),
    }
    return Calibration(parts, environment)
