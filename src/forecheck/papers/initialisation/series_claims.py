"""The label slot of a series as a linear guess, judged."""

from __future__ import annotations

from forecheck.papers.claim import Claim, Measured, Outcome, Table
from forecheck.papers.initialisation.series import SLOT
from forecheck.papers.judging import holds, mean_estimate, ratio_estimate, verdict_of
from forecheck.papers.plots import bars

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
        Table(["process", "n", "slot zero", "slot a linear guess", "attention could still take off"], cells),
        [
            bars(
                "Excess over the best linear predictor",
                "share of explained variance",
                names,
                [("slot zero", [cell[2] for cell in cells]), ("slot a linear guess", [cell[3] for cell in cells])],
            )
        ],
    )


CLAIMS = (
    Claim(
        id="series",
        title="For series the gap of linear attention to least squares is that of its empty label slot: with a linear "
        "guess there, one layer equals least squares.",
        where="ours: the guess of this paper in the prompts of arXiv 2510.09776",
        rule=f"Confirmed if the layer with the guess and no values is least squares to 1e-10, and the interval of its "
        f"excess over that of the closed-form head with an empty slot lies under {PART:.0%} in every case; refuted if "
        "neither holds.",
        experiments=(SLOT,),
        judge=judge_slot,
        quantity="largest share of the empty slot's gap that is left",
    ),
)
