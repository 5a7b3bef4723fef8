"""Forecasters of the paper's experiments: how they are fitted here, and their losses window by window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from forecheck.attention.edits import Edit
from forecheck.data.load import load
from forecheck.data.windows import Experiment, prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.papers.experiment import Bench
from forecheck.progress import Progress
from forecheck.statistics.metrics import loss_by_time
from forecheck.trials.engines.base import Silent
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.store import Result, Store
from forecheck.trials.trial import Trial

LOOKBACK, HORIZON = 336, 96
"""L of the released notebooks, and the horizon at which ETT sets hold enough independent stretches for a verdict."""
SHORT, LONG, SLIDES = "short", "long", "slides"


@dataclass(frozen=True)
class Recipe:
    """A forecaster and how it is trained.

    Attributes:
        forecaster: its name.
        options: that differ from its defaults.
        step: rows between two forecast origins, in all three parts.
    """

    forecaster: str
    options: Mapping[str, Any]
    step: int = 1


_PATCHTST = {"stride": 16, "schedule": "onecycle"}
_ITRANSFORMER = {"width": 256, "hidden": 256, "lr": 3e-4, "schedule": "onecycle", "epochs": 3}
RECIPES = {
    ("patchtst", SHORT): Recipe("patchtst", _PATCHTST | {"batch": 16, "epochs": 4, "lr": 2e-3}, step=7),
    ("patchtst", LONG): Recipe("patchtst", _PATCHTST | {"batch": 32, "epochs": 6, "lr": 1e-3}, step=5),
    ("itransformer", SHORT): Recipe("itransformer", _ITRANSFORMER | {"batch": 16}, step=7),
    ("itransformer", LONG): Recipe("itransformer", _ITRANSFORMER | {"batch": 32}, step=5),
    ("patchtst", SLIDES): Recipe(
        "patchtst",
        {
            "stride": 16,
            "width": 128,
            "hidden": 256,
            "heads": 16,
            "dropout": 0.2,
            "lr": 1e-3,
            "batch": 16,
            "patience": 3,
        },
        step=7,
    ),
}
"""By model and name.

Sizes are those of PatchTST's own ETTh1 script (d_model 16, 4 heads, d_ff 128, 3 layers) with the stride of the paper's
tables, and of iTransformer's (d_model 256, 2 layers); `slides` has the slides' sizes and learning rate. Training is
shorter than there: fewer epochs at a larger rate, on every 5th or 7th window, in batches so much smaller that an epoch
has about as many steps. A step that divides the day would leave out hours: by every 8th window the last value is 8 %
better on ETTh1 than by all.
"""


def plan(bench: Bench, data: str, recipe: Recipe, seed: int, edit: Edit | None = None, **options: Any) -> Trial:
    """The trial of a fit, its attention edited before training if so.

    Args:
        bench: its store gets the panel.
        data: name of the set.
        recipe: of the forecaster.
        seed: of the fit.
        edit: of its attention.
        **options: of the forecaster; they replace the recipe's.

    Raises:
        DataError: if the set cannot be found.
        UsageError: if there is no such forecaster or option.
    """
    panel = load(data)
    bench.store.put_panel(panel)
    task = Task(LOOKBACK, HORIZON, len(panel.channels))
    config = registry.create(recipe.forecaster, task, {**recipe.options, **options}).config
    return Trial(
        panel.fingerprint,
        panel.split,
        LOOKBACK,
        HORIZON,
        recipe.forecaster,
        asdict(config),
        step=recipe.step,
        seed=seed,
        edit=None if edit is None else edit.to_dict(),
    )


def run(bench: Bench, trial: Trial) -> Result:
    """The result of a trial, from the store if it is there."""
    run_inline([trial], bench.store, _Telling(bench.progress))
    return bench.store.need(trial)


class _Telling(Silent):
    """Hands on the progress of a trial."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def progressed(self, trial: Trial, fraction: float, word: str) -> None:
        """A share and a word."""
        self._progress(fraction, word)


def cut(store: Store, trial: Trial) -> Experiment:
    """The data of a trial as it saw them."""
    return prepare(store.get_panel(trial.data), trial.lookback, trial.horizon, trial.split, trial.step)


def scored(bench: Bench, trial: Trial) -> dict[str, Any]:
    """Run a trial and give its losses.

    Returns:
        `losses` of every forecast origin in order of time (squared error, mean over horizon and channels, standardised
        units), of which `overlap` consecutive ones share targets; `mse` and `mae`, their means.
    """
    result = run(bench, trial)
    experiment = cut(bench.store, trial)
    times = experiment.panel.time[experiment.test.origins]
    return {
        "losses": [float(f"{loss:.7g}") for loss in loss_by_time(result.arrays["mse"], times)],
        "overlap": experiment.test.overlap,
        "mse": float(np.mean(result.arrays["mse"])),
        "mae": float(np.mean(result.arrays["mae"])),
    }


def fitted(bench: Bench, trial: Trial) -> dict[str, Any]:
    """`scored`, and what is to be known of the fit."""
    found = scored(bench, trial)
    summary = bench.store.need(trial).summary
    fit = summary["fit"]
    return found | {
        "validation": summary["validation_mse"],
        "parameters": fit["parameters"],
        "epochs": fit["details"].get("epochs", 0),
        "best": fit["details"].get("best_epoch", 0),
    }
