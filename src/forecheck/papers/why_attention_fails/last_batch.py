"""What is measured of test losses whose last incomplete batch is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.data.load import load
from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.why_attention_fails.arms import LOOKBACK, RECIPES, SHORT, run
from forecheck.statistics.metrics import loss_by_time
from forecheck.trials.trial import Trial

BATCHES = (8, 16, 32, 64, 128, 256, 512)
HORIZONS = (96, 192, 336, 720)
_OPTIONS: dict[str, Mapping[str, Any]] = {
    "patchtst": {key: value for key, value in RECIPES["patchtst", SHORT].options.items() if key != "batch"}
    | {"batch": 32, "train_stride": 3}
}
"""Sizes of PatchTST's own ETTh1 script, as in `arms`; trained on every third window, and asked on every test window."""


def kept_mean(losses: Float[np.ndarray, " window"], batch: int) -> float:
    r"""Mean loss of the windows of complete batches.

    .. math:: \frac{1}{B \lfloor n / B \rfloor} \sum_{t \le B \lfloor n / B \rfloor} l_t

    Args:
        losses: of all test windows, in order of time.
        batch: B, at most n.
    """
    return float(losses[: len(losses) // batch * batch].mean())


def last_batch(bench: Bench, data: str, model: str, horizon: int) -> dict[str, Any]:
    """Test error on all windows, and without those of the last incomplete batch.

    Args:
        bench: its store holds the trial; reports progress.
        data: name of the set.
        model: name of the forecaster.
        horizon: H.

    Returns:
        `windows`, `mse` on all of them, and by batch size `kept`, the error without the last incomplete batch, `left`,
        the windows in it, and `share`, what they hold of the squared error.

    Raises:
        DataError: if the set cannot be found.
    """
    panel = load(data)
    bench.store.put_panel(panel)
    task = Task(LOOKBACK, horizon, len(panel.channels))
    config = asdict(registry.create(model, task, _OPTIONS.get(model, {})).config)
    trial = Trial(panel.fingerprint, panel.split, LOOKBACK, horizon, model, config)
    result = run(bench, trial)
    test = prepare(panel, LOOKBACK, horizon).test
    losses = loss_by_time(result.arrays["mse"], panel.time[test.origins])
    count, batches = len(losses), [batch for batch in BATCHES if batch <= len(losses)]
    return {
        "windows": count,
        "mse": float(losses.mean()),
        "kept": {str(batch): kept_mean(losses, batch) for batch in batches},
        "left": {str(batch): count % batch for batch in batches},
        "share": {str(batch): float(losses[count // batch * batch :].sum() / losses.sum()) for batch in batches},
    }


def _parts(model: str, sets: Sequence[str], horizons: Sequence[int]) -> list[dict[str, Any]]:
    return [{"data": data, "model": model, "horizon": horizon} for data in sets for horizon in horizons]


SETS = ("ETTh1", "ETTh2")
LAST_BATCH = Experiment(
    "last-batch",
    last_batch,
    quick=_parts("nlinear", SETS, HORIZONS),
    full=[*_parts("nlinear", SETS, HORIZONS), *_parts("patchtst", ["ETTh2"], [336])],
)
