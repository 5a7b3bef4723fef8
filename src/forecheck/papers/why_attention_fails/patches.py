"""What is measured of patches of growing length: the model is trained anew at every length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecheck.attention.replace import Replace
from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.why_attention_fails.arms import LONG, LOOKBACK, RECIPES, SHORT, fitted, plan
from forecheck.papers.why_attention_fails.replacement import RAW

WIDTH = 16
"""Features a token of the smallest model."""


def patched(bench: Bench, data: str, recipe: str, patch: int, width: int, mode: str, seed: int) -> dict[str, Any]:
    """Losses of PatchTST on patches of one length, end to end, its attention raw or replaced before training.

    Args:
        bench: its store holds the trial; reports progress.
        data: name of the set.
        recipe: `short` or `long`.
        patch: its steps.
        width: features a token.
        mode: `raw`, or a mode of `Replace`.
        seed: of the fit.

    Returns:
        See `arms.fitted`.

    Raises:
        DataError: if the set cannot be found.
    """
    edit = None if mode == RAW else Replace(mode)  # type: ignore[arg-type]
    cut: dict[str, Any] = {"patch": patch, "stride": patch, "padding": False, "width": width}
    return fitted(bench, plan(bench, data, RECIPES["patchtst", recipe], seed, edit, **cut))


def _sweep(recipe: str, patches: Sequence[int], seeds: int) -> list[dict[str, Any]]:
    """Features grow with the length, so that the head always reads L numbers; and 16 of them at the greatest length."""
    return [
        {"data": "ETTh1", "recipe": recipe, "patch": patch, "width": width, "mode": RAW, "seed": seed}
        for patch, width in (*zip(patches, patches, strict=True), (LOOKBACK, WIDTH))
        for seed in range(seeds)
    ]


def _single(recipe: str) -> list[dict[str, Any]]:
    return [
        {"data": "ETTh1", "recipe": recipe, "patch": LOOKBACK, "width": WIDTH, "mode": mode, "seed": 0}
        for mode in (RAW, "identity", "mean")
    ]


SWEEP = Experiment(
    "patch-length",
    patched,
    quick=_sweep(SHORT, (WIDTH, 112, LOOKBACK), 2),
    full=_sweep(LONG, (WIDTH, 24, 48, 84, 168, LOOKBACK), 5),
)
SINGLE = Experiment("single-token", patched, quick=_single(SHORT), full=_single(LONG))
