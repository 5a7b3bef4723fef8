"""What is measured of patches of growing length: the model is trained anew at every length."""

from __future__ import annotations

from typing import Any

from forecheck.interventions.replace import Replace
from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.why_attention_fails.arms import LONG, LOOKBACK, RECIPES, SHORT, fitted, plan
from forecheck.papers.why_attention_fails.replacement import RAW


def patched(bench: Bench, data: str, recipe: str, patch: int, mode: str, seed: int) -> dict[str, Any]:
    """Losses of PatchTST on patches of one length, end to end, its attention raw or replaced before training."""
    edit = None if mode == RAW else Replace(mode)  # type: ignore[arg-type]
    trial = plan(bench, data, RECIPES["patchtst", recipe], seed, edit, patch=patch, stride=patch, padding=False)
    return fitted(bench, trial)


def _sweep(recipe: str, patches: tuple[int, ...], seeds: int) -> list[dict[str, Any]]:
    return [
        {"data": "ETTh1", "recipe": recipe, "patch": patch, "mode": RAW, "seed": seed}
        for patch in patches
        for seed in range(seeds)
    ]


def _single(recipe: str) -> list[dict[str, Any]]:
    return [
        {"data": "ETTh1", "recipe": recipe, "patch": LOOKBACK, "mode": mode, "seed": 0}
        for mode in (RAW, "identity", "mean")
    ]


SWEEP = Experiment(
    "patch-length",
    patched,
    quick=_sweep(SHORT, (16, 48, 112, LOOKBACK), 3),
    full=_sweep(LONG, (16, 24, 48, 84, 168, LOOKBACK), 5),
)
SINGLE = Experiment("single-token", patched, quick=_single(SHORT), full=_single(LONG))
