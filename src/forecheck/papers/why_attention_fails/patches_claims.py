"""What the paper says of patches of growing length, down to a single token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from forecheck.papers.claim import Estimate, Measured, Outcome, Verdict
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.settings import table
from forecheck.papers.why_attention_fails.arms import LOOKBACK
from forecheck.papers.why_attention_fails.compared import (
    MARGIN,
    Losses,
    change,
    held,
    listed,
    losses,
    percents,
    picked,
    values,
    worded,
)
from forecheck.papers.why_attention_fails.patches import SINGLE, SWEEP, WIDTH
from forecheck.papers.why_attention_fails.replacement import PATCHTST_REFERENCES, RAW

SAME = 1e-4
"""Relative difference of losses that rounding of single precision may have grown to in training (5e-7 was found)."""


def judge_sweep(measured: Measured) -> Outcome:
    """All longer patches against the shortest."""
    rows = measured[SWEEP.name]
    by_length = {patch: picked(rows, patch=patch, width=patch) for patch in sorted(values(rows, "patch"))}
    narrow = picked(rows, patch=LOOKBACK, width=WIDTH)
    shortest = by_length[WIDTH]
    raw, overlap = losses(shortest), shortest[0]["overlap"]
    changes = {patch: change(losses(of), raw, overlap) for patch, of in by_length.items() if of is not shortest}
    single = change(losses(narrow), raw, overlap)
    words = listed([f"{patch} steps {worded(c)}" for patch, c in changes.items()])
    cells = [_cells(shortest)]
    cells += [_cells(by_length[patch], percents(c)) for patch, c in changes.items()]
    cells.append(_cells(narrow, percents(single)))
    linear = [("closed-form linear map", row["nlinear"]) for row in measured[PATCHTST_REFERENCES.name][:1]]
    return Outcome(
        verdict_of([held(c, below=MARGIN) for c in changes.values()]),
        f"ETTh1, against patches of {WIDTH} steps: {words}. A single token of {WIDTH} features, through which the "
        f"whole window must go: {worded(single)}.",
        percents(changes[LOOKBACK]),
        table("patch | tokens | features a token | MSE | change (%) | from | to | parameters", cells),
        [
            curves(
                "ETTh1: test MSE by patch length, as many features a token as steps",
                "patch length (steps)",
                "test MSE",
                [_line(by_length)],
                log="x",
                levels=linear,
            )
        ],
    )


def _cells(rows: Sequence[Row], e: Estimate | None = None) -> list[Any]:
    patch = rows[0]["patch"]
    numbers = ["", "", ""] if e is None else [e.value, e.low, e.high]
    mean = float(losses(rows).mean())
    return [patch, LOOKBACK // patch, rows[0]["width"], mean, *numbers, rows[0]["parameters"]]


def _line(by_length: Mapping[int, Sequence[Row]]) -> dict[str, Any]:
    by_seed = [losses(of).mean(axis=1) for of in by_length.values()]
    return curve(
        "mean and range of seeds",
        list(by_length),
        [float(np.mean(each)) for each in by_seed],
        [float(np.min(each)) for each in by_seed],
        [float(np.max(each)) for each in by_seed],
    )


def judge_single(measured: Measured) -> Outcome:
    """One token: what is trained must be the same network whatever is put in place of a 1."""
    rows = measured[SINGLE.name]
    raw = losses(picked(rows, mode=RAW))
    worst = max(_difference(losses(picked(rows, mode=mode)), raw) for mode in values(rows, "mode") if mode != RAW)
    return Outcome(
        Verdict.CONFIRMED if worst < SAME else Verdict.REFUTED,
        f"Trained with one token, the losses of raw, identity and mean differ by {worst:.1e} of their size at most.",
        Estimate(worst),
    )


def _difference(one: Losses, other: Losses) -> float:
    return float(np.abs(one / other - 1).max())


CLAIMS = claims(
    __name__,
    {
        "patch-length": Tested(judge_sweep, (SWEEP, PATCHTST_REFERENCES)),
        "single-token": Tested(judge_single, (SINGLE,)),
    },
    SAME=SAME,
)
