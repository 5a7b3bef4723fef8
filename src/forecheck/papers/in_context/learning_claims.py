"""What training makes of the gap: as published, standardised, deeper, with softmax."""

from __future__ import annotations

from forecheck.papers.claim import Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.in_context.learning import DEEP, PUBLISHED
from forecheck.papers.judging import holds, mean_estimate, ratio_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.rows import distinct, select, thinned
from forecheck.papers.settings import table

HALF = 0.5


def judge_trained(measured: Measured) -> Outcome:
    """The layer trained as published stays above OLS."""
    rows = [row for row in measured["published"] if not row["scaled"]]
    pairs = [zip(row["blocks"]["trained"], row["blocks"]["linear"], strict=True) for row in rows]
    held = [holds(mean_estimate([a - b for a, b in pair]), above=0.0) for pair in pairs]
    ones = [1.0] * len(rows)
    ours = ratio_estimate([row["trained"] for row in rows], ones)
    shown = rows[:4]
    return Outcome(
        verdict_of(held),
        f"Trained as published it has {min(row['trained'] for row in rows):.2f} to "
        f"{max(row['trained'] for row in rows):.2f} times the error of OLS on the series; the best head, fitted "
        f"exactly, has {min(row['fitted'] for row in rows):.2f} to {max(row['fitted'] for row in rows):.2f} times.",
        ours,
        table(
            "p | seed | n | standardised | epochs | trained | fitted | closed form | OLS in context | zero",
            [
                [row["order"], row["seed"], row["columns"], "yes" if row["scaled"] else "no", row["epochs run"]]
                + [row[key] for key in ("trained", "fitted", "closed form", "in context", "zero")]
                for row in measured["published"]
            ],
        ),
        [
            curves(
                "Training as published",
                "epoch",
                "validation error over OLS",
                [
                    curve(
                        f"p = {row['order']}, n = {row['columns']}, seed {row['seed']}",
                        [k + 1 for k in thinned(len(row["curve"]))],
                        [row["curve"][k] for k in thinned(len(row["curve"]))],
                    )
                    for row in shown
                ],
                log="y",
                levels=[(f"seed {row['seed']}, best head", row["fitted"]) for row in shown],
            )
        ],
    )


def judge_optimisation(measured: Measured) -> Outcome:
    """Which part of the trained gap a better optimum of the same layer removes."""
    cells = []
    shares: dict[tuple[bool, int], list[float]] = {}
    for row in measured["published"]:
        share = (row["trained"] - row["fitted"]) / (row["trained"] - 1)
        shares.setdefault((row["scaled"], row["epochs"]), []).append(share)
    for (scaled, epochs), values in shares.items():
        share = mean_estimate(values)
        cells.append(["yes" if scaled else "no", epochs, share.value, share.low, share.high])
    held = []
    for row in measured["published"]:
        if not row["scaled"]:
            blocks = zip(*(row["blocks"][key] for key in ("trained", "fitted", "linear")), strict=True)
            held.append(holds(mean_estimate([a - b - HALF * (a - c) for a, b, c in blocks]), above=0.0))
    ours = mean_estimate(next(values for (scaled, _), values in shares.items() if not scaled))
    better = mean_estimate(next(values for (scaled, _), values in shares.items() if scaled))
    return Outcome(
        verdict_of(held),
        f"{ours.value:.0%} of the gap of training as published is gone with the best weights of the same layer; of "
        f"the gap on standardised series, same budget, {better.value:.0%}.",
        ours,
        table("standardised | epochs | share of the gap that is optimisation | low | high", cells),
    )


def judge_depth(measured: Measured) -> Outcome:
    """Excess by number of linear layers."""
    rows = [row for row in measured["deep"] if not row["softmax"]]
    held, cells, drawn = [], [], []
    for name in distinct(rows, "process_name"):
        by_layers = {
            layers: [row["excess"] for row in select(rows, process_name=name, layers=layers)] for layers in (1, 2, 3)
        }
        for fewer, more in ((1, 2), (2, 3)):
            saved = mean_estimate([a - b for a, b in zip(by_layers[fewer], by_layers[more], strict=True)])
            # Not worse: up to a twentieth of one layer's excess either way is none.
            slack = sum(by_layers[1]) / len(by_layers[1]) / 20
            held.append(holds(saved, above=-slack))
        for layers, values in by_layers.items():
            found = mean_estimate(values)
            cells.append([name, layers, found.value, found.low, found.high, rows[0]["one layer, closed form"]])
        drawn.append(curve(name, list(by_layers), [sum(v) / len(v) for v in by_layers.values()]))
    ratios = [b["excess"] / a["excess"] for a, b in zip(select(rows, layers=1), select(rows, layers=2), strict=True)]
    ours = mean_estimate(ratios)
    return Outcome(
        verdict_of(held),
        f"Two layers leave {ours.value:.2f} of one layer's excess: {cells[0][2]:.2f}, {cells[1][2]:.2f} and "
        f"{cells[2][2]:.2f} of the innovation variance for 1, 2 and 3 layers at n = {rows[0]['columns']}.",
        ours,
        table("process | layers | excess / sigma^2 | low | high | one layer, closed form", cells),
        [curves("Excess by depth", "layers", "excess / sigma^2", drawn, log="y")],
    )


def judge_softmax(measured: Measured) -> Outcome:
    """Softmax layers stay above the best linear predictor too."""
    rows = [row for row in measured["deep"] if row["softmax"]]
    held, cells = [], []
    for name in distinct(rows, "process_name"):
        for layers in distinct(rows, "layers"):
            found = mean_estimate([row["excess"] for row in select(rows, process_name=name, layers=layers)])
            held.append(holds(found, above=0.0))
            cells.append([name, layers, found.value, found.low, found.high])
    ours = mean_estimate([row["excess"] for row in rows if row["layers"] == 1])
    return Outcome(
        verdict_of(held),
        f"One layer with softmax, as released, is {ours.value:.2f} of the innovation variance above the best linear "
        f"predictor after this training; the best linear layer is {rows[0]['one layer, closed form']:.2f} above it.",
        ours,
        table("process | layers | excess / sigma^2 | low | high", cells),
    )


CLAIMS = claims(
    __name__,
    {
        "trained": Tested(judge_trained, (PUBLISHED,)),
        "optimisation": Tested(judge_optimisation, (PUBLISHED,)),
        "depth": Tested(judge_depth, (DEEP,)),
        "softmax": Tested(judge_softmax, (DEEP,)),
    },
)
