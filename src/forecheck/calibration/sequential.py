"""Does the whole procedure keep its level if seeds are added until it is decided?"""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from typing import Any

import numpy as np

from forecheck.calibration.context import Context
from forecheck.calibration.decisions import MARGIN, false_answers, two_way
from forecheck.calibration.result import Check, Part, Table, percent
from forecheck.nn.seeding import derive
from forecheck.statistics.inference import compare
from forecheck.statistics.sequential import spend

LOOKS = (3, 5, 8, 12, 20)
COUNT, HORIZON = 696, 24
"""As many stretches as the test part of ETTh1 has at horizon 96, in fewer windows."""
SPREADS = (0.0, 0.5, 1.0, 3.0, 10.0)
"""Spread between seeds in the mean over the first look's, as a multiple of the windows' standard error."""
ERRORS = (0.25, 1.0)
"""Standard error at the first look, as a multiple of the margin."""
SIDES = (0, 1)
_OUTCOMES = ("greater", "less", "equivalent", "undecided")


def stopped(truth: float, error: float, spread: float, repeats: int) -> dict[str, list[int]]:
    """What is said in the end, and how many seeds that took in all.

    Args:
        truth: true relative effect.
        error: standard error of the relative effect at the first look.
        spread: between seeds, see `SPREADS`.
        repeats: repetitions.

    Returns:
        By outcome: how often, and the seeds of all these repetitions.
    """
    rng = np.random.default_rng(derive(0, f"sequential {truth} {error} {spread}"))
    levels = spend(LOOKS)
    said: Counter[str] = Counter()
    seeds: Counter[str] = Counter()
    # two_way gives the spread for the mean over all seeds; here it is meant for the first look's.
    all_seeds = spread * math.sqrt(LOOKS[0] / LOOKS[-1])
    for _ in range(repeats):
        rows = truth + error / math.hypot(1, spread) * two_way(rng, LOOKS[-1], all_seeds, COUNT, HORIZON)
        for look, level in zip(LOOKS, levels, strict=True):
            (found,) = compare([rows[:look]], 1.0, HORIZON, margin=MARGIN, alpha=level, over_seeds="yes")
            if found.outcome != "undecided":
                break
        said[found.outcome] += 1
        seeds[found.outcome] += look
    return {outcome: [said[outcome], seeds[outcome]] for outcome in said}


def run_sequential(context: Context) -> Part:
    """False decisions of the stopping procedure, over all ratios of seeds' to windows' variance."""
    repeats = context.scale.decisions
    cells = [(side * MARGIN, error, spread) for side in SIDES for error in ERRORS for spread in SPREADS]
    checks, rows = [], []
    for done, (truth, error, spread) in enumerate(cells):
        context.report("sequential", done, len(cells))
        key: dict[str, Any] = {"part": "sequential", "truth": truth, "error": error, "spread": spread}
        found = context.once(
            key | {"repeats": repeats, "looks": LOOKS}, partial(stopped, truth, error * MARGIN, spread, repeats)
        )
        said = {outcome: times for outcome, (times, _) in found.items()}
        where = f"true effect {100 * truth:+g} %, error {error:g} x the margin, seeds {spread:g} x the windows"
        checks += [
            Check.share(f"{word}; {where}", hits, repeats, bound, strict=False)
            for word, hits, bound in false_answers(said, truth)
        ]
        shares = [percent(said.get(word, 0) / repeats) for word in _OUTCOMES]
        mean_seeds = sum(seeds for _, seeds in found.values()) / repeats
        rows.append([f"{100 * truth:+g} %", f"{error:g}", f"{spread:g}", *shares, f"{mean_seeds:.1f}"])
    context.report("sequential", len(cells), len(cells))
    columns = ("true effect", "error / margin", "seeds / windows", *_OUTCOMES, "seeds")
    table = Table("What is said in the end", columns, rows, "The last column is the mean number of seeds.")
    return Part("sequential", "Size of the decision with seeds added until it is made", _ABOUT, checks, [table])


_ABOUT = (
    f"Differences as in the decisions, n {COUNT}, H {HORIZON}, judged at {', '.join(map(str, LOOKS))} seeds, each look "
    "at its share of the level, until there is a decision. The same windows come back at every look. Bounds are those "
    "of the decisions."
)
