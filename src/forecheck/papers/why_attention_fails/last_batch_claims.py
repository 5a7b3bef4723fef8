"""What the last incomplete batch of test windows makes of published leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from forecheck.papers.claim import Estimate, Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import mean, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.rows import distinct, select
from forecheck.papers.settings import table
from forecheck.papers.why_attention_fails.last_batch import LAST_BATCH

MOST, LITTLE = 0.5, 0.1


class Published(NamedTuple):
    """A model's error, mean over the horizons, and the batch of its code's script."""

    model: str
    batch: int
    mse: dict[str, float]


PUBLISHED = (
    # This paper, replies to reviewers, raw attention: mean of four horizons. Batches of its notebooks.
    Published("PatchTST", 128, {"ETTh1": 0.420, "ETTh2": 0.33175}),
    # SAMoVAR's poster, table 1, which may have been made by another code. Batches of CATS' scripts for lookback 512.
    Published("CATS", 256, {"ETTh1": 0.408, "ETTh2": 0.320}),
)


class Lead(NamedTuple):
    """How far a published error lies below that of our forecasts on all windows, and what of it a last batch makes."""

    data: str
    published: Published
    all_windows: float
    kept: float

    @property
    def size(self) -> float:
        """Above zero if the published error is the lower one."""
        return self.all_windows - self.published.mse[self.data]

    @property
    def share(self) -> float | None:
        """Of the lead that goes; None if there is none."""
        return (self.all_windows - self.kept) / self.size if self.size > 0 else None


def leads(rows: Sequence[Row]) -> list[Lead]:
    """Of every published model on every set."""
    found = []
    for published in PUBLISHED:
        for data in distinct(rows, "data"):
            of = select(rows, data=data)
            kept = mean([row["kept"][str(published.batch)] for row in of])
            found.append(Lead(data, published, mean([row["mse"] for row in of]), kept))
    return found


def judge(measured: Measured) -> Outcome:
    """Shares of leads, and the errors by size of the batch."""
    linear = select(measured[LAST_BATCH.name], model="nlinear")
    found = leads(linear)
    shares = [lead.share for lead in found if lead.share is not None]
    held = [True if share >= MOST else False if share < LITTLE else None for share in shares]
    hardest = max(linear, key=lambda row: row["share"]["128"])
    words = "; ".join(_described(lead) for lead in found)
    other = "".join(
        f" PatchTST, trained here for four epochs on {row['data']} at horizon {row['horizon']}, has {row['mse']:.4f} "
        f"and {row['kept']['128']:.4f}."
        for row in select(measured[LAST_BATCH.name], model="patchtst")
    )
    return Outcome(
        verdict_of(held),
        f"NLinear in closed form, on all windows and without the last batch: {words}. On {hardest['data']} at horizon "
        f"{hardest['horizon']} the last {hardest['left']['128']} of {hardest['windows']} windows hold "
        f"{hardest['share']['128']:.1%} of the squared error.{other}",
        _asked(found),
        table(
            "set | horizon | model | batch | windows left out | their share of the error | MSE | all windows",
            _cells(measured),
        ),
        [_chart(linear)],
    )


def _described(lead: Lead) -> str:
    against = f"{lead.data} {lead.all_windows:.4f} and {lead.kept:.4f} beside {lead.published.model}'s "
    against += f"{lead.published.mse[lead.data]:.3f} (batches of {lead.published.batch})"
    return f"{against}, no lead" if lead.share is None else f"{against}, {lead.share:.0%} of the lead"


def _asked(found: Sequence[Lead]) -> Estimate | None:
    share = next(lead.share for lead in found if lead.data == "ETTh2")
    return None if share is None else Estimate(share)


def _cells(measured: Measured) -> list[list[Any]]:
    names = ("data", "horizon", "model")
    return [
        [*(row[name] for name in names), int(batch), row["left"][batch], row["share"][batch], kept, row["mse"]]
        for row in measured[LAST_BATCH.name]
        for batch, kept in row["kept"].items()
    ]


def _chart(rows: Sequence[Row]) -> dict[str, Any]:
    drawn = [
        curve(
            f"{row['data']} {row['horizon']}",
            [int(batch) for batch in row["kept"]],
            [kept / row["mse"] for kept in row["kept"].values()],
        )
        for row in rows
    ]
    return curves("NLinear without the last incomplete batch", "batch", "MSE over that on all windows", drawn, log="x")


CLAIMS = claims(__name__, {"last-batch": Tested(judge, (LAST_BATCH,))}, MOST=MOST, LITTLE=LITTLE)
