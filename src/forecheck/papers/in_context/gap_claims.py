"""The gap of one layer to the linear predictor: sign, rate, constant, limit, and controls."""

from __future__ import annotations

import math
from collections.abc import Sequence

from forecheck.papers.claim import Measured, Outcome, Table
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.in_context.gap import GAPS, LAPLACE, LONG, MANY
from forecheck.papers.judging import holds, mean, mean_estimate, ratio_estimate, slope_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.rows import distinct, select
from forecheck.papers.settings import table

LIMIT = 100
"""Columns from which on a rate in n is read off."""
SHARE = "excess over explained variance"
METHODS = ("relaxed", "fitted head", "closed form", "in context", "on the series")


def _by_length(rows: Sequence[Row], name: str) -> list[Row]:
    return sorted(select(rows, process_name=name), key=lambda row: row["columns"])


def _table(rows: Sequence[Row]) -> Table:
    return table(
        "process | n | 2 / (n + 2) | any heads | fitted head | closed form | OLS in context | OLS on series",
        [[row["process_name"], row["columns"], row["predicted"], *(mean(row[key]) for key in METHODS)] for row in rows],
    )


def _drawn(rows: Sequence[Row], name: str) -> dict[str, object]:
    group = _by_length(rows, name)
    lengths = [row["columns"] for row in group]
    names = ("one layer, any heads", "closed-form head", "OLS in context")
    series = [
        curve(words, lengths, [mean(row[key]) for row in group])
        for words, key in zip(names, ("relaxed", "closed form", "in context"), strict=True)
    ]
    series.append(curve("2 / (n + 2)", lengths, [row["predicted"] for row in group], style="dashed"))
    levels = [("OLS on the series", mean(group[0]["on the series"]))]
    title = f"Gap to the best linear predictor, {name}"
    return curves(title, "columns n", SHARE, series, log="xy", levels=levels)


def judge_gap(measured: Measured) -> Outcome:
    """The optimum of any number of heads stays above the best linear predictor and above OLS on the series."""
    rows = measured["gaps"]
    lead = [mean_estimate([a - b for a, b in zip(row["relaxed"], row["on the series"], strict=True)]) for row in rows]
    held = [holds(each, above=0.0) for each in lead]
    least = min(rows, key=lambda row: mean(row["relaxed"]))
    ours = mean_estimate(least["relaxed"])
    return Outcome(
        verdict_of([*held, *(holds(mean_estimate(row["relaxed"]), above=0.0) for row in rows)]),
        f"Over {len(rows)} cases the least gap is {ours.value:.2%} of the explained variance (n = "
        f"{least['columns']}); OLS on one series of 40,000 steps is {mean(least['on the series']):.3%} above the best "
        "predictor there.",
        ours,
        _table(rows),
        [_drawn(rows, name) for name in distinct(rows, "process_name")],
    )


def judge_rate(measured: Measured) -> Outcome:
    """Log-log slope of the gap, and n times the gap."""
    rows = [row for row in (*measured["gaps"], *measured["long"]) if row["columns"] >= LIMIT]
    held, cells = [], []
    for name in distinct(rows, "process_name"):
        group = _by_length(rows, name)
        x = [math.log(row["columns"]) for row in group]
        repeats = range(min(len(row["relaxed"]) for row in group))
        slopes = [slope_estimate(x, [math.log(row["relaxed"][i]) for row in group]).value for i in repeats]
        slope = mean_estimate(slopes)
        held.append(holds(slope, above=-1.1, below=-0.9))
        last = group[-1]
        scaled = mean_estimate([last["columns"] * each for each in last["relaxed"]])
        cells.append([name, slope.value, slope.low, slope.high, scaled.value, last["columns"]])
    return Outcome(
        verdict_of(held),
        f"From n = {LIMIT} on the gap of the best layer falls with slopes of "
        f"{', '.join(f'{cell[1]:.2f}' for cell in cells)}; n gap / (gamma_0 - sigma^2) is "
        f"{', '.join(f'{cell[4]:.2f}' for cell in cells)} at n = {cells[0][5]}, where 2n / (n + 2) is "
        f"{2 * cells[0][5] / (cells[0][5] + 2):.2f}.",
        mean_estimate([cell[1] for cell in cells]),
        table("process | slope | low | high | n gap / explained | at n", cells),
    )


def judge_constant(measured: Measured) -> Outcome:
    """Measured over predicted gap of the closed form, normal and Laplace."""
    held, cells = [], []
    for row in [*measured["gaps"], *measured["laplace"]]:
        ratio = mean_estimate([each / row["predicted"] for each in row["closed form"]])
        if row["columns"] >= (25 if row["law"] == "normal" else 200):
            held.append(holds(ratio, above=0.85, below=1.15))
        cells.append([row["process_name"], row["law"], row["columns"], ratio.value, ratio.low, ratio.high])
    exact = [cell for cell in cells if cell[1] == "normal"]
    other = [cell for cell in cells if cell[1] == "laplace"]
    ours = mean_estimate([cell[3] for cell in exact])
    return Outcome(
        verdict_of(held),
        f"Measured over predicted gap is {min(c[3] for c in exact):.2f} to {max(c[3] for c in exact):.2f} with normal "
        f"innovations; with Laplace ones, where the 2 becomes 5, {min(c[3] for c in other):.2f} to "
        f"{max(c[3] for c in other):.2f}, nearer to 1 the longer the context.",
        ours,
        table("process | innovations | n | measured / predicted | low | high", cells),
    )


def judge_closed_form(measured: Measured) -> Outcome:
    """One closed-form head beside the optimum of any number of heads."""
    held, cells = [], []
    for row in measured["gaps"]:
        ratio = ratio_estimate(row["closed form"], row["relaxed on others"])
        if row["columns"] >= 100:
            held.append(holds(ratio, below=1.1))
        cells.append([row["process_name"], row["columns"], ratio.value, ratio.low, ratio.high])
    last = max(row["columns"] for row in measured["gaps"])
    ours = mean_estimate([cell[2] for cell in cells if cell[1] == last])
    return Outcome(
        verdict_of(held),
        f"The closed-form head has {ours.value:.3f} times the gap of the best layer at n = {last} and "
        f"{max(cell[2] for cell in cells):.2f} times at most at short context; no training is needed.",
        ours,
        table("process | n | closed form / best layer | low | high", cells),
    )


def judge_recovery(measured: Measured) -> Outcome:
    """The gap vanishes with context for one process."""
    rows = [*measured["gaps"], *measured["long"]]
    held = []
    for name in distinct(rows, "process_name"):
        last = _by_length(rows, name)[-1]
        held.append(holds(mean_estimate(last["relaxed on others"]), below=0.01))
    longest = max(row["columns"] for row in rows)
    ours = mean_estimate([each for row in rows if row["columns"] == longest for each in row["relaxed on others"]])
    return Outcome(
        verdict_of(held),
        f"At n = {longest} a layer is {ours.value:.2%} of the explained variance above the best linear predictor.",
        ours,
        _table([row for row in rows if row["columns"] >= 200]),
        [_drawn(rows, name) for name in distinct(rows, "process_name")[:1]],
    )


def judge_many(measured: Measured) -> Outcome:
    """What is left for many processes without limit of context."""
    held, cells = [], []
    for row in measured["many"]:
        share = mean_estimate(row["shares"])
        held.append(holds(share, above=0.01))
        cells.append([row["order"], "unit" if row["scaled"] else "own", share.value, share.low, share.high])
    largest = max(measured["many"], key=lambda row: (row["order"], row["scaled"]))
    ours = mean_estimate(largest["shares"])
    words = ", ".join(f"{cell[2]:.3f} (p = {cell[0]}, {cell[1]} variance)" for cell in cells)
    return Outcome(
        verdict_of(held),
        f"Left without limit of context, as a share of the explained variance: {words}. Only first-order processes of "
        "unit variance are recovered.",
        ours,
        table("p | variance of prompts | excess | low | high", cells),
    )


def judge_baselines(measured: Measured) -> Outcome:
    """One layer beside regression in its context: by 2 (gamma_0 - sigma^2) against p sigma^2."""
    held, cells = [], []
    for row in measured["gaps"]:
        if row["columns"] < 50:
            continue
        ratio = ratio_estimate(row["closed form"], row["in context"])
        expected = 2 * row["explained"] < row["order"]
        held.append(holds(ratio, below=1.0) if expected else holds(ratio, above=1.0))
        cells.append([row["process_name"], row["columns"], 2 * row["explained"], row["order"], ratio.value])
    last = max(cells, key=lambda cell: cell[1])
    return Outcome(
        verdict_of(held),
        f"At n = {last[1]} the layer's gap is "
        + ", ".join(f"{cell[4]:.2f} ({cell[0]})" for cell in cells if cell[1] == last[1])
        + " times that of OLS in the same context: weights that know the process win where it explains little.",
        mean_estimate([cell[4] for cell in cells if cell[1] == last[1] and cell[2] < cell[3]] or [math.nan]),
        table("process | n | 2 (gamma_0 - sigma^2) | p sigma^2 | gap over OLS in context", cells),
    )


CLAIMS = claims(
    __name__,
    {
        "gap": Tested(judge_gap, (GAPS,)),
        "rate": Tested(judge_rate, (GAPS, LONG)),
        "constant": Tested(judge_constant, (GAPS, LAPLACE)),
        "closed-form": Tested(judge_closed_form, (GAPS,)),
        "recovery": Tested(judge_recovery, (GAPS, LONG)),
        "many-processes": Tested(judge_many, (MANY,)),
        "in-context-baseline": Tested(judge_baselines, (GAPS,)),
    },
)
