"""What the paper says of what becomes of forecasts when attention is replaced before training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from forecheck.papers.claim import Measured, Outcome, Verdict, untestable
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import verdict_of
from forecheck.papers.plots import bars
from forecheck.papers.settings import table
from forecheck.papers.why_attention_fails.arms import RECIPES
from forecheck.papers.why_attention_fails.compared import (
    MARGIN,
    change,
    held,
    listed,
    losses,
    percents,
    picked,
    values,
    worded,
)
from forecheck.papers.why_attention_fails.replacement import (
    AS_SLIDES,
    ITRANSFORMER,
    ITRANSFORMER_REFERENCES,
    PATCHTST,
    PATCHTST_REFERENCES,
    RAW,
)
from forecheck.statistics.inference import Comparison

AUTHORS = {
    ("patchtst", "ETTh1"): {"raw": 0.383, "identity": 0.387, "zero": 0.386, "mean": 0.384, "fixed": 0.385},
    ("patchtst", "ETTh2"): {"raw": 0.277, "identity": 0.278, "zero": 0.277, "mean": 0.277, "fixed": 0.277},
    ("itransformer", "ETTh1"): {"raw": 0.404, "identity": 0.381, "zero": 0.384, "mean": 0.392},
    ("itransformer", "ETTh2"): {"raw": 0.306, "identity": 0.290, "zero": 0.291, "mean": 0.295},
}
"""Test MSE at horizon 96, from the authors' tables for their reviewers."""
SLIDES = {"raw": 0.398, "identity": 0.384, "zero": 0.381, "mean": 0.394}
"""PatchTST on ETTh1, as reproduced in the slides."""


def _judge_replacement(experiment: str, references: str, model: str) -> Callable[[Measured], Outcome]:
    """Every mode on every set against raw attention."""

    def judge(measured: Measured) -> Outcome:
        rows = measured[experiment]
        sets = values(rows, "data")
        found = {data: _changes(picked(rows, data=data)) for data in sets}
        cells = []
        for data, changes in found.items():
            published = AUTHORS.get((model, data), {})
            cells += _cells(data, picked(rows, data=data), changes, published)
            cells += [
                [data, name, row[name], "", "", "", "", ""]
                for row in measured[references]
                if row["data"] == data
                for name in ("last", "nlinear")
            ]
        first = found[sets[0]]
        words = listed([f"{mode} {worded(c)}" for mode, c in first.items()])
        raw = _mean(picked(rows, data=sets[0], mode=RAW))
        linear = next((row["nlinear"] for row in measured[references] if row["data"] == sets[0]), None)
        beside = "" if linear is None else f" (a closed-form linear map: {linear:.3f})"
        return Outcome(
            verdict_of([held(c, below=MARGIN) for changes in found.values() for c in changes.values()]),
            f"{sets[0]}: raw attention {raw:.3f}{beside}; replaced: {words}. {_training(model, rows)}",
            percents(first["identity"]),
            table("set | attention | MSE | seeds' SD | change (%) | from | to | authors' MSE", cells),
            [_chart(data, changes, AUTHORS.get((model, data), {})) for data, changes in found.items()],
        )

    return judge


def _changes(rows: Sequence[Row]) -> dict[str, Comparison]:
    raw = picked(rows, mode=RAW)
    modes = [mode for mode in values(rows, "mode") if mode != RAW]
    return {mode: change(losses(picked(rows, mode=mode)), losses(raw), raw[0]["overlap"]) for mode in modes}


def _mean(rows: Sequence[Row]) -> float:
    return float(losses(rows).mean())


def _cells(
    data: str, rows: Sequence[Row], changes: dict[str, Comparison], published: dict[str, float]
) -> list[list[object]]:
    cells: list[list[object]] = []
    for mode in (RAW, *changes):
        of_mode = picked(rows, mode=mode)
        spread = float(losses(of_mode).mean(axis=1).std(ddof=1)) if len(of_mode) > 1 else ""
        ours = percents(changes[mode]) if mode in changes else None
        numbers = ["", "", ""] if ours is None else [ours.value, ours.low, ours.high]
        cells.append([data, mode, _mean(of_mode), spread, *numbers, published.get(mode, "")])
    return cells


def _training(model: str, rows: Sequence[Row]) -> str:
    """What is less than in the published recipes."""
    recipe = RECIPES[model, rows[0]["recipe"]]
    seeds = max(len(picked(rows, data=data, mode=RAW)) for data in values(rows, "data"))
    return f"{recipe.options['epochs']} epochs on every {recipe.step}th window, {seeds} seeds, horizon 96."


def _chart(data: str, changes: dict[str, Comparison], published: dict[str, float]) -> dict[str, object]:
    authors = [100 * (published[mode] / published[RAW] - 1) if mode in published else None for mode in changes]
    ours = [100 * c.effect for c in changes.values()]
    return bars(
        f"{data}: change of test MSE without attention",
        "change (%)",
        list(changes),
        [("here", ours), ("the authors", authors)],
    )


def judge_slides(measured: Measured) -> Outcome:
    """Every mode against raw attention, whose error is to be above all of them."""
    rows = measured["slides"]
    changes = _changes(rows)
    better = [held(c, below=0.0) for c in changes.values()]
    verdict = Verdict.UNTESTABLE
    if False in better:
        verdict = Verdict.REFUTED
    elif all(better):
        verdict = Verdict.CONFIRMED
    raw = _mean(picked(rows, mode=RAW))
    return Outcome(
        verdict,
        f"Raw attention {raw:.3f} (slides .398; the authors' own PatchTST .383, there the best); replaced: "
        f"{listed([f'{mode} {worded(c)}' for mode, c in changes.items()])}. Every 7th window, batches of 16 so that "
        f"an epoch has as many steps, stopped after 3 epochs without gain, {len(values(rows, 'seed'))} seeds.",
        percents(changes["identity"]),
        table(
            "set | attention | MSE | seeds' SD | change (%) | from | to | slides' MSE",
            _cells("ETTh1", rows, changes, SLIDES),
        ),
        [
            bars(
                "ETTh1: change of test MSE without attention, at the slides' settings",
                "change (%)",
                list(changes),
                [
                    ("here", [100 * c.effect for c in changes.values()]),
                    ("slides", [100 * (SLIDES[mode] / SLIDES[RAW] - 1) for mode in changes]),
                ],
            )
        ],
    )


_QUANTITY = "change of test MSE with the identity instead of attention, ETTh1, horizon 96 (%)"

CLAIMS = claims(
    __name__,
    {
        "patchtst": Tested(
            _judge_replacement(PATCHTST.name, PATCHTST_REFERENCES.name, "patchtst"), (PATCHTST, PATCHTST_REFERENCES)
        ),
        "itransformer": Tested(
            _judge_replacement(ITRANSFORMER.name, ITRANSFORMER_REFERENCES.name, "itransformer"),
            (ITRANSFORMER, ITRANSFORMER_REFERENCES),
        ),
        "slides": Tested(judge_slides, (AS_SLIDES,)),
        "pathformer": Tested(untestable("Pathformer is not among the forecasters here.")),
        "foundation-models": Tested(
            untestable("No pretrained weights are at hand, and what was done to them is not known.")
        ),
        "vit": Tested(
            untestable(
                "It takes 200 epochs on CIFAR-10, images and a GPU; and the published accuracies were not found."
            )
        ),
    },
)
