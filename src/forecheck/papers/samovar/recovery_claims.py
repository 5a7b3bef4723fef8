"""Whether paths and coefficients find a cause that is known, and how that is judged."""

from __future__ import annotations

from collections.abc import Sequence

from forecheck.papers.claim import Measured, Outcome, Table
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, verdict_of
from forecheck.papers.plots import bars
from forecheck.papers.samovar.causal_path import CAUSES
from forecheck.papers.samovar.recovery import LOOKBACK, RECOVERY

LEARNED = 0.25
"""Of a channel's predictable variance: below, a network does not use the cause, and no explanation could find it."""
CHANCE = 1 / LOOKBACK
METHODS = (
    ("samovar", "path", "SAMoVAR, strongest path"),
    ("samovar", "coefficient", "SAMoVAR, largest coefficient"),
    ("samovar", "part", "SAMoVAR, largest part"),
    ("samovar", "Jacobian", "SAMoVAR, Jacobian"),
    ("lintrans", "Jacobian", "LinTrans, Jacobian"),
)


def judge_recovery(measured: Measured) -> Outcome:
    """Paths and coefficients against chance and against LinTrans' Jacobian, where the networks have learned."""
    rows = measured["recovery"]
    shares: dict[str, dict[str, list[float]]] = {}
    for network, method, label in METHODS:
        for channel in CAUSES:
            learned = [r for r in rows if r["network"] == network and r["learned"][channel] >= LEARNED]
            shares.setdefault(label, {})[channel] = [row["found"][method][channel] for row in learned]
    held: list[bool | None] = []
    for channel in CAUSES:
        theirs = shares[METHODS[-1][2]][channel]
        bar = max(CHANCE, mean_estimate(theirs).value if theirs else 0.0)
        for _, _, label in METHODS[:2]:
            found = shares[label][channel]
            if found:  # one seed decides nothing
                held.append(holds(mean_estimate(found), above=bar) if len(found) > 1 else None)
    names = [label for _, _, label in METHODS]
    means: dict[str, list[float | None]] = {
        label: [_mean(shares[label][channel]) for channel in CAUSES] for label in names
    }
    references: dict[str, list[float | None]] = {
        "regression on the training part": [float(rows[0]["regression"][channel]) for channel in CAUSES],
        "variance learned by SAMoVAR": _learned(rows, "samovar"),
        "variance learned by LinTrans": _learned(rows, "lintrans"),
    }
    paths = [share for channel in CAUSES for share in shares[names[0]][channel]]
    jacobian = [share for channel in CAUSES for share in shares[names[3]][channel]]
    share = mean_estimate(paths) if paths else None
    sentence = (
        f"The strongest path ends at the cause's lag in {share.value:.0%} of windows (chance: {CHANCE:.0%}), the same "
        f"network's Jacobian points there in {mean_estimate(jacobian).value:.0%}."
        if share
        else "SAMoVAR did not learn to use a cause, so that none could be found."
    )
    return Outcome(
        verdict_of(held),
        sentence,
        share,
        Table(
            ["found by", *(f"{channel}: {cause} at lag {lag}" for channel, (cause, lag) in CAUSES.items())],
            [[label, *values] for label, values in (means | references).items()],
        ),
        [
            bars(
                "Windows in which the strongest influence has the cause's lag",
                "share",
                names,
                [(channel, [means[label][k] for label in names]) for k, channel in enumerate(CAUSES)],
            )
        ],
    )


def _mean(values: Sequence[float]) -> float | None:
    return mean_estimate(values).value if values else None


def _learned(rows: Sequence[Row], network: str) -> list[float | None]:
    return [_mean([row["learned"][channel] for row in rows if row["network"] == network]) for channel in CAUSES]


CLAIMS = claims(__name__, {"recovery": Tested(judge_recovery, (RECOVERY,))})
