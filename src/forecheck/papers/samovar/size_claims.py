"""What is said of depth and head width, and how our numbers are judged."""

from __future__ import annotations

from collections.abc import Sequence

from forecheck.papers.claim import Estimate, Measured, Outcome, Table
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.samovar.size import DEPTH, HEADS


def judge_depth(measured: Measured) -> Outcome:
    """One layer is worst, and three or four are best."""
    rows = measured["depth"]
    by_depth = _by(rows, "layers")
    means = {depth: mean_estimate([row["excess"] for row in group]) for depth, group in by_depth.items()}
    held = [holds(_difference(by_depth[1], by_depth[depth]), above=0.0) for depth in means if depth > 1]
    best = min(means, key=lambda depth: means[depth].value)
    held.append(holds(_difference(by_depth[2], by_depth[best]), above=0.0) if best in {3, 4} else False)
    return Outcome(
        verdict_of(held),
        f"One layer leaves {means[1].value:.2f} noise variances over the oracle, the best depth, {best}, "
        f"{means[best].value:.2f}; zero {rows[0]['excess of zero']:.2f}, least squares inside the window "
        f"{rows[0]['excess of OLS']:.2f}.",
        means[1],
        _table("layers", means, rows[0]),
        [_chart("layers", means, rows[0])],
    )


def judge_heads(measured: Measured) -> Outcome:
    """Wide heads against the narrowest."""
    rows = measured["head width"]
    by_width = _by(rows, "head width")
    means = {width: mean_estimate([row["excess"] for row in group]) for width, group in by_width.items()}
    widest = max(means)
    held = [holds(_difference(by_width[width], by_width[widest]), above=0.0) for width in means if width != widest]
    narrow = min(means)
    return Outcome(
        verdict_of(held),
        f"Heads of {narrow} features leave {means[narrow].value:.2f} noise variances over the oracle, one head of "
        f"{widest} {means[widest].value:.2f}.",
        _difference(by_width[narrow], by_width[widest]),
        _table("head width", means, rows[0]),
        [_chart("head width", means, rows[0])],
    )


def _by(rows: Sequence[Row], key: str) -> dict[int, list[Row]]:
    return {value: [row for row in rows if row[key] == value] for value in sorted({row[key] for row in rows})}


def _difference(one: Sequence[Row], other: Sequence[Row]) -> Estimate:
    """Of excesses, seed by seed."""
    second = {row["seed"]: row["excess"] for row in other}
    return mean_estimate([row["excess"] - second[row["seed"]] for row in one])


def _table(name: str, means: dict[int, Estimate], row: Row) -> Table:
    cells = [[value, mean.value, mean.low, mean.high] for value, mean in means.items()]
    references = [[label, row[f"excess of {label}"], None, None] for label in ("zero", "OLS")]
    return Table([name, "excess over the oracle", "low", "high"], [*cells, *references])


def _chart(name: str, means: dict[int, Estimate], row: Row) -> dict[str, object]:
    low, high = ([getattr(mean, end) for mean in means.values()] for end in ("low", "high"))
    drawn = curve("SAMoVAR", list(means), [mean.value for mean in means.values()], low, high)
    levels = [("zero", row["excess of zero"]), ("least squares in the window", row["excess of OLS"])]
    return curves(f"Excess error by {name}", name, "noise variances", [drawn], levels=levels)


CLAIMS = claims(__name__, {"depth": Tested(judge_depth, (DEPTH,)), "head-width": Tested(judge_heads, (HEADS,))})
