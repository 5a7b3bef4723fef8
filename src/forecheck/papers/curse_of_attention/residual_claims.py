"""Proposition 6.3 part by part, closed forms, and E12."""

from __future__ import annotations

import math
from collections.abc import Sequence

from forecheck.papers.claim import Claim, Estimate, Measured, Outcome, Table
from forecheck.papers.curse_of_attention.residual import CALIBRATION, GENERIC, NOISE_RISK, OPTIMUM
from forecheck.papers.curse_of_attention.sign import GAMMA, NOISE, SPLIT
from forecheck.papers.curse_of_attention.sign_reading import (
    FAILURE,
    FAR,
    NEAR,
    both,
    claim,
    fails,
    groups,
    mean_risk,
    over_floor,
)
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, slope_estimate, verdict_of
from forecheck.papers.plots import curve, curves

EXACT = 1e-8
"""Distances and differences up to here are rounding."""


def judge_attains(measured: Measured) -> Outcome:
    """How attention's risk falls with the noise."""
    return _order(measured, "attention")


def judge_linear(measured: Measured) -> Outcome:
    """How the residual linear network's risk falls with the noise."""
    return _order(measured, "residual")


def _order(measured: Measured, model: str) -> Outcome:
    found = groups(measured[NOISE.name], "form", "noise")
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
        floors = [sum(row["floor"] for row in rows) / len(rows) for _, rows in own]
        drawn.append(curve(f"floor, {form}", noises, floors, style="dashed"))
    told = " and ".join(f"sigma^{each.value:.2f} ({form})" for form, each in orders.items())
    name = {"attention": "attention", "residual": "the residual linear network"}[model]
    worst = max(over_floor(rows, model, "inconsistent").value for _, rows in found)
    return Outcome(
        verdict_of(held),
        f"Where signs differ the risk of {name} falls with the noise like {told}; at most it is {worst:.3g} times the "
        "floor.",
        orders[forms[0]],
        Table(
            ["data", "sigma", "differing signs", "all signs", "floor", "over floor"],
            [
                [form, noise]
                + [mean_risk(rows, model, signs) for signs in ("inconsistent", "all")]
                + [rows[0]["floor"], over_floor(rows, model, "inconsistent").value]
                for (form, noise), rows in found
            ],
        ),
        [
            curves(
                f"Risk of {name} where signs differ",
                "sigma",
                "mean squared error",
                drawn,
                x_scale="log",
                y_scale="log",
            )
        ],
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
    found = groups([*measured[GAMMA.name], *own], "form", "gamma")
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
        Table(["data", "gamma", "bound", "attention, trained", "floor", "bound over floor"], cells),
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
                y_scale="log",
            )
        ],
    )


def judge_printed(measured: Measured) -> Outcome:
    """What the printed equation leaves."""
    rows = [row for row in measured[OPTIMUM.name] if row["features"] != "generic"]
    least = min(row["printed"] / (1 - row["gamma"]) for row in rows)
    found = groups(rows, "features", "gamma")
    return Outcome(
        verdict_of([row["printed"] < EXACT for row in rows]),
        "The equation as the main text prints it has no solution: what is left is at least "
        f"{least:.3f} (1 - gamma) in length, as P_d is orthogonal to all P_k.",
        Estimate(min(row["printed"] for row in rows)),
        Table(
            ["features", "gamma", "left, at least", "left, at most"],
            [
                [*setting, min(row["printed"] for row in same), max(row["printed"] for row in same)]
                for setting, same in found
            ],
        ),
    )


def judge_unique(measured: Measured) -> Outcome:
    """Whether there is one exact residual linear network, and only one."""
    rows = [row for row in measured[OPTIMUM.name] if row["features"] != "generic"]
    held = [row["distance"] < EXACT and row["rank"] == row["unknowns"] for row in rows]
    found = groups(rows, "features", "gamma")
    none = [row["distance"] for row in rows if row["distance"] >= EXACT]
    return Outcome(
        verdict_of(held),
        f"There is exactly one where the coefficients sum to 1; of {len(rows)} draws with properties 1 and 2 the "
        f"{len(none)} without that have none, {min(none, default=0):.2f} to {max(none, default=0):.2f} away. At "
        f"most one is there for {sum(row['rank'] == row['unknowns'] for row in rows)} draws.",
        Estimate(sum(held) / len(held)),
        Table(
            ["features", "gamma", "sum of c, from", "sum of c, to", "distance, from", "distance, to", "rank"],
            [
                [
                    *setting,
                    min(row["sum"] for row in same),
                    max(row["sum"] for row in same),
                    min(row["distance"] for row in same),
                    max(row["distance"] for row in same),
                    f"{min(row['rank'] for row in same)} of {same[0]['unknowns']}",
                ]
                for setting, same in found
            ],
        ),
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


def judge_noise(measured: Measured) -> Outcome:
    """Which noise the residual linear network hands on."""
    found = groups(measured[NOISE_RISK.name], "form", "gamma")
    printed = {form: mean_estimate([row["risk"] / row["printed"] for row in rows]) for (form, _), rows in found}
    held = [holds(each, above=0.97, below=1.03) for each in printed.values()]
    corrected = {form: mean_estimate([row["risk"] / row["corrected"] for row in rows]) for (form, _), rows in found}
    told = ", ".join(f"{each.value:.3f} ({form})" for form, each in printed.items())
    right = ", ".join(f"{each.value:.3f}" for each in corrected.values())
    return Outcome(
        verdict_of(held),
        f"Where signs differ the exact network's risk is {told} times 2 sigma^2, and {right} times "
        "sigma^2 (1 + |c|^2), which is 2 sigma^2 only if |c| = 1.",
        next(iter(printed.values())),
        Table(
            ["data", "risk", "2 sigma^2", "sigma^2 (1 + |c|^2)"],
            [
                [form, sum(row["risk"] for row in rows) / len(rows), rows[0]["printed"], rows[0]["corrected"]]
                for (form, _), rows in found
            ],
        ),
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
        Table(["data", "gamma", "number", "closed form", "sampled", "standard error", "apart"], cells),
    )


def judge_generic(measured: Measured) -> Outcome:
    """What fitted residual linear networks lose to the best forecast on random features, over squared distances."""
    rows = [row for row in measured[GENERIC.name] if row["features"] != "affine"]
    quietest = min(row["noise"] for row in rows)
    cells, held, drawn = [], [], []
    slopes: dict[str, Estimate] = {}
    for (features, noise), same in groups(rows, "features", "noise"):
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
    told = ", ".join(f"{each.value:.3f} ({features})" for features, each in slopes.items())
    worst = max(cell[5] for cell in cells)
    return Outcome(
        verdict_of(held),
        f"At sigma = {quietest:g} the residual linear network loses {told} times its squared distance to the best "
        f"forecast; unrestricted least squares has at most {worst:.3f} times the risk of that.",
        next(iter(slopes.values())),
        Table(
            ["features", "sigma", "loss over squared distance", "low", "high", "OLS over best", "residual over best"],
            cells,
        ),
        [
            curves(
                "What the residual linear network loses",
                "squared distance",
                "risk above the best",
                [*drawn, curve("equal", [0.0, reach], [0.0, reach], style="dashed")],
            )
        ],
    )


_PART_1 = "section 6, proposition 6.3, part 1"
_PART_2 = "section 6, proposition 6.3, part 2"
CLAIMS = (
    claim(
        "E2-attains",
        "No trained attention attains a risk of order sigma^2 on sign-inconsistent steps.",
        _PART_1,
        f"{FAILURE}. Confirmed if on every form of the data the risk falls more slowly than sigma and attention fails "
        "at the smallest noise; refuted if on none.",
        NOISE,
        judge_attains,
        "power of sigma, unit data",
    ),
    Claim(
        "E2-bound",
        "No network of this form attains a risk of order sigma^2, whatever its weights: it cannot tell the order of "
        "the steps before the last.",
        "ours, in place of the proof of proposition 6.3, part 1, which never speaks of f",
        f"Confirmed if for every law the bound for order-blind forecasts exceeds {FAR:g} times the floor and no "
        "trained network lies below it (95 % interval); refuted if for none. It is a bound on all windows; "
        "for differing signs alone none is known.",
        (GAMMA, SPLIT),
        judge_bound,
        "largest bound over the floor, unit data",
    ),
    claim(
        "E2-linear",
        "The residual linear network attains a risk of order sigma^2 on sign-inconsistent steps.",
        _PART_2,
        f"Confirmed if, fitted, it falls like sigma to a power between 1.8 and 2.2 and stays under {NEAR:g} times the "
        "floor at every noise, with 95 % intervals over repetitions, on every form of the data whose coefficients sum "
        "to 1; refuted if on none.",
        NOISE,
        judge_linear,
        "power of sigma, unit data",
    ),
    claim(
        "E2-printed",
        "Its weights solve sum_k<d w_k P_k = P_(d+1) - P_d.",
        f"{_PART_2}, as the main text prints it",
        "Confirmed if nothing is left of the equation (1e-8) for features with properties 1 and 2, refuted if "
        "something is left for all.",
        OPTIMUM,
        judge_printed,
        "least length of what is left",
    ),
    claim(
        "E2-unique",
        "There is one and only one residual linear network without error before noise.",
        f"{_PART_2}, with sum_k<d w_k (P_k - P_d) = P_(d+1) - P_d as in the appendix",
        "Confirmed if for all features with properties 1 and 2 the equation has exactly one solution, refuted if for "
        "none.",
        OPTIMUM,
        judge_unique,
        "share of draws with exactly one",
    ),
    claim(
        "E2-corrected",
        "The weights are D^+ (P_(d+1) - P_d), exact if and only if the coefficients c sum to 1, and then equal to c.",
        "ours, correcting proposition 6.3, part 2",
        "Confirmed if distances are |sum c - 1| / |P^-T 1| to 1e-8 for all features, and weights are c where c sums "
        "to 1; else refuted.",
        OPTIMUM,
        judge_corrected,
        "largest difference",
    ),
    claim(
        "E2-noise",
        "The risk of that network is the variance of xi_d - xi_(d+1), 2 sigma^2.",
        f"{_PART_2}, its proof",
        "Confirmed if on every form of the data the sampled risk is 2 sigma^2 within 3 % (95 % interval), refuted if "
        "on none.",
        NOISE_RISK,
        judge_noise,
        "risk over 2 sigma^2, unit data",
    ),
    claim(
        "E2-moments",
        "Closed forms: how probable differing signs are, second moments and risks given them, the order-blind bound.",
        "ours, to calibrate E1 to E3",
        "Confirmed if every number of samples split by rejection lies within 4.5 standard errors, else refuted.",
        CALIBRATION,
        judge_moments,
        "farthest, in standard errors",
    ),
    claim(
        "E12",
        "Where coefficients do not sum to 1 the residual linear network pays the squared distance from its affine "
        "hull, and unrestricted least squares does not.",
        "ours, a limit of proposition 6.3, part 2",
        "Confirmed if at the smallest noise the slope of the loss over the squared distance lies within 10 % of 1 and "
        "least squares within 10 % of the best forecast, for random features with and without properties 1 and 2; "
        "refuted if for neither. Intervals of 95 % over draws.",
        GENERIC,
        judge_generic,
        "slope, features with properties 1 and 2",
    ),
)
