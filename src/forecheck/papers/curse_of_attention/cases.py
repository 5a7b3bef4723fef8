"""The two cases of the gradient in a forecaster that was trained on real series."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from forecheck.papers.curse_of_attention.real import RECIPE, STEPS, panel_and_windows, trial_of
from forecheck.papers.experiment import Bench, Experiment
from forecheck.trials.engines.inline import run_inline


def cases(bench: Bench, data: str, step: int, epochs: int, seed: int) -> dict[str, Any]:
    """Share of queries that descent drives away from themselves in PatchTST after some epochs, over training windows.

    Args:
        bench: its store holds the trials.
        data: name of the set.
        step: rows between the origins of two windows.
        epochs: of training.
        seed: of the fit.

    Returns:
        `layers`, each with the share of case 1 by the paper's criterion and by the exact one, and the weight of a token
        on itself over the uniform one; see `forecheck.probes.gradient`.

    Raises:
        DataError: if the set cannot be found.
    """
    panel, cut = panel_and_windows(data, step)
    bench.store.put_panel(panel)
    fit = trial_of(cut, "patchtst", RECIPE | {"epochs": epochs}, seed)
    measured = replace(fit, measure="gradient")
    run_inline([fit, measured], bench.store)
    result = bench.store.need(measured)
    layers = [
        {
            "paper": layer["case1"],
            "exact": layer["exact"],
            "self": layer["self_weight"] * result.arrays[f"self_weight_{number}"].shape[1],
        }
        for number, layer in enumerate(result.summary["layers"])
    ]
    return {"layers": layers, "windows": result.summary["windows"]}


CASES = Experiment(
    "cases",
    cases,
    *(
        [
            {"data": data, "step": STEPS[data], "epochs": epochs, "seed": seed}
            for data in sets
            for epochs in (1, 6)
            for seed in range(seeds)
        ]
        for sets, seeds in ((("ETTh1", "ETTh2"), 3), (("ETTh1", "ETTh2", "exchange_rate"), 5))
    ),
)
