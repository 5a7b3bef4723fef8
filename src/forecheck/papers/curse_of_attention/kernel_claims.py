"""E6: what section 5.1 says of the neural tangent kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from forecheck.papers.claim import Estimate, Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.kernel import LIMIT, SPECTRA, WIDE
from forecheck.papers.experiment import Row
from forecheck.papers.judging import all_or_none, holds, mean, mean_estimate, slope_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.rows import select
from forecheck.papers.settings import BySetting, Column, Found, Rows, average, estimated, read, settings, shared, table

STEPS_WITHIN_REACH = 1e9
CLOSE = 0.05
DELTA = 0.05
"""Of the constant D; that of theorem 5.2 is below 0.1."""


def _median(values: Sequence[float | None]) -> float:
    known = sorted(math.inf if value is None else value for value in values)
    return (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2


def _middle(head: str, key: str) -> Column:
    """Median over draws; none if it is not finite."""

    def found(rows: Rows) -> float | None:
        value = _median(rows[0][key])
        return value if math.isfinite(value) else None

    return Column(head, found)


def _kernels(measured: Measured) -> list[Rows]:
    return [[row] for row in sorted(measured[SPECTRA.name], key=lambda r: (r["steps"] != 8, r["steps"], r["samples"]))]


def _usable(rows: Rows) -> bool | None:
    return all_or_none([steps is not None and steps < STEPS_WITHIN_REACH for steps in rows[0]["steps asked for"]])


def _infinite(found: Found) -> list[Row]:
    return [row for row in found.rows if row["neurons"] is None and row["steps"] == 8]


def _positive(found: Found) -> str:
    lost = [rows[0]["samples"] for rows in found.groups if _usable(rows) is False]
    infinite = _infinite(found)
    if not lost:
        return "Every kernel has a smallest eigenvalue that can serve as a rate."
    smallest, rounding, rank, effective = (
        _median(infinite[-1][key]) for key in ("smallest", "rounding", "rank", "effective rank")
    )
    return (
        f"From {min(lost)} windows on there are kernels of which no draw has a rate that can serve. With "
        f"{infinite[-1]['samples']} windows at infinite width the smallest is {smallest:.0e} where rounding is "
        f"{rounding:.0e}; the rank is {rank:.0f}, the effective rank {effective:.1f}. With 4 windows theorem 5.2 asks "
        f"for a width of 1e{math.log10(_median(infinite[1]['width asked for'])):.0f} before its constants."
    )


def _spectra(found: Found) -> list[dict[str, Any]]:
    infinite = _infinite(found)
    series = [
        curve(f"{row['samples']} windows", range(1, len(row["eigenvalues"][0]) + 1), row["eigenvalues"][0])
        for row in infinite
    ]
    levels = [(f"rounding, {infinite[-1]['samples']} windows", infinite[-1]["rounding"][0])]
    title = "Eigenvalues of the kernel of infinite width, d = 8 (one draw)"
    return [curves(title, "number", "eigenvalue", series, log="y", levels=levels)]


def judge_limit(measured: Measured) -> Outcome:
    """The kernel at the start approaches its limit as the root of the width."""
    rows = measured[LIMIT.name]
    widths, distances = read(rows, "neurons"), read(rows, "distances")
    slopes = mean_estimate([_power(widths, draw).value for draw in zip(*distances, strict=True)])
    means = [mean(each) for each in distances]
    return Outcome(
        verdict_of([holds(slopes, above=-0.6, below=-0.4)]),
        f"The relative distance falls from {means[0]:.3f} at width {widths[0]} to {means[-1]:.4f} at {widths[-1]}, as "
        f"m^{slopes.value:.2f}.",
        slopes,
        table("width | relative distance", [list(each) for each in zip(widths, means, strict=True)]),
        [_law("Distance of the kernel at the start from infinite width", {"measured": (widths, means)})],
    )


def _power(widths: Sequence[float], values: Sequence[float]) -> Estimate:
    """The power of the width by which values fall."""
    return slope_estimate([math.log(m) for m in widths], [math.log(each) for each in values])


def _allowed(rows: Rows) -> float:
    """The logarithm of what the lemma allows, B^2 D."""
    size = max(rows[0]["reach"], 1.0)
    return float(size**2 * max(math.sqrt(math.log(rows[0]["neurons"] / DELTA)), 1.0))


def _ratio(rows: Rows) -> float:
    """The largest distance from the start over n R."""
    row = rows[0]
    moves = zip(row["left start"], row["moved"], strict=True)
    return max(left * row["norm at start"] / (row["samples"] * moved) for left, moved in moves)


def judge_lazy(measured: Measured) -> Outcome:
    """The kernel of wider networks moves less."""
    slopes, means, lines = [], {}, []
    for paired, name in ((True, "paired at the start"), (False, "not paired")):
        rows = select(measured[WIDE.name], paired=paired)
        slopes.append(_slopes(rows, "left start"))
        widths = sorted(set(read(rows, "neurons")))
        moves = [
            mean_estimate([row["left start"][-1] for row in select(rows, neurons=width)]).value for width in widths
        ]
        means[name] = widths, moves
        lines += [[name, width, move] for width, move in zip(widths, moves, strict=True)]
    return Outcome(
        verdict_of([holds(slope, below=-0.4) for slope in slopes]),
        f"The relative move of the kernel falls as m^{slopes[0].value:.2f} where neurons start in pairs and as "
        f"m^{slopes[1].value:.2f} where they do not: moves along a_r, whose signs are mixed, cancel to first order.",
        slopes[1],
        table("start | width | relative move", lines),
        [_law("Relative move of the kernel by training", means)],
    )


def _slopes(rows: Rows, key: str) -> Estimate:
    """Power of the width by which a quantity at the end falls, over draws."""
    draws = [select(rows, seed=seed) for seed in sorted(set(read(rows, "seed")))]
    return mean_estimate([_power(read(own, "neurons"), [row[key][-1] for row in own]).value for own in draws])


def _by_width(measured: Measured) -> list[Rows]:
    rows = select(measured[WIDE.name], paired=True)
    return [select(rows, neurons=width) for width in sorted(set(read(rows, "neurons")))]


def _regression(found: Found) -> str:
    widest = found.groups[-1]
    infinite = mean([row["risk of infinite"][-1] for row in widest])
    zero, fitted, bound = (
        mean(read(widest, key)) for key in ("risk of zero", "risk of least squares", "order-blind bound")
    )
    return (
        f"Forecasts of width {found['width'][-1]} are {found['distance']:last .1%} from the kernel's. Infinite width "
        f"has the risk {infinite:.2f}, zero {zero:.2f}, least squares {fitted:.3f}, and no order-blind rule less than "
        f"{bound:.2f}."
    )


def _law(title: str, means: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> dict[str, Any]:
    """What falls with the width, beside its inverse root."""
    widths, values = next(iter(means.values()))
    series = [curve(name, *each) for name, each in means.items()]
    series.append(curve("m^-1/2", widths, [values[0] * (m / widths[0]) ** -0.5 for m in widths], style="dashed"))
    return curves(title, "width m", "relative distance", series, log="xy")


CLAIMS = claims(
    __name__,
    {
        "E6-positive": Tested(
            BySetting(
                _kernels,
                {
                    "windows": shared("windows", "samples"),
                    "steps": shared("d", "steps"),
                    "width": Column("width", lambda rows: rows[0]["neurons"] or "infinite"),
                    "largest": _middle("largest", "largest"),
                    "smallest": _middle("smallest", "smallest"),
                    "rounding": _middle("rounding", "rounding"),
                    "rank": _middle("rank", "rank"),
                    "effective": _middle("effective rank", "effective rank"),
                    "asked": _middle("steps asked for", "steps asked for"),
                    "wide": _middle("width asked for", "width asked for"),
                },
                _positive,
                lambda found: Estimate(_median(_infinite(found)[-1]["effective rank"])),
                _spectra,
                also=lambda found: [_usable(rows) for rows in found.groups],
            ),
            (SPECTRA,),
        ),
        "E6-limit": Tested(judge_limit, (LIMIT,)),
        "E6-lemma": Tested(
            BySetting(
                settings(WIDE),
                {
                    "width": shared("width", "neurons"),
                    "paired": Column("pairs", lambda rows: str(rows[0]["paired"])),
                    "draw": shared("draw", "seed"),
                    "moved": Column("largest move R", lambda rows: rows[0]["moved"][-1]),
                    "ratio": Column("distance / (n R)", _ratio),
                    "allowed": Column("allowed, log", _allowed),
                    "least": Column("smallest eigenvalue / n", lambda rows: rows[0]["smallest"] / rows[0]["samples"]),
                },
                lambda found: (
                    f"The kernel moves by at most {found['ratio']:most .2g} n R, R the largest move of a weight; the "
                    f"lemma allows e^(B^2 D), at least e^{found['allowed']:least .0f}. Of {len(found.rows)} runs "
                    f"{sum(moved <= least for moved, least in zip(found['moved'], found['least'], strict=True))} end "
                    "with R below lambda / n, without which the lemma says nothing of the smallest eigenvalue."
                ),
                "most ratio",
                also=lambda found: [math.log(_ratio(rows)) <= _allowed(rows) for rows in found.groups],
            ),
            (WIDE,),
        ),
        "E6-lazy": Tested(judge_lazy, (WIDE,)),
        "E6-regression": Tested(
            BySetting(
                _by_width,
                {
                    "width": shared("width", "neurons"),
                    "distance": estimated("distance", lambda row: row["from infinite"][-1]),
                    "risk": average("risk", lambda row: row["risk"][-1]),
                    "infinite": average("of infinite width", lambda row: row["risk of infinite"][-1]),
                    "zero": average("of zero", "risk of zero"),
                    "fitted": average("of least squares", "risk of least squares"),
                },
                _regression,
                "last distance",
                lambda found: [
                    _law(
                        "Distance of trained networks from the kernel's forecasts",
                        {"measured": (found["width"], found["distance"].numbers)},
                    )
                ],
                also=lambda found: [
                    holds(found["distance"][-1], below=CLOSE),
                    holds(_slopes(found.rows, "from infinite"), below=0.0),
                ],
            ),
            (WIDE,),
        ),
    },
)
