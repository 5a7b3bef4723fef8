"""What the paper says of depth and of steps, and how our numbers are judged."""

from __future__ import annotations

from collections.abc import Sequence

from forecheck.papers.claim import Estimate, Measured, Outcome, Table
from forecheck.papers.claims import Tested, claims
from forecheck.papers.cross_attention.contexts import CONTEXTS
from forecheck.papers.cross_attention.steps import FLOW, MINIMISERS
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean, mean_estimate, ratio_estimate, share_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.rows import distinct, select
from forecheck.papers.settings import table

CLOSE = 0.005
"""Relative distance from a limit that counts as none."""
RARE = 0.001
"""Share of prompts that counts as none."""
LONG = 200
"""Context from which on prompts hardly diverge."""


def spans(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows by the bounds of m, shortest context or least depth first."""
    by = "length" if "length" in rows[0] else "depth"
    return [sorted(select(rows, low=low), key=lambda row: row[by]) for low in distinct(rows, "low")]


def setting(row: Row) -> str:
    """The bounds of m."""
    return f"[{row['low']:g}, {row['high']:g}]"


def _at(row: Row, depth: int, key: str = "means") -> list[float]:
    """Errors of a depth, a repeat each."""
    index = row["depths"].index(depth)
    return [errors[index] for errors in row[key]]


def judge_single(measured: Measured) -> Outcome:
    """One layer keeps its excess, however long the context is."""
    held, cells, drawn = [], [], []
    for group in spans(measured["contexts"]):
        ratios = [mean_estimate([error / row["floor"] for error in row["single"]]) for row in group]
        held += [holds(ratio, above=0.8) for ratio in ratios]
        lengths = [row["length"] for row in group]
        drawn += [
            curve(f"one layer {setting(group[0])}", lengths, [mean(row["single"]) for row in group]),
            curve(f"10 layers {setting(group[0])}", lengths, [mean(_at(row, 10)) for row in group]),
            curve(
                f"regression {setting(group[0])}", lengths, [mean(row["regression"]) for row in group], style="dashed"
            ),
        ]
        cells += [
            [setting(row), row["length"], mean(row["single"]), row["floor"], mean(row["regression"]), row["explained"]]
            for row in group
        ]
    last = spans(measured["contexts"])[0][-1]
    ours = mean_estimate([error / last["floor"] for error in last["single"]])
    return Outcome(
        verdict_of(held),
        f"With {last['length']} examples the best single layer is {mean(last['single']):.3f} above the Bayes error "
        f"({ours.value:.2f} of what it keeps without limit), regression in context {mean(last['regression']):.4f}.",
        ours,
        table("m | context | one layer | without limit | regression in context | of explained variance", cells),
        [curves("Excess by length of context", "context L", "excess error", drawn, log="xy")],
    )


def judge_depth(measured: Measured) -> Outcome:
    """Depth removes the excess, all the more the longer the context is."""
    held, cells, charts = [], [], []
    for group in spans(measured["contexts"]):
        last, before = group[-1], group[-2]
        held.append(holds(ratio_estimate(_at(last, 20), last["single"]), below=0.05))
        held.append(holds(ratio_estimate(_at(last, 20), _at(before, 20)), below=0.7))
        drawn = []
        for row in group:
            means = [mean(_at(row, depth)) for depth in row["depths"]]
            cells.append([setting(row), row["length"], mean(row["single"]), *means, mean(row["regression"])])
            if row["length"] >= LONG:
                drawn.append(curve(f"L = {row['length']}", row["depths"], means))
        levels = [(f"regression in context, L = {last['length']}", mean(last["regression"]))]
        levels.append(("best single layer", mean(last["single"])))
        title = f"Excess by depth, m in {setting(last)}"
        charts.append(curves(title, "layers T", "excess error", drawn, log="xy", levels=levels))
    last = spans(measured["contexts"])[0][-1]
    ratio = ratio_estimate(_at(last, 20), last["single"])
    return Outcome(
        verdict_of(held),
        f"With {last['length']} examples 20 layers leave {ratio.value:.2%} of a single layer's excess; regression in "
        f"context leaves {mean(last['regression']) / mean(last['single']):.2%}.",
        ratio,
        Table(["m", "context", "one layer, best", *(f"T = {depth}" for depth in last["depths"]), "regression"], cells),
        charts,
    )


def _extrapolated(rows: Sequence[Row], key: str) -> float:
    """The limit if what is left falls like 1 / T, from the two largest depths."""
    a, b = rows[-2:]
    return float((b["depth"] * b[key] - a["depth"] * a[key]) / (b["depth"] - a["depth"]))


def judge_limit(measured: Measured) -> Outcome:
    """Trained steps tend to 2 / (2 + low + high), and beta to minus alpha."""
    held, cells, charts = [], [], []
    for group in spans(measured["minimisers"]):
        last = group[-1]
        limits = [_extrapolated(group, key) / last["limit"] for key in ("alpha", "alpha of two")]
        away = [abs(row["alpha"] - row["limit"]) for row in group]
        held += [abs(limit - 1) < CLOSE for limit in limits]
        held += [away == sorted(away, reverse=True), abs(last["beta of two"] / last["alpha of two"] + 1) < CLOSE]
        flows = select(measured["flow"], low=last["low"])
        ends = {row["depth"]: (row["alphas"][-1], row["betas"][-1]) for row in flows}
        for row in group:
            if row["depth"] in ends:
                pair = row["alpha of two"], row["beta of two"]
                held.append(max(abs(a - b) for a, b in zip(pair, ends[row["depth"]], strict=True)) < CLOSE * pair[0])
            cells.append(
                [
                    *(setting(row), row["depth"], row["alpha"], row["alpha of two"], row["beta of two"]),
                    *ends.get(row["depth"], (None, None)),
                    *(row["limit"], row["excess"], row["excess at the limit"]),
                ]
            )
        depths = [row["depth"] for row in group]
        drawn = [
            curve("alpha, with beta = -alpha", depths, [row["alpha"] for row in group]),
            curve("alpha of two", depths, [row["alpha of two"] for row in group]),
            curve("-beta of two", depths, [-row["beta of two"] for row in group]),
        ]
        levels = [("2 / (2 + low + high)", last["limit"])]
        charts.append(curves(f"Trained steps, m in {setting(last)}", "layers T", "step", drawn, "x", levels=levels))
    charts += [
        curves(
            f"Gradient flow, T = {row['depth']}, m in {setting(row)}",
            "time",
            "parameter",
            [curve("alpha", row["times"], row["alphas"]), curve("-beta", row["times"], [-b for b in row["betas"]])],
            log="x",
        )
        for row in measured["flow"]
    ]
    first = spans(measured["minimisers"])[0]
    ours = _extrapolated(first, "alpha")
    return Outcome(
        verdict_of(held),
        f"At {first[-1]['depth']} layers the trained step is {first[-1]['alpha']:.4f}, extrapolated {ours:.4f}; the "
        f"formula gives {first[-1]['limit']:.4f}. Gradient flow from (0.01, -0.01) ends at the minimum.",
        Estimate(ours),
        table("m | T | alpha | alpha of two | beta of two | flow: alpha | beta | limit | excess | at the limit", cells),
        charts,
    )


def judge_short(measured: Measured) -> Outcome:
    """Short context: a share of prompts diverges and carries the mean."""
    held: list[bool | None] = []
    cells, drawn = [], []
    for group in spans(measured["contexts"]):
        shortest, longest = group[0], group[-1]
        share = _share(shortest)
        held.append(holds(share, above=RARE))
        held.append(holds(ratio_estimate(_at(shortest, 20), _at(shortest, 2)), above=1.0))
        held.append(holds(_share(longest), below=share.value))
        for row in group:
            means, medians = ([mean(_at(row, k, key)) for k in (2, 10, 20)] for key in ("means", "medians"))
            cells.append([setting(row), row["length"], _share(row).value, *means, *medians, mean(_at(row, 20, "safe"))])
        drawn += [
            curve(
                f"{name}, {setting(shortest)}",
                shortest["depths"],
                [mean(_at(shortest, k, key)) for k in shortest["depths"]],
            )
            for name, key in (("mean", "means"), ("median", "medians"), ("mean, safe step", "safe"))
        ]
    row = spans(measured["contexts"])[0][0]
    share = _share(row)
    return Outcome(
        verdict_of(held),
        f"In {share.value:.1%} of prompts of {row['length']} examples the sample spectrum exceeds 2 / alpha*: the "
        f"mean excess grows from {mean(_at(row, 2)):.2f} at 2 to {mean(_at(row, 20)):.1e} at 20 layers, the median "
        f"from {mean(_at(row, 2, 'medians')):.3f} to {mean(_at(row, 20, 'medians')):.3f}. A step for each prompt's own "
        f"spectrum leaves a mean of {mean(_at(row, 20, 'safe')):.2f}.",
        share,
        Table(
            [
                "m",
                "context",
                "share diverging",
                *(f"{name}, T = {k}" for name in ("mean", "median") for k in (2, 10, 20)),
                "mean, T = 20, safe step",
            ],
            cells,
        ),
        [curves(f"Depth at L = {row['length']}", "layers T", "excess error", drawn, log="xy")],
    )


def _share(row: Row) -> Estimate:
    return share_estimate(round(sum(row["diverging"]) * row["tasks"]), row["tasks"] * row["repeats"])


def judge_regression(measured: Measured) -> Outcome:
    """With a safe step the limit of depth is regression in context; stopping early gains on it."""
    held, cells, gains = [], [], []
    for group in spans(measured["contexts"]):
        for row in group:
            deepest = ratio_estimate(_at(row, row["depths"][-1], "safe"), row["regression"])
            means = [mean(_at(row, depth)) for depth in row["depths"]]
            best = row["depths"][means.index(min(means))]
            gain = ratio_estimate(_at(row, best), row["regression"])
            if row["length"] >= LONG:
                held += [holds(deepest, above=0.95, below=1.05), holds(gain, below=1.0)]
                gains.append(gain.value)
            cells.append([setting(row), row["length"], deepest.value, best, gain.value, mean(row["regression"])])
    longest = spans(measured["contexts"])[0][-1]
    ours = ratio_estimate(_at(longest, longest["depths"][-1], "safe"), longest["regression"])
    return Outcome(
        verdict_of(held),
        f"At {longest['depths'][-1]} layers with a safe step the excess is {ours.value:.3f} times that of regression "
        f"in context; with alpha* and the best depth it is {min(gains):.2f} to {max(gains):.2f} times, from {LONG} "
        "examples on. More where a prompt diverges at that depth.",
        ours,
        table("m | context | deepest / regression | best T | best T / regression | regression", cells),
    )


CLAIMS = claims(
    __name__,
    {
        "single-layer": Tested(judge_single, (CONTEXTS,)),
        "depth": Tested(judge_depth, (CONTEXTS,)),
        "step": Tested(judge_limit, (MINIMISERS, FLOW)),
        "short-context": Tested(judge_short, (CONTEXTS,)),
        "regression": Tested(judge_regression, (CONTEXTS,)),
    },
    CLOSE=CLOSE,
    LONG=LONG,
    RARE=RARE,
)
