"""What is said of the gradient's two cases in a trained forecaster, and how our numbers are judged."""

from __future__ import annotations

from forecheck.papers.claim import Estimate, Measured
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.cases import CASES
from forecheck.papers.experiment import Row
from forecheck.papers.judging import mean, mean_estimate
from forecheck.papers.settings import BySetting, Column, Found, bar_chart, estimated, named, read, settings

CLEAR = 0.55
"""A share of queries that is clearly more than half."""


def _by_layer(measured: Measured) -> list[list[Row]]:
    """Layers of all models: rows of one set, length of training and layer."""
    groups = settings(CASES, by=("data", "epochs"))(measured)
    return [
        [{**row, "layer": layer + 1, **row["layers"][layer]} for row in rows]
        for rows in groups
        for layer in range(len(rows[0]["layers"]))
    ]


def _exact(found: Found) -> Estimate:
    return mean_estimate([mean(read(row["layers"], "exact")) for row in found.measured[CASES.name]])


CLAIMS = claims(
    __name__,
    {
        "E8-model": Tested(
            BySetting(
                _by_layer,
                {
                    "name": named("{data}, {epochs} epochs, layer {layer}", "model"),
                    "paper": estimated("paper's criterion", "paper"),
                    "exact": Column("exact", lambda rows: mean_estimate(read(rows, "exact")), above=CLEAR),
                    "self": estimated("weight on itself / uniform", "self"),
                    "ends": Column(
                        "exact, low | high", lambda rows: [*vars(mean_estimate(read(rows, "exact"))).values()][1:]
                    ),
                },
                "By the exact criterion {exact:span .0%} of the queries of PatchTST are in case 1, by layer, set and "
                "length of training, by the paper's {paper:span .0%}; a token gives itself {self:span .2f} times the "
                "uniform weight.",
                _exact,
                bar_chart(
                    "Share of queries in case 1", "share", {"the paper's criterion": "paper", "the exact one": "exact"}
                ),
            ),
            (CASES,),
        )
    },
    CLEAR=CLEAR,
)
