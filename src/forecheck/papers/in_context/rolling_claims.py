"""What is true of 'predictions decay exponentially and error compounds'."""

from __future__ import annotations

from forecheck.papers.claim import Claim, Estimate, Measured, Outcome, Table
from forecheck.papers.experiment import Row
from forecheck.papers.in_context.rolling import ROLLOUTS
from forecheck.papers.judging import averaged, holds, ratio_estimate, share_estimate, verdict_of
from forecheck.papers.plots import curve, curves

HORIZONS = (1, 2, 5, 10, 20, 40)
RARE = 0.005
"""Share of roll-outs that counts as none."""


def told(row: Row) -> str:
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
        cells.append([told(row), collapse, own_collapse, sooner.value, sizes[4], own[4], sizes[9], own[9]])
        steps = range(1, len(sizes) + 1)
        drawn = [curve("one layer", steps, sizes), curve("best linear forecast", steps, own, style="dashed")]
        title = f"Median size of roll-outs, {told(row)}"
        charts.append(curves(title, "step", "size / standard deviation", drawn, y_scale="log"))
    first = cells[0]
    return Outcome(
        verdict_of(held),
        f"The median roll-out collapses at step {first[1]:.0f} ({first[0]}), the linear forecast at {first[2]:.0f}. "
        "Both go to the mean, as every optimal forecast does; one layer goes there faster than exponentially, because "
        "what it predicts adds no residual to its context.",
        Estimate(first[1]),
        Table(
            ["process", "collapse", "linear", "sooner, share", "size, h = 5", "linear ", "size, h = 10", "linear  "],
            cells,
        ),
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
        cells.append([told(row), *ratios, whole if whole < 1e12 else "overflow"])
        steps = range(1, len(row["errors"][0]) + 1)
        drawn = [
            curve("one layer, roll-outs that stay finite", steps, averaged(row["errors"])),
            curve("best linear forecast, the same", steps, averaged(row["own errors"])),
            curve("expected of it", steps, row["own error, expected"], style="dashed"),
        ]
        charts.append(curves(f"Error by horizon, {told(row)}", "step", "squared error / gamma_0", drawn))
    return Outcome(
        verdict_of(held),
        f"Where it stays finite its error is at most {worst:.2f} times that of the linear forecast, and the ratio goes "
        "back to 1 at long horizons, where both predict the mean. Over all roll-outs the mean is that of the few that "
        "diverge.",
        Estimate(worst),
        Table(["process", *(f"h = {h}" for h in HORIZONS), "all roll-outs, h = 60"], cells),
        charts,
    )


def judge_divergence(measured: Measured) -> Outcome:
    """The share of roll-outs that leave 50 standard deviations."""
    rows = [row for row in measured["rollouts"] if row["process_name"] != "AR(1) 0.5"]
    shares = [_share(row) for row in measured["rollouts"]]
    largest = max(shares, key=lambda share: share.value)
    return Outcome(
        verdict_of([holds(_share(row), above=RARE) for row in rows]),
        "Within 60 steps "
        + ", ".join(f"{share.value:.1%} ({told(row)})" for share, row in zip(shares, measured["rollouts"], strict=True))
        + " of the roll-outs leave 50 standard deviations; the linear forecast never does.",
        largest,
        Table(
            ["process", "share diverging", "low", "high"],
            [
                [told(row), share.value, share.low, share.high]
                for row, share in zip(measured["rollouts"], shares, strict=True)
            ],
        ),
    )


CLAIMS = (
    Claim(
        id="roll-out-decay",
        title="Rolled out, predictions of one layer decay to the mean, sooner than those of the linear model.",
        where="chain of thought: predictions decay exponentially; figures of trajectories",
        rule="Confirmed if in every process more than half of the histories that tell the two apart collapse sooner "
        "(the released rule: eight steps under 0.05 standard deviations), and the median size at step 10 is smaller; "
        "refuted if in none.",
        experiments=(ROLLOUTS,),
        judge=judge_decay,
        quantity="median collapse step, first process",
    ),
    Claim(
        id="roll-out-error",
        title="Rolled out, error compounds: it is above the linear model's at every horizon.",
        where="chain of thought: error compounds, worse than linear at every horizon",
        rule=f"Confirmed if at every one of the horizons {HORIZONS} and in every process the interval of the ratio of "
        "mean squared errors lies above 1, over histories that do not diverge; refuted if nowhere.",
        experiments=(ROLLOUTS,),
        judge=judge_compounding,
        quantity="largest ratio of errors to the linear forecast, roll-outs that stay finite",
    ),
    Claim(
        id="roll-out-divergence",
        title="A share of roll-outs does not decay but blows up in finite time.",
        where="ours; single trajectories, as released, hide it",
        rule=f"Confirmed if in every slow process (all but AR(1) 0.5) the share's interval lies above {RARE:.1%}, "
        "refuted if under it.",
        experiments=(ROLLOUTS,),
        judge=judge_divergence,
        quantity="largest share of roll-outs that diverge within 60 steps",
    ),
)
