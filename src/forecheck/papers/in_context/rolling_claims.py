"""What is true of 'predictions decay exponentially and error compounds'."""

from __future__ import annotations

from forecheck.papers.claim import Estimate, Measured, Outcome, Table
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.in_context.rolling import ROLLOUTS
from forecheck.papers.judging import averaged, holds, ratio_estimate, share_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.settings import BySetting, Column, settings, table

HORIZONS = (1, 2, 5, 10, 20, 40)
RARE = 0.005
"""Share of roll-outs that counts as none."""


def process(row: Row) -> str:
    """A case in words."""
    return f"{row['process_name']}, {row['begun']} steps"


def _share(row: Row) -> Estimate:
    total = row["histories"] * row["repeats"]
    return share_estimate(round(sum(row["diverging"]) * row["histories"]), total)


def judge_decay(measured: Measured) -> Outcome:
    """Roll-outs collapse to the mean, and sooner than the process's own forecasts."""
    held, cells, charts = [], [], []
    for row in measured["rollouts"]:
        sooner = share_estimate(sum(row["earlier"]), max(sum(row["compared"]), 1))
        faster = ratio_estimate([sizes[9] for sizes in row["sizes"]], [sizes[9] for sizes in row["own sizes"]])
        held += [holds(sooner, above=0.5), holds(faster, below=1.0)]
        sizes, own = averaged(row["sizes"]), averaged(row["own sizes"])
        collapse, own_collapse = (sum(row[key]) / row["repeats"] for key in ("collapse", "own collapse"))
        cells.append([process(row), collapse, own_collapse, sooner.value, sizes[4], own[4], sizes[9], own[9]])
        steps = range(1, len(sizes) + 1)
        drawn = [curve("one layer", steps, sizes), curve("best linear forecast", steps, own, style="dashed")]
        title = f"Median size of roll-outs, {process(row)}"
        charts.append(curves(title, "step", "size / standard deviation", drawn, log="y"))
    first = cells[0]
    return Outcome(
        verdict_of(held),
        f"The median roll-out collapses at step {first[1]:.0f} ({first[0]}), the linear forecast at {first[2]:.0f}. "
        "Both go to the mean, as every optimal forecast does; one layer goes there faster than exponentially, because "
        "what it predicts adds no residual to its context.",
        Estimate(first[1]),
        table("process | collapse | linear | sooner, share | size, h = 5 | linear  | size, h = 10 | linear  ", cells),
        charts,
    )


def judge_compounding(measured: Measured) -> Outcome:
    """Errors of roll-outs that stay finite against those of the linear forecast, horizon by horizon."""
    held, cells, charts = [], [], []
    worst = 0.0
    for row in measured["rollouts"]:
        ratios = []
        for horizon in HORIZONS:
            pair = [[errors[horizon - 1] for errors in row[key]] for key in ("errors", "own errors")]
            ratio = ratio_estimate(*pair)
            ratios.append(ratio.value)
            held.append(holds(ratio, above=1.0))
        worst = max(worst, *ratios)
        whole = averaged(row["whole errors"])[-1]
        cells.append([process(row), *ratios, whole if whole < 1e12 else "overflow"])
        steps = range(1, len(row["errors"][0]) + 1)
        drawn = [
            curve("one layer, roll-outs that stay finite", steps, averaged(row["errors"])),
            curve("best linear forecast, the same", steps, averaged(row["own errors"])),
            curve("expected of it", steps, row["own error, expected"], style="dashed"),
        ]
        charts.append(curves(f"Error by horizon, {process(row)}", "step", "squared error / gamma_0", drawn))
    return Outcome(
        verdict_of(held),
        f"Where it stays finite its error is at most {worst:.2f} times that of the linear forecast, and the ratio "
        "goes back to 1 at long horizons, where both predict the mean. Over all roll-outs the mean is that of the few "
        "that diverge.",
        Estimate(worst),
        Table(["process", *(f"h = {h}" for h in HORIZONS), "all roll-outs, h = 60"], cells),
        charts,
    )


judge_divergence = BySetting(
    settings(ROLLOUTS),
    {
        "process": Column("process", lambda rows: process(rows[0])),
        "share": Column(
            "share diverging | low | high",
            lambda rows: _share(rows[0]),
            above=RARE,
            where=lambda rows: rows[0]["process_name"] != "AR(1) 0.5",
        ),
    },
    "Within 60 steps {share:each .1%} of the roll-outs leave 50 standard deviations; the linear forecast never does.",
    "most share",
)

CLAIMS = claims(
    __name__,
    {
        "roll-out-decay": Tested(judge_decay, (ROLLOUTS,)),
        "roll-out-error": Tested(judge_compounding, (ROLLOUTS,)),
        "roll-out-divergence": Tested(judge_divergence, (ROLLOUTS,)),
    },
    HORIZONS=HORIZONS,
    RARE=RARE,
)
