"""What the paper says of heads, prior means and initial guesses, and how our numbers are judged."""

from __future__ import annotations

from forecheck.papers.claim import Measured, Outcome, Table, untestable
from forecheck.papers.claims import Tested, claims
from forecheck.papers.initialisation.experiments import EXACT, HEAD_COUNT, TRAINED
from forecheck.papers.judging import averaged, holds, mean_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.rows import select
from forecheck.papers.settings import equality, table

SAME = 0.02
"""Relative difference of errors that counts as none: twice the Monte Carlo error of 60,000 test tasks."""


def judge_heads(measured: Measured) -> Outcome:
    """The error falls with the number of heads up to d + 1, and stays above the step from the prior mean."""
    rows = measured["heads"]
    by_mean = {mean: [row for row in rows if row["mean"] == mean] for mean in sorted({row["mean"] for row in rows})}
    held: list[bool | None] = []
    cells, drawn = [], []
    for mean, group in by_mean.items():
        step = group[0]["step from the mean"]
        above = mean_estimate([row["errors"][-1] / step - 1 for row in group])
        fall = mean_estimate([1 - row["errors"][-1] / row["errors"][0] for row in group])
        if mean:
            held += [holds(above, above=SAME if mean >= 1 else 0.0), holds(fall, above=0.0)]
        errors = averaged([row["errors"] for row in group])
        cells.append([mean, *errors, group[0]["any number"], step, group[0]["step from zero"]])
        drawn.append(curve(f"prior mean {mean:g}", group[0]["heads"], errors))
    largest = max(by_mean)
    ratio = mean_estimate([row["errors"][-1] / row["step from the mean"] for row in by_mean[largest]])
    return Outcome(
        verdict_of(held),
        f"With a prior mean of {largest:g} in every coordinate {rows[0]['heads'][-1]} heads leave {ratio.value:.3g} "
        "times the error of one step from the mean; the error falls with every head up to d + 1 and no further.",
        ratio,
        Table(
            [
                "prior mean",
                *(f"{count} heads" for count in rows[0]["heads"]),
                "any number",
                "step from mean",
                "step from 0",
            ],
            cells,
        ),
        [
            curves(
                "Error by number of heads",
                "heads",
                "mean squared error",
                drawn,
                log="y",
                levels=[("one step from the prior mean", rows[0]["step from the mean"])],
            )
        ],
    )


def judge_trained(measured: Measured) -> Outcome:
    """Training with the guess reaches the step from the mean; without it does not."""
    rows = measured["trained"]
    with_guess = {mean: select(rows, mean=mean, guess=True) for mean in sorted({row["mean"] for row in rows})}
    held, cells, drawn = [], [], []
    for mean, group in with_guess.items():
        step = group[0]["step from the mean"]
        ratio = mean_estimate([row["error"] / row["step on the same tasks"] for row in group])
        held.append(holds(ratio, below=1 + SAME))
        without = select(rows, mean=mean, guess=False)
        cells.append(
            [
                mean,
                sum(row["error"] for row in group) / len(group),
                sum(row["error"] for row in without) / len(without),
                step,
            ]
            + [sum(row[key] for row in group) / len(group) for key in ("learnt guess", "value ratio", "learnt step")]
        )
        for label, one in (("with guess", group[0]), ("without", without[0])):
            x, y = zip(*one["curve"], strict=True)
            drawn.append(curve(f"{label}, prior mean {mean:g}", x, y))
    largest = max(mean for mean in with_guess)
    ratio = mean_estimate([row["error"] / row["step on the same tasks"] for row in with_guess[largest]])
    return Outcome(
        verdict_of(held),
        f"Trained from random weights, one head with a linear guess ends at {ratio.value:.3f} times the error of one "
        "step from the prior mean, with the weights of that step.",
        ratio,
        table("prior mean | with guess | without | step from mean | guess | v_x / v_y (minus the mean) | step", cells),
        [
            curves(
                "Training with and without a guess",
                "step",
                "training error",
                drawn,
                log="xy",
                levels=[("one step from the prior mean", rows[0]["step from the mean"])],
            )
        ],
    )


judge_exact = equality(
    EXACT,
    "difference",
    1e-10,
    "The explicit weights and a step of gradient descent written out differ by {worst:.1e} at most.",
)

CLAIMS = claims(
    __name__,
    {
        "heads": Tested(judge_heads, (HEAD_COUNT,)),
        "closure": Tested(judge_exact, (EXACT,)),
        "trained": Tested(judge_trained, (TRAINED,)),
        "language-models": Tested(
            untestable("It needs language models of 7 to 8 billion parameters, and the prompt was not found.")
        ),
    },
)
