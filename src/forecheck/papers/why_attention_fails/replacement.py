"""What is measured of replaced attention: every mode is trained from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forecheck.attention.replace import Replace
from forecheck.papers.experiment import Bench, Experiment, Settings
from forecheck.papers.why_attention_fails.arms import LONG, RECIPES, SHORT, SLIDES, Recipe, fitted, plan, scored

RAW = "raw"
MODES = ("identity", "zero", "mean", "fixed")
REFERENCES = ("last", "nlinear")


def replaced(bench: Bench, data: str, model: str, recipe: str, mode: str, seed: int) -> dict[str, Any]:
    """Losses of a forecaster whose attention is replaced before training; that of `raw` stays.

    Args:
        bench: its store holds the trial; reports progress.
        data: name of the set.
        model: `patchtst` or `itransformer`.
        recipe: how it is trained, by its name in `RECIPES`.
        mode: `raw`, or a mode of `Replace`.
        seed: of the fit.

    Returns:
        See `arms.fitted`.

    Raises:
        DataError: if the set cannot be found.
    """
    edit = None if mode == RAW else Replace(mode)  # type: ignore[arg-type]
    return fitted(bench, plan(bench, data, RECIPES[model, recipe], seed, edit))


def references(bench: Bench, data: str, model: str, recipe: str) -> dict[str, Any]:
    """Losses of forecasters without attention on the same windows: the last value, and a closed-form linear map.

    Args:
        bench: its store holds the trials; reports progress.
        data: name of the set.
        model: whose windows are forecast, `patchtst` or `itransformer`.
        recipe: by which it is trained, by its name in `RECIPES`.

    Returns:
        Mean squared errors on the test windows by forecaster.

    Raises:
        DataError: if the set cannot be found.
    """
    step = RECIPES[model, recipe].step
    return {name: scored(bench, plan(bench, data, Recipe(name, {}, step), 0))["mse"] for name in REFERENCES}


def _parts(model: str, recipe: str, seeds: Mapping[str, int], modes: Sequence[str]) -> list[Settings]:
    """By set so many seeds; raw first, as experiments on the trained model look for it."""
    return [
        {"data": data, "model": model, "recipe": recipe, "mode": mode, "seed": seed}
        for data, count in seeds.items()
        for mode in (RAW, *modes)
        for seed in range(count)
    ]


def _retrained(model: str) -> Experiment:
    return Experiment(
        f"replaced-{model}",
        replaced,
        quick=_parts(model, SHORT, {"ETTh1": 3}, MODES),
        full=_parts(model, LONG, {"ETTh1": 5, "ETTh2": 3}, MODES),
    )


def _referred(model: str) -> Experiment:
    return Experiment(
        f"references-{model}",
        references,
        quick=[{"data": "ETTh1", "model": model, "recipe": SHORT}],
        full=[{"data": data, "model": model, "recipe": LONG} for data in ("ETTh1", "ETTh2")],
    )


PATCHTST, ITRANSFORMER = _retrained("patchtst"), _retrained("itransformer")
PATCHTST_REFERENCES, ITRANSFORMER_REFERENCES = _referred("patchtst"), _referred("itransformer")
AS_SLIDES = Experiment(
    "slides", replaced, quick=(), full=_parts("patchtst", SLIDES, {"ETTh1": 2}, ("identity", "zero", "mean"))
)
