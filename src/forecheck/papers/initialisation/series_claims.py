"""The label slot of a series as a linear guess, judged."""

from __future__ import annotations

from forecheck.papers.claim import Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.initialisation.series import SLOT
from forecheck.papers.judging import holds, mean_estimate, ratio_estimate, verdict_of
from forecheck.papers.plots import bars
from forecheck.papers.settings import table

PART = 0.1
"""Of the gap with an empty slot, what may be left with the guess."""


def judge_slot(measured: Measured) -> Outcome:
    """With the guess the layer is least squares, and the gap of the empty slot is gone."""
    rows = measured["slot"]
    worst = max(row["difference"] for row in rows)
    ratios = [ratio_estimate(row["guess"], row["zero"]) for row in rows]
    largest = max(ratios, key=lambda ratio: ratio.value)
    cells = [
        [row["process"], row["columns"], *(mean_estimate(row[key]).value for key in ("zero", "guess", "correction"))]
        for row in rows
    ]
    names = [f"{cell[0]}, n = {cell[1]}" for cell in cells]
    return Outcome(
        verdict_of([worst < 1e-10, *(holds(ratio, below=PART) for ratio in ratios)]),
        f"With the least-squares forecast in the slot and no values the layer is least squares (to {worst:.0e}), and "
        f"at most {largest.value:.2%} of the gap of an empty slot is left.",
        largest,
        table("process | n | slot zero | slot a linear guess | attention could still take off", cells),
        [
            bars(
                "Excess over the best linear predictor",
                "share of explained variance",
                names,
                [("slot zero", [cell[2] for cell in cells]), ("slot a linear guess", [cell[3] for cell in cells])],
            )
        ],
    )


CLAIMS = claims(__name__, {"series": Tested(judge_slot, (SLOT,))}, PART=PART)
