"""E6: what section 5.1 says of the neural tangent kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from forecheck.papers.claim import Claim, Estimate, Measured, Outcome, Table
from forecheck.papers.curse_of_attention.kernel import LIMIT, SPECTRA, WIDE
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, slope_estimate, verdict_of
from forecheck.papers.plots import curve, curves

STEPS_WITHIN_REACH = 1e9
CLOSE = 0.05
DELTA = 0.05
"""Of the constant D; that of theorem 5.2 is below 0.1."""


def judge_positive(measured: Measured) -> Outcome:
    """The smallest eigenvalue is more than rounding, and a rate that training can wait for."""
    rows = sorted(measured[SPECTRA.name], key=lambda row: (row["steps"] != 8, row["steps"], row["samples"]))
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for row in rows:
        asked = [math.inf if steps is None else steps for steps in row["steps asked for"]]
        usable = [steps < STEPS_WITHIN_REACH for steps in asked]
        held.append(True if all(usable) else None if any(usable) else False)
        cells.append(
            [
                row["samples"],
                row["steps"],
                row["neurons"] or "infinite",
                _median(row["largest"]),
                _median(row["smallest"]),
                _median(row["rounding"]),
                _median(row["rank"]),
                _median(row["effective rank"]),
                _finite(_median(asked)),
                _finite(_median([math.inf if width is None else width for width in row["width asked for"]])),
            ]
        )
    infinite = [row for row in rows if row["neurons"] is None and row["steps"] == 8]
    lost = [row["samples"] for row, each in zip(rows, held, strict=True) if each is False]
    most = infinite[-1]
    return Outcome(
        verdict_of(held),
        f"From {min(lost, default=0)} windows on there are kernels of which no draw has a rate that can serve. With "
        f"{most['samples']} windows at infinite width the smallest is {_median(most['smallest']):.0e} where rounding "
        f"is {_median(most['rounding']):.0e}; the rank is {_median(most['rank']):.0f}, the effective rank "
        f"{_median(most['effective rank']):.1f}. With 4 windows theorem 5.2 asks for a width of 1e"
        f"{math.log10(_median(infinite[1]['width asked for'])):.0f} before its constants."
        if lost
        else "Every kernel has a smallest eigenvalue that can serve as a rate.",
        Estimate(_median(most["effective rank"])),
        Table(
            [
                "windows",
                "d",
                "width",
                "largest",
                "smallest",
                "rounding",
                "rank",
                "effective rank",
                "steps asked for",
                "width asked for",
            ],
            cells,
        ),
        [
            curves(
                "Eigenvalues of the kernel of infinite width, d = 8 (one draw)",
                "number",
                "eigenvalue",
                [
                    curve(
                        f"{row['samples']} windows",
                        list(range(1, len(row["eigenvalues"][0]) + 1)),
                        row["eigenvalues"][0],
                    )
                    for row in infinite
                ],
                y_scale="log",
                levels=[(f"rounding, {most['samples']} windows", most["rounding"][0])],
            )
        ],
    )


def judge_limit(measured: Measured) -> Outcome:
    """The kernel at the start approaches its limit as the root of the width."""
    rows = measured[LIMIT.name]
    widths = [row["neurons"] for row in rows]
    slopes = mean_estimate(
        [
            slope_estimate([math.log(m) for m in widths], [math.log(each) for each in draw]).value
            for draw in zip(*(row["distances"] for row in rows), strict=True)
        ]
    )
    means = [sum(row["distances"]) / len(row["distances"]) for row in rows]
    return Outcome(
        verdict_of([holds(slopes, above=-0.6, below=-0.4)]),
        f"The relative distance falls from {means[0]:.3f} at width {widths[0]} to {means[-1]:.4f} at {widths[-1]}, as "
        f"m^{slopes.value:.2f}.",
        slopes,
        Table(["width", "relative distance"], [list(cell) for cell in zip(widths, means, strict=True)]),
        [_law("Distance of the kernel at the start from infinite width", widths, {"measured": means}, -0.5)],
    )


def judge_moves(measured: Measured) -> Outcome:
    """The kernel leaves its start by no more than the lemma's bound."""
    rows = measured[WIDE.name]
    ratios, bounds = [], []
    for row in rows:
        size = max(row["reach"], 1.0)
        spread = max(math.sqrt(math.log(row["neurons"] / DELTA)), 1.0)
        bounds.append(size**2 * spread)
        ratios.append(
            max(
                left * row["norm at start"] / (row["samples"] * moved)
                for left, moved in zip(row["left start"], row["moved"], strict=True)
            )
        )
    met = sum(row["moved"][-1] <= row["smallest"] / row["samples"] for row in rows)
    kept = [math.log(ratio) <= bound for ratio, bound in zip(ratios, bounds, strict=True)]
    return Outcome(
        verdict_of(kept),
        f"The kernel moves by at most {max(ratios):.2g} n R, R the largest move of a weight; the lemma allows e^(B^2 "
        f"D), at least e^{min(bounds):.0f}. Of {len(rows)} runs {met} end with R below lambda "
        "/ n, without which the lemma says nothing of the smallest eigenvalue.",
        Estimate(max(ratios)),
        Table(
            ["width", "pairs", "draw", "largest move R", "distance / (n R)", "allowed, log", "smallest eigenvalue / n"],
            [
                [
                    row["neurons"],
                    str(row["paired"]),
                    row["seed"],
                    row["moved"][-1],
                    ratio,
                    bound,
                    row["smallest"] / row["samples"],
                ]
                for row, ratio, bound in zip(rows, ratios, bounds, strict=True)
            ],
        ),
    )


def judge_lazy(measured: Measured) -> Outcome:
    """The kernel of wider networks moves less."""
    means: dict[str, list[float]] = {}
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    slopes = dict[str, Estimate]()
    widths: dict[str, list[int]] = {}
    for paired, name in ((True, "paired at the start"), (False, "not paired")):
        rows = [row for row in measured[WIDE.name] if row["paired"] is paired]
        slopes[name] = _slopes(rows, "left start")
        held.append(holds(slopes[name], below=-0.4))
        widths[name] = sorted({row["neurons"] for row in rows})
        means[name] = [
            mean_estimate([row["left start"][-1] for row in rows if row["neurons"] == m]).value for m in widths[name]
        ]
        cells += [[name, m, value] for m, value in zip(widths[name], means[name], strict=True)]
    one, other = slopes.values()
    most = widths["paired at the start"]
    return Outcome(
        verdict_of(held),
        f"The relative move of the kernel falls as m^{one.value:.2f} where neurons start in pairs and as "
        f"m^{other.value:.2f} where they do not: moves along a_r, whose signs are mixed, cancel to first order.",
        other,
        Table(["start", "width", "relative move"], cells),
        [_law("Relative move of the kernel by training", most, means, -0.5, widths)],
    )


def judge_regression(measured: Measured) -> Outcome:
    """A wide trained network forecasts as the kernel's predictor does, and no better."""
    rows = [row for row in measured[WIDE.name] if row["paired"]]
    widths = sorted({row["neurons"] for row in rows})
    by_width = {m: [row for row in rows if row["neurons"] == m] for m in widths}
    distances = {m: mean_estimate([row["from infinite"][-1] for row in group]) for m, group in by_width.items()}
    slope = _slopes(rows, "from infinite")
    widest = by_width[widths[-1]]
    risks = [
        sum(value) / len(widest)
        for value in zip(
            *(
                (
                    row["risk"][-1],
                    row["risk of infinite"][-1],
                    row["risk of zero"],
                    row["risk of least squares"],
                    row["order-blind bound"],
                )
                for row in widest
            ),
            strict=True,
        )
    ]
    return Outcome(
        verdict_of([holds(distances[widths[-1]], below=CLOSE), holds(slope, below=0.0)]),
        f"Forecasts of width {widths[-1]} are {distances[widths[-1]].value:.1%} from the kernel's. Infinite width has "
        f"the risk {risks[1]:.2f}, zero {risks[2]:.2f}, least squares {risks[3]:.3f}, and no order-blind rule less "
        f"than {risks[4]:.2f}.",
        distances[widths[-1]],
        Table(
            ["width", "distance", "risk", "of infinite width", "of zero", "of least squares"],
            [
                [
                    m,
                    distances[m].value,
                    *(sum(row[key][-1] for row in group) / len(group) for key in ("risk", "risk of infinite")),
                    *(sum(row[key] for row in group) / len(group) for key in ("risk of zero", "risk of least squares")),
                ]
                for m, group in by_width.items()
            ],
        ),
        [
            _law(
                "Distance of trained networks from the kernel's forecasts",
                widths,
                {"measured": [distances[m].value for m in widths]},
                -0.5,
            )
        ],
    )


def _slopes(rows: Sequence[Row], key: str) -> Estimate:
    """Of the logarithm of the last value over that of the width, by draw."""
    found = []
    for seed in sorted({row["seed"] for row in rows}):
        own = [row for row in rows if row["seed"] == seed]
        found.append(
            slope_estimate([math.log(row["neurons"]) for row in own], [math.log(row[key][-1]) for row in own]).value
        )
    return mean_estimate(found)


def _law(
    title: str,
    widths: Sequence[int],
    means: dict[str, list[float]],
    power: float,
    own: dict[str, list[int]] | None = None,
) -> dict[str, object]:
    first = next(iter(means.values()))[0]
    return curves(
        title,
        "width m",
        "relative distance",
        [
            *(curve(name, own[name] if own else widths, values) for name, values in means.items()),
            curve("m^-1/2", widths, [first * (m / widths[0]) ** power for m in widths], style="dashed"),
        ],
        x_scale="log",
        y_scale="log",
    )


def _median(values: Sequence[float | None]) -> float:
    known = sorted(math.inf if value is None else value for value in values)
    return (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


CLAIMS = (
    Claim(
        id="E6-positive",
        title="The kernel at the start is positive definite, with a smallest eigenvalue lambda that training can count "
        "on as its rate.",
        where="assumption F.3; theorem 5.2 takes (1 / (eta lambda)) log(1 / epsilon) steps and a width of order "
        "lambda^-3 n^7 d^2",
        rule="Holds for a kernel if in every draw lambda exceeds rounding (n eps lambda_max) and 1 % of the loss is "
        "reached within 1e9 steps at eta = 1 / lambda_max; does not if in none.",
        experiments=(SPECTRA,),
        judge=judge_positive,
        quantity="effective rank, 128 windows, infinite width",
    ),
    Claim(
        id="E6-limit",
        title="As the width m grows the kernel at the start approaches that of infinite width like m^-1/2.",
        where="section 5.1, whose H* has finite width; the limit is ours",
        rule="Confirmed if the 95 % interval over draws of the slope of log distance over log width lies between -0.6 "
        "and -0.4; refuted if outside.",
        experiments=(LIMIT,),
        judge=judge_limit,
        quantity="power of the width",
    ),
    Claim(
        id="E6-lemma",
        title="If no weight has moved by more than R the kernel has moved by n R e^O(B^2 D) at most.",
        where="lemma 5.1 (F.4), first part",
        rule="Confirmed if in every run and at all times the distance is below n R e^(B^2 D), with B the largest |x|, "
        "|y| (and 1), D = sqrt(log(m / 0.05)); refuted if in none.",
        experiments=(WIDE,),
        judge=judge_moves,
        quantity="largest distance over n R",
    ),
    Claim(
        id="E6-lazy",
        title="The kernel of wider networks stays nearer to its start, at least like m^-1/2.",
        where="section 5.1 and lemma H.4; the power is ours",
        rule="Confirmed if after a fixed number of steps the 95 % interval over draws of the slope of the relative "
        "move over the width (logarithms) lies below -0.4, with neurons paired at the start and not; refuted if above.",
        experiments=(WIDE,),
        judge=judge_lazy,
        quantity="power of the width, not paired",
    ),
    Claim(
        id="E6-regression",
        title="A wide trained network forecasts as the kernel's predictor does.",
        where="section 5.1; the predictor of infinite width is ours",
        rule="Confirmed if at the largest width forecasts of fresh windows are within 5 % of the kernel's after as "
        "many steps and the distance falls with the width (95 % intervals over draws); refuted if neither.",
        experiments=(WIDE,),
        judge=judge_regression,
        quantity="relative distance of forecasts at the largest width",
    ),
)
