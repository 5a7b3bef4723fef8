"""The average error on ETTh1, and how a short run is judged."""

from __future__ import annotations

from forecheck.papers.claim import Claim, Estimate, Measured, Outcome, Table, Verdict
from forecheck.papers.plots import bars
from forecheck.papers.samovar.real import REAL

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
        Table(
            ["horizon", "MSE", "MAE", "best epoch", "epochs"],
            [[row["horizon"], row["mse"], row["mae"], row["best epoch"], row["epochs"]] for row in rows],
        ),
        [bars("ETTh1", "test MSE", [str(row["horizon"]) for row in rows], [("SAMoVAR", [row["mse"] for row in rows])])],
    )


REAL_CLAIMS = (
    Claim(
        id="etth1",
        title="SAMoVAR's test error on ETTh1 averages .401 over horizons 96 to 720.",
        where="poster, table 1",
        rule="A short run: every fourth training window, four epochs, one seed. Confirmed if its average is within 3 % "
        "of the published one or lower; refuted if it is above and validation was best before the last epoch at every "
        "horizon, so that more epochs would not have helped; otherwise it cannot be told without the hours of the "
        "published recipe.",
        experiments=(REAL,),
        judge=judge_real,
        quantity="test MSE, mean over horizons",
        published="0.401",
    ),
)
