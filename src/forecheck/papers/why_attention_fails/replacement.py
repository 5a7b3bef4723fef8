"""What is measured of replaced attention: every mode is trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecheck.interventions.replace import Replace
from forecheck.papers.experiment import Bench, Experiment, Settings
from forecheck.papers.why_attention_fails.arms import LONG, RECIPES, SHORT, SLIDES, Recipe, fitted, plan, scored

RAW = "raw"
MODES = ("identity", "zero", "mean", "fixed")
REFERENCES = ("last", "nlinear")
_SETS = ("ETTh1", "ETTh2")


def replaced(bench: Bench, data: str, model: str, recipe: str, mode: str, seed: int) -> dict[str, Any]:
    """Losses of a forecaster whose attention is replaced before training; that of `raw` stays."""
    edit = None if mode == RAW else Replace(mode)  # type: ignore[arg-type]
    return fitted(bench, plan(bench, data, RECIPES[model, recipe], seed, edit))


def references(bench: Bench, data: str, model: str, recipe: str) -> dict[str, Any]:
    """Losses of forecasters without attention on the same windows: the last value, and a closed-form linear map."""
    step = RECIPES[model, recipe].step
    return {name: scored(bench, plan(bench, data, Recipe(name, {}, step), 0))["mse"] for name in REFERENCES}


def _parts(model: str, recipe: str, sets: Sequence[str], modes: Sequence[str], seeds: int) -> list[Settings]:
    """Raw first: experiments on the trained model look for it."""
    return [
        {"data": data, "model": model, "recipe": recipe, "mode": mode, "seed": seed}
        for data in sets
        for mode in (RAW, *modes)
        for seed in range(seeds)
    ]


def _retrained(model: str) -> Experiment:
    return Experiment(
        f"replaced-{model}",
        replaced,
        quick=_parts(model, SHORT, _SETS[:1], MODES, 3),
        full=_parts(model, LONG, _SETS, MODES, 3),
    )


def _referred(model: str) -> Experiment:
    return Experiment(
        f"references-{model}",
        references,
        quick=[{"data": _SETS[0], "model": model, "recipe": SHORT}],
        full=[{"data": data, "model": model, "recipe": LONG} for data in _SETS],
    )


PATCHTST, ITRANSFORMER = _retrained("patchtst"), _retrained("itransformer")
PATCHTST_REFERENCES, ITRANSFORMER_REFERENCES = _referred("patchtst"), _referred("itransformer")
AS_SLIDES = Experiment(
    "slides", replaced, quick=(), full=_parts("patchtst", SLIDES, _SETS[:1], ("identity", "zero", "mean"), 2)
)
