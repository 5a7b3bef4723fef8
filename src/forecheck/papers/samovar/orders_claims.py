"""What is said of unseen orders, and how our numbers are judged."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from forecheck.papers.claim import Estimate, Measured, Outcome, Table, Verdict
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, verdict_of
from forecheck.papers.plots import bars
from forecheck.papers.samovar.orders import ORDERS, REFERENCES, STABLE, STABLE_REFERENCES
from forecheck.papers.settings import table

PUBLISHED = {"SAMoVAR": 0.0031, "FixedVAR": 0.0041, "LinTrans": 0.0050}
NOT_CLIPPED = ", not clipped"
SHOWN = ("oracle", "ridge VAR(4)", "OLS VAR(4)", "OLS VAR(3)", "zero", "last value")


def judge_orders(measured: Measured) -> Outcome:
    """SAMoVAR below FixedVAR below LinTrans, sample by sample, with gradients clipped and not."""
    rows = _named(measured["orders"])
    held = [each for clipped in (True, False) for each in _ranking([r for r in rows if r["clipped"] is clipped])]
    means = _means(rows, "all")
    calm = _means(rows, "stable")
    trained = rows[0]["windows"] * rows[0]["epochs"]
    return Outcome(
        verdict_of(held),
        f"On stable samples, after {trained:,} training samples (2 million in the notebook): {_listed(calm)}. The "
        f"single unstable one lifts them to {_listed(means)}.",
        mean_estimate(_squared(rows, "SAMoVAR").tolist()),
        _table(rows, measured["references"][0]),
        [_bars(rows, measured["references"][0])],
    )


def judge_ridge(measured: Measured) -> Outcome:
    """A regression inside the window against the best network."""
    rows, reference = _named(measured["orders"]), measured["references"][0]["errors"]
    ridge = np.array(reference["ridge VAR(4)"]["squared"])
    differences = {name: mean_estimate((ridge - _squared(rows, name)).tolist()) for name in _names(rows)}
    value = mean_estimate(ridge.tolist())
    nearest = max(differences, key=lambda name: differences[name].value)
    best_published = min(PUBLISHED.values())
    return Outcome(
        verdict_of([*(holds(difference, below=0.0) for difference in differences.values())]),
        f"Ridge VAR(4) inside the window scores {value.value:.5f} on stable samples and "
        f"{reference['ridge VAR(4)']['all']:.5f} on all (published SAMoVAR: {best_published}), the best network here, "
        f"{nearest}, {_means(rows, 'stable')[nearest]:.5f} and {_means(rows, 'all')[nearest]:.5f}.",
        value,
        _table(rows, measured["references"][0]),
    )


def judge_zero(measured: Measured) -> Outcome:
    """What predicting zero scores on stable samples, against the published errors on all."""
    zero = measured["references"][0]["errors"]["zero"]
    value = mean_estimate(zero["squared"])
    unstable = zero["unstable samples"]
    carried = 1 - zero["stable"] * len(zero["squared"]) / (zero["all"] * (len(zero["squared"]) + unstable))
    return Outcome(
        verdict_of([holds(value, below=min(PUBLISHED.values()))]),
        f"Zero scores {value.value:.5f} on {len(zero['squared']):,} of {len(zero['squared']) + unstable:,} samples; "
        f"{unstable} unstable sample carries {carried:.0%} of its squared error on all, {zero['all']:.4f}.",
        value,
    )


def judge_stable(measured: Measured) -> Outcome:
    """Excess risk over the oracle on stable processes of unseen order."""
    rows, reference = measured["stable orders"], measured["stable references"][0]
    oracle = np.array(reference["errors"]["oracle"]["squared"])
    zero = float(np.mean(np.array(reference["errors"]["zero"]["squared"]) - oracle))
    ridge = mean_estimate((np.array(reference["errors"]["ridge VAR(4)"]["squared"]) - oracle).tolist())
    excess = {name: mean_estimate((_squared(rows, name) - oracle).tolist()) for name in _names(rows)}
    learned = excess["SAMoVAR"].high is not None and excess["SAMoVAR"].high < zero
    shown = {name: _scaled(each).value for name, each in excess.items()}
    held = _ranking(rows)
    verdict = verdict_of(held) if learned or verdict_of(held) is not Verdict.CONFIRMED else Verdict.UNEVEN
    return Outcome(
        verdict,
        f"Excess over the oracle, in noise variances: {_listed(shown, '.2f')}; zero {zero / 0.05**2:.2f}, ridge "
        f"VAR(4) inside the window {ridge.value / 0.05**2:.2f}.",
        _scaled(excess["SAMoVAR"]),
        _table(rows, reference),
        [_bars(rows, reference)],
    )


def _ranking(rows: Sequence[Row]) -> list[bool | None]:
    """SAMoVAR below FixedVAR, FixedVAR below LinTrans; samples are independent."""
    order = [name for published in PUBLISHED for name in _names(rows) if name.startswith(published)]
    return [
        holds(mean_estimate((_squared(rows, better) - _squared(rows, worse)).tolist()), below=0.0)
        for better, worse in pairwise(order)
    ]


def _named(rows: Sequence[Row]) -> list[Row]:
    """Rows whose networks are called by how they were trained as well."""
    return [row if row["clipped"] else {**row, "network": f"{row['network']}{NOT_CLIPPED}"} for row in rows]


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["network"] for row in rows))


def _squared(rows: Sequence[Row], name: str) -> Float[np.ndarray, " sample"]:
    """Errors of a network on stable samples, mean over seeds."""
    return np.mean([row["squared"] for row in rows if row["network"] == name], axis=0, dtype=float)


def _means(rows: Sequence[Row], key: str) -> dict[str, float]:
    return {n: mean_estimate([row[key] for row in rows if row["network"] == n]).value for n in _names(rows)}


def _scaled(estimate: Estimate) -> Estimate:
    low, high = (None if end is None else end / 0.05**2 for end in (estimate.low, estimate.high))
    return Estimate(estimate.value / 0.05**2, low, high)


def _listed(numbers: dict[str, float], form: str = ".5f") -> str:
    return ", ".join(f"{name} {number:{form}}" for name, number in numbers.items())


def _table(rows: Sequence[Row], reference: Row) -> Table:
    errors = reference["errors"]
    oracle = np.array(errors["oracle"]["squared"])
    published = PUBLISHED if rows[0]["data"] == "published" else {}
    everywhere, calm = _means(rows, "all"), _means(rows, "stable")
    cells = [
        [
            name,
            published.get(name.removesuffix(NOT_CLIPPED)),
            everywhere[name],
            calm[name],
            float((_squared(rows, name) - oracle).mean()),
        ]
        for name in _names(rows)
    ]
    cells += [
        [name, None, errors[name]["all"], errors[name]["stable"], errors[name]["stable"] - errors["oracle"]["stable"]]
        for name in SHOWN
    ]
    return table("forecast | published | all samples | stable samples | excess over the oracle", cells)


def _bars(rows: Sequence[Row], reference: Row) -> dict[str, object]:
    names = [*_names(rows), *SHOWN]
    errors = _means(rows, "stable") | {name: reference["errors"][name]["stable"] for name in SHOWN}
    return bars("Unseen orders, stable samples", "mean squared error", names, [("error", [errors[n] for n in names])])


CLAIMS = claims(
    __name__,
    {
        "orders": Tested(judge_orders, (ORDERS, REFERENCES)),
        "in-window": Tested(judge_ridge, (ORDERS, REFERENCES)),
        "zero": Tested(judge_zero, (REFERENCES,)),
        "stable-orders": Tested(judge_stable, (STABLE, STABLE_REFERENCES)),
    },
)
