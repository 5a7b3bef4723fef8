"""Does the whole decision keep its level: seeds, margin and equivalence together?"""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.calibration.context import Context
from forecheck.calibration.losses import overlapping_losses
from forecheck.calibration.result import Check, Part, Table, percent
from forecheck.calibration.size import LIBERAL, NOMINAL
from forecheck.nn.seeding import derive
from forecheck.statistics.inference import compare, mean_over_seeds

COUNT, HORIZON = 2785, 96
"""The test part of ETTh1 at horizon 96."""
MARGIN = 0.01
SEEDS = (2, 3, 5)
SPREADS = (0.0, 1.0, 3.0)
"""Spread between seeds in the mean over them, as a multiple of the windows' standard error."""
ERRORS = (0.2, 0.5, 1.0)
"""Standard error of the effect, as a multiple of the margin."""
_ROBUST = LIBERAL / NOMINAL
BLOCKS, STRETCHES = (8, 16, 29, 59, 119), (0.5, 1.0, 2.0, 4.0)
_POWER_HORIZON = 24


def two_way(
    rng: np.random.Generator, seeds: int, spread: float, count: int = COUNT, horizon: int = HORIZON
) -> Float[np.ndarray, "seed time"]:
    r"""Loss differences d_{s,t} = a_s + b_t + e_{s,t}, scaled so that the windows' standard error is one.

    A third of the windows' variance is the seeds' own (e), the rest they share (b).

    Args:
        rng: to draw from.
        seeds: rows of the differences, all seeds of an audit.
        spread: standard deviation of the mean of a over the seeds, in standard errors of the windows.
        count: test windows.
        horizon: H; windows of successive steps overlap by H - 1 of them.
    """
    shared, *own = overlapping_losses(rng, seeds + 1, count, horizon)
    windows = math.sqrt(2 / 3) * shared + math.sqrt(1 / 3) * np.stack(own)
    # The mean of n overlapping windows weights n + H - 1 steps, all but the ends alike.
    error = math.sqrt((2 / 3 + 1 / (3 * seeds)) * _mean_variance(count, horizon))
    return windows / error + math.sqrt(seeds) * spread * rng.standard_normal((seeds, 1))


def _mean_variance(count: int, horizon: int) -> float:
    """Variance of the mean of overlapping windows over independent steps of variance one."""
    weights = np.convolve(np.ones(count), np.ones(horizon)) / (count * horizon)
    return float(np.square(weights).sum())


def _seed_size(seeds: int, spread: float, repeats: int) -> list[int]:
    """Rejections of the two-way test at nominal 5 %, and repetitions."""
    rng = np.random.default_rng(derive(0, f"two-way {seeds} {spread}"))
    hits = 0
    for _ in range(repeats):
        low, high = mean_over_seeds(two_way(rng, seeds, spread), HORIZON).interval(1 - NOMINAL)
        hits += low > 0 or high < 0
    return [hits, repeats]


def outcomes(truth: float, error: float, seeds: int, repeats: int) -> dict[str, int]:
    """What `compare` says if the true relative effect is `truth` and its standard error `error`.

    Args:
        truth: relative effect that is true.
        error: standard error of the effect that is measured, in the same unit.
        seeds: fits of each arm.
        repeats: simulated audits.

    Returns:
        How often each outcome came up.
    """
    rng = np.random.default_rng(derive(0, f"decision {truth} {error} {seeds}"))
    said: Counter[str] = Counter()
    for _ in range(repeats):
        rows = truth + error / math.sqrt(2) * two_way(rng, seeds, 1.0)
        said[compare([rows], 1.0, HORIZON, margin=MARGIN, over_seeds="yes")[0].outcome] += 1
    return dict(said)


def equivalence_power(blocks: int, stretch: float, repeats: int) -> int:
    """How often equal losses are found equivalent within the margin.

    Args:
        blocks: n / H.
        stretch: standard deviation of the mean difference over H windows, as a multiple of the margin.
        repeats: repetitions.
    """
    rng = np.random.default_rng(derive(0, f"power {blocks} {stretch}"))
    count = blocks * _POWER_HORIZON
    one = math.sqrt(_mean_variance(_POWER_HORIZON, _POWER_HORIZON))
    rows = stretch * MARGIN / one * overlapping_losses(rng, repeats, count, _POWER_HORIZON)
    return sum(compare([row[None]], 1.0, _POWER_HORIZON, margin=MARGIN)[0].outcome == "equivalent" for row in rows)


def run_decisions(context: Context) -> Part:
    """Size of the two-way test, and false decisions with the truth at zero and at the margin."""
    repeats = context.scale.decisions
    sizes = [(seeds, spread) for seeds in SEEDS for spread in SPREADS]
    truths = [(side * MARGIN, error) for side in (0, 1, -1) for error in ERRORS]
    total, done = len(sizes) + len(truths), 0
    checks, rows = [], []
    for seeds, spread in sizes:
        context.report("decisions", done, total)
        done += 1
        key: dict[str, Any] = {"part": "seeds", "seeds": seeds, "spread": spread, "repeats": repeats}
        hits = context.once(key, partial(_seed_size, seeds, spread, repeats))
        name = f"two-way test rejects a true zero; {seeds} seeds, their spread {spread:g} x the windows' error"
        checks.append(Check.share(name, hits[0], hits[1], LIBERAL, required=seeds > 2, strict=False))
    for truth, error in truths:
        context.report("decisions", done, total)
        done += 1
        key = {"part": "decisions", "truth": truth, "error": error, "repeats": repeats}
        said = context.once(key, partial(outcomes, truth, error * MARGIN, 3, repeats))
        where = f"true effect {100 * truth:+g} %, standard error {error:g} x the margin"
        checks += [
            Check.share(f"{word}; {where}", hits, repeats, bound, strict=False)
            for word, hits, bound in false_answers(said, truth)
        ]
        shares = [percent(said.get(word, 0) / repeats) for word in ("greater", "less", "equivalent", "undecided")]
        rows.append([f"{100 * truth:+g} %", f"{error:g}", *shares])
    context.report("decisions", total, total)
    columns = ("true effect", "error / margin", "greater", "less", "equivalent", "undecided")
    table = Table(
        "What the decision says", columns, rows, "Three seeds, whose spread is as large as the windows' error."
    )
    return Part("decisions", "Size of the decision with seeds and margin", _ABOUT, checks, [table])


def false_answers(said: dict[str, int], truth: float) -> list[tuple[str, int, float]]:
    """Wrong answers, how often, and the bound."""
    greater, less = said.get("greater", 0), said.get("less", 0)
    if truth == 0:
        return [("helps or hurts", greater + less, NOMINAL)]
    beyond = ("greater", greater) if truth > 0 else ("less", less)
    # One-sided tests: 2.5 % for a side, 5 % for equivalence; robust up to half as much again.
    return [
        (f"{beyond[0]} than the margin", beyond[1], _ROBUST * NOMINAL / 2),
        ("equivalent", said.get("equivalent", 0), _ROBUST * NOMINAL),
    ]


_ABOUT = (
    f"Differences d = a_s + b_t + e of seed s and window t, n {COUNT}, H {HORIZON}, margin {100 * MARGIN:g} %. At a "
    "true effect of zero a decision is false if it says helps or hurts; at the edge of the margin, if it says beyond "
    "it (nominal 2.5 %) or equivalent (nominal 5 %). Bounds are nominal values times 1.5 (Bradley 1978), but for "
    "false helps and hurts, which must keep 5 %. A bound is broken if the whole interval of the simulation lies "
    "above it. Two seeds, which say little of their spread, are reported only."
)
