"""The average error on ETTh1, and how a short run is judged."""

from __future__ import annotations

from forecheck.papers.claim import Estimate, Measured, Outcome, Verdict
from forecheck.papers.claims import Tested, claims
from forecheck.papers.plots import bars
from forecheck.papers.samovar.real import REAL
from forecheck.papers.settings import table

PUBLISHED = 0.401
MARGIN = 0.03


def judge_real(measured: Measured) -> Outcome:
    """The average over horizons, and whether more training would have helped."""
    rows = measured["real"]
    average = sum(row["mse"] for row in rows) / len(rows)
    over = [row["best epoch"] < row["epochs"] for row in rows]
    if average <= PUBLISHED * (1 + MARGIN):
        verdict = Verdict.CONFIRMED
    else:
        verdict = Verdict.REFUTED if all(over) else Verdict.UNTESTABLE
    return Outcome(
        verdict,
        f"A run on every {rows[0]['stride']}th training window, one seed, averages {average:.3f}; validation was best "
        f"before the last epoch at {sum(over)} of {len(rows)} horizons.",
        Estimate(average),
        table(
            "horizon | MSE | MAE | best epoch | epochs",
            [[row["horizon"], row["mse"], row["mae"], row["best epoch"], row["epochs"]] for row in rows],
        ),
        [bars("ETTh1", "test MSE", [str(row["horizon"]) for row in rows], [("SAMoVAR", [row["mse"] for row in rows])])],
    )


CLAIMS = claims(__name__, {"etth1": Tested(judge_real, (REAL,))})
