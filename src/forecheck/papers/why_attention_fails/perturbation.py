"""What is measured of trained models whose attention or feed-forward parts are disturbed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from forecheck.attention.edits import Edit
from forecheck.attention.feed_forward import NoiseHidden, SmoothFeatures
from forecheck.attention.outputs import Ablate, Perturb
from forecheck.attention.parts import PartName, find_parts
from forecheck.attention.perturb import Noise, Smooth
from forecheck.attention.sites import Attached, attach
from forecheck.forecasters import registry
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.why_attention_fails.arms import LONG, RECIPES, SHORT, cut, plan, run, scored
from forecheck.trials.posthoc import calibration
from forecheck.trials.trial import Trial

PARTS: tuple[PartName, ...] = ("attention", "feed-forward")
NOISE, SMOOTHING, OUTPUT_NOISE, ABLATION = "noise", "smoothing", "noise on outputs", "outputs to their mean"
EDITS: dict[tuple[str, str], Callable[[float], Edit]] = {
    (NOISE, "attention"): Noise,
    (NOISE, "feed-forward"): NoiseHidden,
    (SMOOTHING, "attention"): Smooth,
    (SMOOTHING, "feed-forward"): SmoothFeatures,
    (OUTPUT_NOISE, "attention"): lambda strength: Perturb("attention", strength),
    (OUTPUT_NOISE, "feed-forward"): lambda strength: Perturb("feed-forward", strength),
    (ABLATION, "attention"): lambda _: Ablate("attention"),
    (ABLATION, "feed-forward"): lambda _: Ablate("feed-forward"),
}
"""By kind and part: what takes a strength and gives the edit. The first two kinds are the paper's."""
_FEW = {NOISE: (1.0, 2.0), SMOOTHING: (0.5, 1.0), OUTPUT_NOISE: (0.5, 1.0), ABLATION: (1.0,)}
_MANY = {
    NOISE: (0.5, 1.0, 2.0),
    SMOOTHING: (0.25, 0.5, 0.75, 1.0),
    OUTPUT_NOISE: (0.25, 0.5, 1.0),
    ABLATION: (1.0,),
}


def disturbed(
    bench: Bench,
    data: str,
    model: str,
    recipe: str,
    kind: str,
    part: PartName,
    strengths: Sequence[float],
    seed: int,
) -> dict[str, Any]:
    """Losses of the trained raw model at every strength, disturbed in all layers; noise is averaged over five draws.

    Args:
        bench: its store holds the trials; reports progress.
        data: name of the set.
        model: `patchtst` or `itransformer`.
        recipe: how it is trained, by its name in `RECIPES`.
        kind: of disturbance, one of those of `EDITS`.
        part: what is disturbed.
        strengths: of the disturbance.
        seed: of the fit.

    Returns:
        By strength, `losses` (see `arms.scored`) and `changes`, see `relative_change`; `raw`, the losses without an
        edit.

    Raises:
        DataError: if the set cannot be found.
    """
    raw = plan(bench, data, RECIPES[model, recipe], seed)
    found = scored(bench, raw)
    edits = [EDITS[kind, part](strength) for strength in strengths]
    edited = []
    for k, edit in enumerate(edits):
        bench.progress(k / len(edits), edit.label)
        edited.append(scored(bench, replace(raw, edit=edit.to_dict(), posthoc=True)))
    return {
        "losses": [each["losses"] for each in edited],
        "changes": [relative_change(bench, raw, edit, part) for edit in edits],
        "raw": found["losses"],
        "overlap": found["overlap"],
    }


@torch.no_grad()
def relative_change(bench: Bench, raw: Trial, edit: Edit, name: PartName) -> float:
    r"""Relative change of what a part gives, :math:`\|y' - y\| / \|y\|`, on training windows.

    Mean over layers, each edited alone, so that what the part reads is what it was.

    Args:
        bench: its store holds the trial; reports progress.
        raw: the fit.
        edit: what changes the part; on one layer at a time, whatever its own layers are.
        name: of the part.
    """
    run(bench, raw)
    forecaster = registry.load(bench.store.model(raw))
    assert isinstance(forecaster, NeuralForecaster)
    batches = calibration(cut(bench.store, raw).train)
    with attach(forecaster.module, batches[0]) as attached:
        before = _outputs(attached, name, batches[0])
    changes = []
    for layer, y in before.items():
        alone = replace(edit, layers=(layer,))  # type: ignore[type-var]
        with alone.on(forecaster.module, batches[0], batches) as attached:
            changed = _outputs(attached, name, batches[0])[layer]
        changes.append(float((changed - y).norm() / y.norm()))
    return sum(changes) / len(changes)


def _outputs(attached: Attached, name: PartName, x: Tensor) -> dict[int, Tensor]:
    """What every part of a kind gives in one pass, by layer."""
    seen: dict[int, Tensor] = {}

    def keep(layer: int) -> Callable[[Tensor], None]:
        return lambda y: seen.update({layer: y.clone()})

    handles = [
        handle for part in find_parts(attached, x[:2], name, None) for handle in part.on_output(keep(part.layer))
    ]
    try:
        attached(x)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _experiment(name: str, kinds: tuple[str, ...]) -> Experiment:
    """Over kinds, parts and seeds."""

    def parts(recipe: str, strengths: Mapping[str, Sequence[float]], seeds: int) -> list[dict[str, Any]]:
        shared = {"data": "ETTh1", "model": "patchtst", "recipe": recipe}
        return [
            shared | {"kind": kind, "part": part, "strengths": list(strengths[kind]), "seed": seed}
            for seed in range(seeds)
            for kind in kinds
            for part in PARTS
        ]

    return Experiment(name, disturbed, quick=parts(SHORT, _FEW, 3), full=parts(LONG, _MANY, 5))


SAME = _experiment("same-perturbation", (NOISE, SMOOTHING))
EQUAL = _experiment("equal-perturbation", (OUTPUT_NOISE, ABLATION))
