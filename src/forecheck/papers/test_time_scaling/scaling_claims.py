"""What training leaves, what k steps of thought do, and how length of thought makes up for length of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from forecheck.papers.claim import Estimate, Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import (
    averaged,
    holds,
    mean_estimate,
    verdict_of,
)
from forecheck.papers.plots import curve, curves
from forecheck.papers.settings import (
    table,
)
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


def judge_descent(measured: Measured) -> Outcome:
    """Weights that gradient descent ends with against Gamma's inverse."""
    rows = measured["descent"]
    held, cells = [], []
    for key in dict.fromkeys((row["spectrum"], row["train"]) for row in rows):
        group = [row for row in rows if (row["spectrum"], row["train"]) == key]
        away = mean_estimate([row["from the inverse of Gamma"] for row in group])
        held.append(holds(away, below=TRAINED))
        plain = mean_estimate([row["from the inverse of Lambda"] for row in group])
        cells.append([*key, away.value, plain.value, max(row["weight slot moved"] for row in group)])
    away = mean_estimate([row["from the inverse of Gamma"] for row in rows])
    moved = max(row["weight slot moved"] for row in rows)
    order = range(1, len(rows[0]["learnt"]) + 1)
    return Outcome(
        verdict_of(held),
        f"Gradient descent ends {away.value:.1%} from the inverse of Gamma. The block that reads a thought, W_x,w, "
        f"moved by {moved:.0e}: with w_0 = 0 direct training gives it no gradient, so the k-step recursion rests on "
        "how that block was initialised.",
        away,
        table("spectrum | n | from 1 / Gamma | from 1 / Lambda | largest move of W_x,w", cells),
        [
            curves(
                "What training leaves",
                "direction",
                "diagonal of the learnt map",
                [
                    curve("learnt", order, rows[0]["learnt"], style="points"),
                    curve("1 / Gamma", order, rows[0]["expected"], style="dashed"),
                ],
            )
        ],
    )


def judge_recursion(measured: Measured) -> Outcome:
    """The layer on a growing prompt and the powers are the same numbers."""
    worst = max(row["difference"] for row in measured["recursion"])
    return Outcome(
        verdict_of([worst < 1e-10]),
        f"The layer on a prompt with appended thoughts and the powers differ by {worst:.0e} at most, over 20 steps.",
        Estimate(worst),
    )


def judge_bound(measured: Measured) -> Outcome:
    """Errors of one step under the bound."""
    rows = measured["bound"]
    shares = [mean_estimate([means[0] / row["bound"] for means in row["means"]]) for row in rows]
    largest = max(shares, key=lambda share: share.value)
    return Outcome(
        verdict_of([holds(share, below=1.0) for share in shares]),
        f"The error of direct answers is at most {largest.value:.2f} of the bound and at least "
        f"{min(share.value for share in shares):.3f} of it, over {len(rows)} cases: the bound is loose.",
        largest,
        table(
            "spectrum | n | m | Hard | error / d | bound / d | share",
            [
                [
                    *(row[key] for key in ("spectrum", "train", "prompt", "hardness")),
                    averaged(row["means"])[0],
                    row["bound"],
                    share.value,
                ]
                for row, share in zip(rows, shares, strict=True)
            ],
        ),
    )


def judge_law(measured: Measured) -> Outcome:
    """Errors with unlimited prompts under the law; those with finite prompts are told."""
    rows = [*measured["aligned"], *measured["hardness"]]
    worst = max(max(error / law for error, law in zip(row["unlimited"], row["law"], strict=True)) for row in rows)
    exceeded = [_exceeds(row) for row in measured["aligned"]]
    told = f"{min(exceeded):g} to {max(exceeded):g}" if max(exceeded) < math.inf else "some on"
    return Outcome(
        verdict_of([worst <= 1 + 1e-9]),
        f"With unlimited prompts the error is at most {worst:.6f} times the bound. With prompts of "
        f"{measured['aligned'][0]['prompt']} it is above it by a tenth from step {told}: the factor 1 + o(1) is not "
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
    return curves(title, "steps of thought k", ERROR, drawn, y_scale="log")


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
                y_scale="log",
            )
        ],
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
