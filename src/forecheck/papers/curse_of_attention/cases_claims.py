"""What is said of the gradient's two cases in a trained forecaster, and how our numbers are judged."""

from __future__ import annotations

from typing import Any

from forecheck.papers.claim import Claim, Measured, Outcome, Table
from forecheck.papers.curse_of_attention.cases import CASES
from forecheck.papers.judging import holds, mean_estimate, verdict_of
from forecheck.papers.plots import bars
from forecheck.papers.rows import distinct, select

CLEAR = 0.55
"""A share of queries that is clearly more than half."""


def judge_model(measured: Measured) -> Outcome:
    """More than half of the queries in case 1, by the exact criterion, in every layer of every model."""
    rows = measured["cases"]
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    shares: dict[str, list[float]] = {"paper": [], "exact": [], "self": []}
    for data in distinct(rows, "data"):
        for epochs in distinct(rows, "epochs"):
            group = select(rows, data=data, epochs=epochs)
            for layer in range(len(group[0]["layers"])):
                found = {key: mean_estimate([row["layers"][layer][key] for row in group]) for key in shares}
                held.append(holds(found["exact"], above=CLEAR))
                cells.append([f"{data}, {epochs} epochs, layer {layer + 1}", *(each.value for each in found.values())])
                cells[-1] += [found["exact"].low, found["exact"].high]
                for key, each in found.items():
                    shares[key].append(each.value)
    (paper, most_paper), (exact, most_exact), (own, most_own) = ((min(v), max(v)) for v in shares.values())
    drawn = [(name, shares[key]) for name, key in (("the paper's criterion", "paper"), ("the exact one", "exact"))]
    return Outcome(
        verdict_of(held),
        f"By the exact criterion {exact:.0%} to {most_exact:.0%} of the queries of PatchTST are in case 1, by layer, "
        f"set and length of training, by the paper's {paper:.0%} to {most_paper:.0%}; a token gives itself {own:.2f} "
        f"to {most_own:.2f} times the uniform weight.",
        mean_estimate([sum(layer["exact"] for layer in row["layers"]) / len(row["layers"]) for row in rows]),
        Table(["model", "paper's criterion", "exact", "weight on itself / uniform", "exact, low", "high"], cells),
        [bars("Share of queries in case 1", "share", [cell[0] for cell in cells], drawn)],
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="E8-model",
        title="In a forecaster trained on real series more than half of the queries are driven away from themselves.",
        where="section 7.1, which names case 1 as what attention suffers from; the share is our reading, in PatchTST "
        "on real series",
        rule="Confirmed if in every layer, on every set, after one epoch and after six, the share of queries in case 1 "
        f"by the exact criterion is above {CLEAR:.0%}, refuted if below in all; with intervals over seeds. Small "
        "models, gradients of the squared error over training windows.",
        experiments=(CASES,),
        judge=judge_model,
        quantity="share of case 1, exact, mean over layers and models",
    ),
)
