"""What `forecheck models` says of a forecaster: found out on an untrained one.

`python -m forecheck.forecasters.overview` finds it out of all of ours and keeps it in `overview.json`, which is what is
read when models are listed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from forecheck.attention.sites import attach
from forecheck.forecasters.base import Forecaster, Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import all_forecasters, defaults
from forecheck.forecasters.remedies import accepted

REFERENCE = Task(lookback=336, horizon=96, channels=7, period=24)
"""The task that parameters are counted on: hourly data of seven channels, as ETTh1."""


def overview(forecaster: type[Forecaster], task: Task = REFERENCE) -> dict[str, Any]:
    """Of a forecaster with its default options, as JSON types.

    Returns:
        `model`, `summary`, `source`, `trained`, `mixes`, `parameters` (for `task`), `attention` (what an audit's edits
        reach, "" if nothing), `why_not` (why nothing is reached), `remedies` that it accepts, and `options` with their
        defaults.
    """
    made = forecaster(task)
    attention, why_not = _attention(made)
    return {
        "model": forecaster.name,
        "summary": forecaster.summary,
        "source": forecaster.source,
        "trained": forecaster.trained,
        "mixes": forecaster.mixes,
        "parameters": made.parameters,
        "attention": attention,
        "why_not": why_not,
        "remedies": accepted(made),
        "options": defaults(forecaster),
    }


@torch.no_grad()
def _attention(forecaster: Forecaster) -> tuple[str, str]:
    """The sites that an audit edits in it, and why there are none."""
    if not isinstance(forecaster, NeuralForecaster):
        return "", "it is a closed form"
    task = forecaster.task
    example = torch.linspace(-1, 1, task.lookback)[None, :, None].repeat(1, 1, task.channels)
    with attach(forecaster.module, example) as attached:
        return (attached.describe(), "") if attached.sites else ("", attached.why_not)


if __name__ == "__main__":
    found = [overview(forecaster) for forecaster in all_forecasters()]
    Path(__file__).with_name("overview.json").write_text(json.dumps(found, indent=1) + "\n")
