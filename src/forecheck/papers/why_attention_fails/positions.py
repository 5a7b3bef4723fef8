"""What is measured of trained models whose position codes are taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from forecheck.attention.codes import find_codes
from forecheck.attention.positions import (
    FillPositions,
    MeanPositions,
    ShufflePositions,
    ShuffleTokens,
    ZeroPositions,
)
from forecheck.attention.sites import attach
from forecheck.attention.trace import trace
from forecheck.forecasters import registry
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.why_attention_fails.arms import LONG, RECIPES, SHORT, cut, plan, run, scored

ZERO, HALF, MEAN, SHUFFLED, TOKENS = "zero", "all 0.5", "mean", "shuffled", "tokens shuffled inside"
EDITS = {
    ZERO: ZeroPositions(),
    HALF: FillPositions(0.5),
    MEAN: MeanPositions(),
    SHUFFLED: ShufflePositions(),
    TOKENS: ShuffleTokens(),
}


def recoded(bench: Bench, data: str, model: str, recipe: str, seed: int) -> dict[str, Any]:
    """Losses of the trained raw model with its codes changed, by edit; shuffles are averaged over five draws.

    Args:
        bench: its store holds the trials; reports progress.
        data: name of the set.
        model: `patchtst` or `itransformer`.
        recipe: how it is trained, by its name in `RECIPES`.
        seed: of the fit.

    Returns:
        `losses` by edit and `raw`, see `arms.scored`; `cosines`, mean cosine of two position codes by their distance;
        `size`, root mean square of the codes.

    Raises:
        DataError: if the set cannot be found.
    """
    trial = plan(bench, data, RECIPES[model, recipe], seed)
    raw = scored(bench, trial)
    losses = {}
    for k, (name, edit) in enumerate(EDITS.items()):
        bench.progress(k / len(EDITS), name)
        losses[name] = scored(bench, replace(trial, edit=edit.to_dict(), posthoc=True))["losses"]
    run(bench, trial)
    forecaster = registry.load(bench.store.model(trial))
    assert isinstance(forecaster, NeuralForecaster)
    example, _ = cut(bench.store, trial).train.gather(slice(0, 2))
    with attach(forecaster.module, example) as attached:
        codes = find_codes(trace(attached, example))[0]
        rows = codes.rows()[: codes.tokens]
    return {
        "losses": losses,
        "raw": raw["losses"],
        "overlap": raw["overlap"],
        "cosines": cosines(rows),
        "size": float(rows.square().mean().sqrt()),
    }


def cosines(rows: torch.Tensor) -> list[float]:
    r"""Mean cosine of two rows by their distance, :math:`c_k = \frac{1}{T-k} \sum_t \cos(p_t, p_{t+k})`, from k = 1."""
    unit = torch.nn.functional.normalize(rows.double(), dim=-1)
    products = unit @ unit.T
    return [float(products.diagonal(distance).mean()) for distance in range(1, len(rows))]


POSITIONS = Experiment(
    "positions",
    recoded,
    quick=[{"data": "ETTh1", "model": "patchtst", "recipe": SHORT, "seed": seed} for seed in range(3)],
    full=[
        {"data": data, "model": "patchtst", "recipe": LONG, "seed": seed}
        for data, seeds in (("ETTh1", 5), ("ETTh2", 3))
        for seed in range(seeds)
    ],
)
