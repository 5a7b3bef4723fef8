"""What training leaves, what k steps of thought do, and how length of thought makes up for length of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from forecheck.papers.claim import Estimate, Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import averaged, holds, mean_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.settings import BySetting, Column, Found, equality, estimated, read, settings, shared, table
from forecheck.papers.test_time_scaling.thinking import ALIGNED, BOUND, HARDNESS, RECURSION, WIDTH
from forecheck.papers.test_time_scaling.training import DESCENT

ERROR = "squared error of w over d"
GOAL = 0.01
"""Error over d that is to be reached."""
TRAINED = 0.05
"""Relative distance of learnt weights that counts as none, on fresh prompts with a constant step."""


def steps_to(errors: Sequence[float], goal: float) -> int:
    """The first number of steps whose error is at most this; one more than there are if none is."""
    return next((k for k, error in enumerate(errors, 1) if error <= goal), len(errors) + 1)


def banded(label: str, repeats: Sequence[Sequence[float]]) -> dict[str, object]:
    """A curve over k with the interval of its mean over repeats."""
    found = [mean_estimate(column) for column in zip(*repeats, strict=True)]
    low = [each.value if each.low is None else each.low for each in found]
    high = [each.value if each.high is None else each.high for each in found]
    return curve(label, range(1, len(found) + 1), [each.value for each in found], low, high)


def judge_law(measured: Measured) -> Outcome:
    """Errors with unlimited prompts under the law; those with finite prompts are reported."""
    rows = [*measured["aligned"], *measured["hardness"]]
    worst = max(max(error / law for error, law in zip(row["unlimited"], row["law"], strict=True)) for row in rows)
    exceeded = [_exceeds(row) for row in measured["aligned"]]
    steps = f"{min(exceeded):g} to {max(exceeded):g}" if max(exceeded) < math.inf else "some on"
    return Outcome(
        verdict_of([worst <= 1 + 1e-9]),
        f"With unlimited prompts the error is at most {worst:.6f} times the bound. With prompts of "
        f"{measured['aligned'][0]['prompt']} it is above it by a tenth from step {steps}: the factor 1 + o(1) is not "
        "uniform in k.",
        Estimate(worst),
        table(
            "spectrum | n | m | Hard | error / bound at k = 1 | at k = 5 | at k = 10 | unlimited, largest",
            [
                [row["spectrum"], row["train"], row["prompt"], row["hardness"]]
                + [averaged(row["means"])[k - 1] / row["law"][k - 1] for k in (1, 5, 10)]
                + [max(error / law for error, law in zip(row["unlimited"], row["law"], strict=True))]
                for row in rows
            ],
        ),
        [_thinking(measured["aligned"][1:4], "Longer thought for shorter training", law=True)],
    )


def _exceeds(row: Row) -> float:
    return next(
        (
            k
            for k, (error, law) in enumerate(zip(averaged(row["means"]), row["law"], strict=True), 1)
            if error > 1.1 * law
        ),
        math.inf,
    )


def _thinking(rows: Sequence[Row], title: str, *, law: bool = False, steps: int = 10) -> dict[str, object]:
    drawn = []
    for row in rows:
        name = f"n = {row['train']}"
        drawn.append(banded(name, [means[:steps] for means in row["means"]]))
        if law:
            drawn.append(curve(f"bound, {name}", range(1, steps + 1), row["law"][:steps], style="dashed"))
    return curves(title, "steps of thought k", ERROR, drawn, log="y")


def judge_exchange(measured: Measured) -> Outcome:
    """Steps in place of examples: short training with thought against longer training without."""
    rows = measured["aligned"]
    by_length = {row["train"]: row for row in rows}
    short, long = by_length[10], by_length[30]
    direct = [means[0] for means in long["means"]]
    reached = [steps_to(means, goal) for means, goal in zip(short["means"], direct, strict=True)]
    at_20 = mean_estimate([means[-1] / goal for means, goal in zip(short["means"], direct, strict=True)])
    needed = {n: [steps_to(means, GOAL) for means in row["means"]] for n, row in by_length.items()}
    lengths = sorted(needed)
    falls = [a - b for a, b in zip(needed[lengths[0]], needed[lengths[-1]], strict=True)]
    held = [holds(at_20, below=1.0), holds(mean_estimate(falls), above=0.0)]
    return Outcome(
        verdict_of(held),
        f"Trained on 10 examples, {max(reached):g} steps reach the error of direct answers after training on 30; to "
        f"reach 1 % it takes {max(needed[lengths[0]]):g} steps at n = {lengths[0]} and {max(needed[lengths[-1]]):g} "
        f"at n = {lengths[-1]}.",
        mean_estimate(reached),
        table(
            "n | error / d at k = 1 | at k = 5 | steps to 1 % | bound's steps to 1 %",
            [
                [n, averaged(row["means"])[0], averaged(row["means"])[4], max(needed[n]), steps_to(row["law"], GOAL)]
                for n, row in by_length.items()
            ],
        ),
        [_thinking(rows, "Error by steps of thought")],
    )


def judge_hardness(measured: Measured) -> Outcome:
    """Harder tasks have larger errors after the same thought, and need more of it."""
    rows = sorted(measured["hardness"], key=lambda row: row["hardness"])
    held = []
    for easier, harder in pairwise(rows):
        ratios = [b[4] / a[4] for a, b in zip(easier["means"], harder["means"], strict=True)]
        held.append(holds(mean_estimate(ratios), above=1.0))
    needed = [max(steps_to(means, GOAL) for means in row["means"]) for row in rows]
    held.append(needed == sorted(needed) and needed[-1] > needed[0])
    ratio = mean_estimate([b[4] / a[4] for a, b in zip(rows[0]["means"], rows[-1]["means"], strict=True)])
    return Outcome(
        verdict_of(held),
        f"At n = {rows[0]['train']} and 5 steps the error is {averaged(rows[0]['means'])[4]:.1e} at hardness "
        f"{rows[0]['hardness']:.0f} and {averaged(rows[-1]['means'])[4]:.1e} at {rows[-1]['hardness']:.0f}; 1 % takes "
        f"{needed[0]:g} and {needed[-1]:g} steps.",
        ratio,
        table(
            "spectrum | Hard | error / d at k = 1 | at k = 5 | at k = 20 | steps to 1 %",
            [
                [row["spectrum"], row["hardness"], *(averaged(row["means"])[k - 1] for k in (1, 5, 20)), steps]
                for row, steps in zip(rows, needed, strict=True)
            ],
        ),
        [
            curves(
                "Harder tasks take longer thought",
                "steps of thought k",
                ERROR,
                [banded(f"Hard {row['hardness']:.0f}", row["means"]) for row in rows],
                log="y",
            )
        ],
    )


def _learnt_chart(found: Found) -> list[dict[str, Any]]:
    row = found.measured[DESCENT.name][0]
    order = range(1, len(row["learnt"]) + 1)
    series = [curve("learnt", order, row["learnt"], style="points")]
    series.append(curve("1 / Gamma", order, row["expected"], style="dashed"))
    return [curves("What training leaves", "direction", "diagonal of the learnt map", series)]


def _ours_of_descent(found: Found) -> Estimate:
    return mean_estimate(read(found.measured[DESCENT.name], "from the inverse of Gamma"))


judge_descent = BySetting(
    settings(DESCENT, by=("spectrum", "train")),
    {
        "spectrum": shared("spectrum", "spectrum"),
        "n": shared("n", "train"),
        "away": estimated("from 1 / Gamma", "from the inverse of Gamma", below=TRAINED),
        "plain": estimated("from 1 / Lambda", "from the inverse of Lambda"),
        "moved": Column("largest move of W_x,w", lambda rows: max(read(rows, "weight slot moved"))),
    },
    lambda found: (
        f"Gradient descent ends {_ours_of_descent(found).value:.1%} from the inverse of Gamma. The block that reads a "
        f"thought, W_x,w, moved by {found['moved']:most .0e}: with w_0 = 0 direct training gives it no gradient, so "
        "the k-step recursion rests on how that block was initialised."
    ),
    _ours_of_descent,
    _learnt_chart,
)
judge_recursion = equality(
    RECURSION,
    "difference",
    1e-10,
    "The layer on a prompt with appended thoughts and the powers differ by {worst:.0e} at most, over 20 steps.",
)
judge_bound = BySetting(
    settings(BOUND),
    {
        "spectrum": shared("spectrum", "spectrum"),
        "n": shared("n", "train"),
        "m": shared("m", "prompt"),
        "hardness": shared("Hard", "hardness"),
        "error": Column("error / d", lambda rows: averaged(rows[0]["means"])[0]),
        "bound": shared("bound / d", "bound"),
        "share": Column(
            "share", lambda rows: mean_estimate([means[0] / rows[0]["bound"] for means in rows[0]["means"]]), below=1.0
        ),
    },
    lambda found: (
        f"The error of direct answers is at most {found['share']:most .2f} of the bound and at least "
        f"{found['share']:least .3f} of it, over {len(found.rows)} cases: the bound is loose."
    ),
    "most share",
)

CLAIMS = claims(
    __name__,
    {
        "training": Tested(judge_descent, (DESCENT,)),
        "recursion": Tested(judge_recursion, (RECURSION,)),
        "bound": Tested(judge_bound, (BOUND,)),
        "scaling-law": Tested(judge_law, (ALIGNED, HARDNESS)),
        "exchange": Tested(judge_exchange, (ALIGNED,)),
        "hardness": Tested(judge_hardness, (HARDNESS,)),
    },
    TRAINED=TRAINED,
    WIDTH=WIDTH,
)
