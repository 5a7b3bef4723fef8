"""What every report tells about its data, protocol and machine."""

from __future__ import annotations

import datetime as dt
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

import forecheck
from forecheck.data.frequency import stamp
from forecheck.data.splits import PARTS
from forecheck.data.windows import Experiment
from forecheck.trials.store import Result


def header(kind: str) -> dict[str, Any]:
    """What every report begins with."""
    created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"schema": 1, "kind": kind, "forecheck": forecheck.__version__, "created": created}


def describe_protocol(experiment: Experiment, trials: list[int], seconds: float) -> dict[str, Any]:
    """Data, borders, scaler and cost, as JSON types.

    Args:
        experiment: the panel, cut into windows.
        trials: how many there were, and how many of them were in the store.
        seconds: that they took.
    """
    e = experiment
    borders = []
    for part in PARTS:
        first, end = e.borders.rows(part)
        serves = end > first
        starts, ends = (e.panel.offsets[:-1] + rows for rows in (first, end - 1))
        borders.append(
            {
                "part": part,
                "first": stamp(e.panel.time[starts[serves]].min()),
                "last": stamp(e.panel.time[ends[serves]].max()),
                "rows": int((end - first).sum()),
                "windows": len(e.part(part)),
            }
        )
    total, known = trials
    return {
        "data": e.panel.name,
        "fingerprint": e.panel.fingerprint,
        "series": len(e.panel.series),
        "channels": list(e.panel.channels),
        "rows": len(e.panel.values),
        "frequency": str(e.panel.frequency),
        "read": e.panel.described,
        "words": list(e.panel.reading.words),
        "fills": e.panel.fills,
        "lookback": e.test.lookback,
        "horizon": e.test.horizon,
        "step": e.test.step,
        "split": e.split,
        "scaler": "mean and standard deviation of the training rows, by series and channel",
        "borders": borders,
        "notes": list(e.notes),
        "units": "standardised by the training rows",
        "trials": {"total": total, "from store": known},
        "seconds": seconds,
    }


def environment(result: Result) -> dict[str, Any]:
    """Versions that made the result, and this machine."""
    return {
        **result.summary["versions"],
        "cpu": _cpu(),
        "threads": result.summary["threads"],
        **({} if result.trial.device == "cpu" else {"device": result.trial.device}),
    }


def machine() -> dict[str, Any]:
    """Versions and machine of what was just computed here."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
