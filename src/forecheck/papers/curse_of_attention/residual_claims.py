"""Proposition 6.3 part by part, closed forms, and E12."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from forecheck.papers.claim import Estimate, Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.residual import CALIBRATION, GENERIC, NOISE_RISK, OPTIMUM
from forecheck.papers.curse_of_attention.sign import GAMMA, NOISE, SPLIT
from forecheck.papers.curse_of_attention.sign_reading import FAR, NEAR, fails, mean_risk, over_floor
from forecheck.papers.experiment import Row
from forecheck.papers.judging import both, holds, mean, mean_estimate, slope_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.rows import grouped
from forecheck.papers.settings import BySetting, Column, Found, average, estimated, read, settings, shared, table

EXACT = 1e-8
"""Distances and differences up to here are rounding."""


def _order(model: str, measured: Measured) -> Outcome:
    found = list(grouped(measured[NOISE.name], "form", "noise").items())
    forms = list(dict.fromkeys(form for (form, _), _ in found))
    orders, held, drawn = {}, [], []
    for form in forms:
        own = [(noise, rows) for (other, noise), rows in found if other == form]
        orders[form] = mean_estimate(_orders([rows for _, rows in own], model))
        quietest = min(own)[1]
        if model == "attention":
            held.append(both(holds(orders[form], below=1.0), fails(quietest, "inconsistent")))
        else:
            near = [holds(over_floor(rows, model, "inconsistent"), below=NEAR) for _, rows in own]
            held.append(both(holds(orders[form], above=1.8, below=2.2), *near))
        noises = [noise for noise, _ in own]
        drawn.append(curve(form, noises, [mean_risk(rows, model, "inconsistent") for _, rows in own]))
        floors = [mean(read(rows, "floor")) for _, rows in own]
        drawn.append(curve(f"floor, {form}", noises, floors, style="dashed"))
    words = " and ".join(f"sigma^{each.value:.2f} ({form})" for form, each in orders.items())
    name = {"attention": "attention", "residual": "the residual linear network"}[model]
    worst = max(over_floor(rows, model, "inconsistent").value for _, rows in found)
    return Outcome(
        verdict_of(held),
        f"Where signs differ the risk of {name} falls with the noise like {words}; at most it is {worst:.3g} times the "
        "floor.",
        orders[forms[0]],
        table(
            "data | sigma | differing signs | all signs | floor | over floor",
            [
                [form, noise]
                + [mean_risk(rows, model, signs) for signs in ("inconsistent", "all")]
                + [rows[0]["floor"], over_floor(rows, model, "inconsistent").value]
                for (form, noise), rows in found
            ],
        ),
        [curves(f"Risk of {name} where signs differ", "sigma", "mean squared error", drawn, log="xy")],
    )


def _orders(by_noise: Sequence[Sequence[Row]], model: str) -> list[float]:
    """By repetition, the slope of the log risk over the log noise."""
    return [
        slope_estimate(
            [math.log(row["noise"]) for row in rows], [math.log(row[model]["inconsistent"]) for row in rows]
        ).value
        for rows in zip(*by_noise, strict=True)
    ]


def judge_bound(measured: Measured) -> Outcome:
    """The order-blind bound over the floor, and no trained network below it."""
    own = [row for row in measured[SPLIT.name] if row["share"] is None and row["form"] != "unit"]
    found = list(grouped([*measured[GAMMA.name], *own], "form", "gamma").items())
    held, cells = [], []
    for (form, gamma), rows in found:
        ratio = rows[0]["bound"] / rows[0]["floor"]
        apart = mean_estimate([row["attention"]["all"] - row["bound"] for row in rows])
        held.append(both(ratio > FAR, holds(apart, below=0.0) is not True))
        cells.append([form, gamma, rows[0]["bound"], mean_risk(rows, "attention", "all"), rows[0]["floor"], ratio])
    unit = [cell for cell in cells if cell[0] == "unit"]
    silent = (
        ", ".join(dict.fromkeys(str(cell[0]) for cell, each in zip(cells, held, strict=True) if not each)) or "none"
    )
    return Outcome(
        verdict_of(held),
        "Without positions the network sees the background as a multiset, so on unit data it stays at "
        f"{min(cell[-1] for cell in unit):.1f} to {max(cell[-1] for cell in unit):.1f} times the floor whatever its "
        f"weights. The argument says nothing on: {silent}.",
        Estimate(max(cell[-1] for cell in unit)),
        table("data | gamma | bound | attention, trained | floor | bound over floor", cells),
        [
            curves(
                "Bound for networks that are blind to order, unit data",
                "gamma",
                "mean squared error, all signs",
                [
                    curve("bound", [c[1] for c in unit], [c[2] for c in unit], style="dashed"),
                    curve("attention, trained", [c[1] for c in unit], [c[3] for c in unit]),
                    curve("floor", [c[1] for c in unit], [c[4] for c in unit], style="dashed"),
                ],
                log="y",
            )
        ],
    )


def judge_corrected(measured: Measured) -> Outcome:
    """The corrected weights: their distance, and that they are the coefficients where these sum to 1."""
    rows = measured[OPTIMUM.name]
    apart = [abs(row["distance"] - row["affine distance"]) for row in rows]
    same = [row["from c"] for row in rows if abs(row["sum"] - 1) < EXACT]
    return Outcome(
        verdict_of([max(*apart, *same) < EXACT]),
        f"w = D^+ (P_(d+1) - P_d), D = [P_k - P_d], leaves |sum c - 1| / |P^-T 1| to {max(apart):.0e}; where c sums "
        f"to 1 it is c, to {max(same, default=0):.0e}.",
        Estimate(max(*apart, *same)),
    )


def judge_moments(measured: Measured) -> Outcome:
    """Closed forms against samples, in standard errors."""
    cells = [
        [row["form"], row["gamma"], *each, (each[2] - each[1]) / each[3]]
        for row in measured[CALIBRATION.name]
        for each in row["checked"]
    ]
    worst = max(abs(cell[-1]) for cell in cells)
    return Outcome(
        verdict_of([worst < 4.5]),
        f"Of {len(cells)} numbers the farthest from its closed form is {worst:.1f} standard errors away.",
        Estimate(worst),
        table("data | gamma | number | closed form | sampled | standard error | apart", cells),
    )


def judge_generic(measured: Measured) -> Outcome:
    """What fitted residual linear networks lose to the best forecast on random features, over squared distances."""
    rows = [row for row in measured[GENERIC.name] if row["features"] != "affine"]
    quietest = min(row["noise"] for row in rows)
    cells, held, drawn = [], [], []
    slopes: dict[str, Estimate] = {}
    for (features, noise), same in grouped(rows, "features", "noise").items():
        squares = [row["distance"] ** 2 for row in same]
        lost = [row["residual"] - row["bayes"] for row in same]
        each = slope_estimate(squares, lost)
        free = mean_estimate([row["ols"] / row["bayes"] for row in same])
        if noise == quietest:
            slopes[features] = each
            held.append(both(holds(each, above=0.9, below=1.1), holds(free, below=1.1)))
            drawn.append(curve(features, squares, lost, style="points"))
        cells.append([features, noise, each.value, each.low, each.high, free.value])
        cells[-1].append(mean_estimate([row["residual"] / row["bayes"] for row in same]).value)
    reach = max(row["distance"] ** 2 for row in rows)
    words = ", ".join(f"{each.value:.3f} ({features})" for features, each in slopes.items())
    worst = max(cell[5] for cell in cells)
    return Outcome(
        verdict_of(held),
        f"At sigma = {quietest:g} the residual linear network loses {words} times its squared distance to the best "
        f"forecast; unrestricted least squares has at most {worst:.3f} times the risk of that.",
        next(iter(slopes.values())),
        table("features | sigma | loss over squared distance | low | high | OLS over best | residual over best", cells),
        [
            curves(
                "What the residual linear network loses",
                "squared distance",
                "risk above the best",
                [*drawn, curve("equal", [0.0, reach], [0.0, reach], style="dashed")],
            )
        ],
    )


_LEARNABLE = settings(OPTIMUM, by=("features", "gamma"), where=lambda row: row["features"] != "generic")
_FEATURES = {"features": shared("features", "features"), "gamma": shared("gamma", "gamma")}


def _ends(of: str) -> Any:
    """Least and largest of a setting."""
    return lambda rows: [min(read(rows, of)), max(read(rows, of))]


def _exact(row: Row) -> bool:
    return bool(row["distance"] < EXACT and row["rank"] == row["unknowns"])


def _unique(found: Found) -> str:
    none = [row["distance"] for row in found.rows if row["distance"] >= EXACT]
    return (
        f"There is exactly one where the coefficients sum to 1; of {len(found.rows)} draws with properties 1 and 2 "
        f"the {len(none)} without that have none, {min(none, default=0):.2f} to {max(none, default=0):.2f} away. At "
        f"most one is there for {sum(row['rank'] == row['unknowns'] for row in found.rows)} draws."
    )


CLAIMS = claims(
    __name__,
    {
        "E2-attains": Tested(partial(_order, "attention"), (NOISE,)),
        "E2-bound": Tested(judge_bound, (GAMMA, SPLIT)),
        "E2-linear": Tested(partial(_order, "residual"), (NOISE,)),
        "E2-printed": Tested(
            BySetting(
                _LEARNABLE,
                _FEATURES | {"left": Column("left, at least | left, at most", _ends("printed"))},
                lambda found: (
                    "The equation as the main text prints it has no solution: what is left is at least "
                    f"{min(row['printed'] / (1 - row['gamma']) for row in found.rows):.3f} (1 - gamma) in length, as "
                    "P_d is orthogonal to all P_k."
                ),
                lambda found: Estimate(min(row["printed"] for row in found.rows)),
                also=lambda found: [row["printed"] < EXACT for row in found.rows],
            ),
            (OPTIMUM,),
        ),
        "E2-unique": Tested(
            BySetting(
                _LEARNABLE,
                _FEATURES
                | {
                    "sum": Column("sum of c, from | sum of c, to", _ends("sum")),
                    "distance": Column("distance, from | distance, to", _ends("distance")),
                    "rank": Column("rank", lambda rows: f"{min(read(rows, 'rank'))} of {rows[0]['unknowns']}"),
                },
                _unique,
                lambda found: Estimate(mean([_exact(row) for row in found.rows])),
                also=lambda found: [_exact(row) for row in found.rows],
            ),
            (OPTIMUM,),
        ),
        "E2-corrected": Tested(judge_corrected, (OPTIMUM,)),
        "E2-noise": Tested(
            BySetting(
                settings(NOISE_RISK, by=("form", "gamma")),
                {
                    "form": shared("data", "form"),
                    "risk": average("risk", "risk"),
                    "2 sigma^2": shared("2 sigma^2", "printed"),
                    "all": shared("sigma^2 (1 + |c|^2)", "corrected"),
                    "printed": estimated("", lambda row: row["risk"] / row["printed"], above=0.97, below=1.03),
                    "corrected": estimated("", lambda row: row["risk"] / row["corrected"]),
                },
                "Where signs differ the exact network's risk is {printed:each .3f} times 2 sigma^2, and "
                "{corrected:list .3f} times sigma^2 (1 + |c|^2), which is 2 sigma^2 only if |c| = 1.",
                "first printed",
            ),
            (NOISE_RISK,),
        ),
        "E2-moments": Tested(judge_moments, (CALIBRATION,)),
        "E12": Tested(judge_generic, (GENERIC,)),
    },
    FAR=FAR,
    NEAR=NEAR,
)
