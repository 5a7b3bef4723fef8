"""E1 and E2: whether attention fails where signs agree, and where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from forecheck.papers.claim import Estimate, Measured, Outcome, Table
from forecheck.papers.curse_of_attention.sign import SPLIT
from forecheck.papers.curse_of_attention.sign_reading import (
    FAILURE,
    NEAR,
    both,
    claim,
    fails,
    groups,
    mean_risk,
    opposite,
    over_floor,
    per_zero,
)
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, verdict_of
from forecheck.papers.plots import bars


def judge_consistent(measured: Measured) -> Outcome:
    """Attention against the floor where signs agree."""
    found = groups(measured[SPLIT.name], "form", "share")
    held = [opposite(fails(rows, "consistent")) for _, rows in found]
    laws = [(form, "all" if share is None else "consistent only") for (form, share), _ in found]
    cells = [
        [
            form,
            trained_on,
            *(
                mean_risk(rows, model, "consistent")
                for model in ("attention", "stopped", "residual", "ols", "oracle", "zero")
            ),
            over_floor(rows, "attention", "consistent").value,
        ]
        for (form, trained_on), (_, rows) in zip(laws, found, strict=True)
    ]
    ours = over_floor(found[0][1], "attention", "consistent")
    linear = max(over_floor(rows, "residual", "consistent").value for _, rows in found)
    return Outcome(
        verdict_of(held),
        f"Where signs agree attention has {ours.value:.0f} times the risk of the floor ({laws[0][0]}) and in no "
        f"setting less than {min(row[-1] for row in cells):.1f} times; residual linear at most {linear:.2f}.",
        ours,
        Table(
            [
                "data",
                "trained on",
                "attention",
                "stopped early",
                "residual linear",
                "OLS",
                "oracle",
                "zero",
                "over floor",
            ],
            cells,
        ),
        [
            bars(
                "Risk where signs agree, over the floor",
                "times the floor",
                [f"{form}, {trained_on}" for form, trained_on in laws],
                [
                    (name, [over_floor(rows, model, "consistent").value for _, rows in found])
                    for name, model in (("attention", "attention"), ("residual linear", "residual"), ("zero", "zero"))
                ],
            )
        ],
    )


def _unrestricted(rows: Iterable[Row]) -> list[tuple[tuple[Any, ...], list[Row]]]:
    return groups([row for row in rows if row["share"] is None], "form")


def judge_inconsistent(measured: Measured) -> Outcome:
    """Attention and the residual linear network where signs differ."""
    found = _unrestricted(measured[SPLIT.name])
    held = [
        both(fails(rows, "inconsistent"), holds(over_floor(rows, "residual", "inconsistent"), below=NEAR))
        for _, rows in found
    ]
    ratios = {form: over_floor(rows, "attention", "inconsistent") for (form,), rows in found}
    told = ", ".join(f"{each.value:.1f} ({form})" for form, each in ratios.items())
    linear = max(over_floor(rows, "residual", "inconsistent").value for _, rows in found)
    return Outcome(
        verdict_of(held),
        f"Where signs differ attention has {told} times the risk of the floor, the residual linear network at most "
        f"{linear:.2f} times.",
        next(iter(ratios.values())),
        Table(
            [
                "data",
                "all signs",
                "differing signs",
                "stopped early",
                "residual linear",
                "OLS",
                "zero",
                "persistence",
                "floor",
                "over floor",
                "low",
                "high",
            ],
            [
                [form, mean_risk(rows, "attention", "all")]
                + [
                    mean_risk(rows, model, "inconsistent")
                    for model in ("attention", "stopped", "residual", "ols", "zero", "persistence")
                ]
                + [sum(row["floor"] for row in rows) / len(rows)]
                + [ratios[form].value, ratios[form].low, ratios[form].high]
                for (form,), rows in found
            ],
        ),
        [
            bars(
                "Risk where signs differ, over the floor",
                "times the floor",
                list(ratios),
                [
                    (name, [over_floor(rows, model, "inconsistent").value for _, rows in found])
                    for name, model in (("attention", "attention"), ("residual linear", "residual"), ("zero", "zero"))
                ],
            )
        ],
    )


def judge_gap(measured: Measured) -> Outcome:
    """What attention leaves of the zero predictor's risk, out of distribution against in distribution."""
    found = _unrestricted(measured[SPLIT.name])
    logs = {form: mean_estimate([_gap(row) for row in rows]) for (form,), rows in found}
    held = [holds(each, above=0.0) for each in logs.values()]
    cells = [
        [
            form,
            *(per_zero(rows, signs).value for signs in ("all", "consistent", "inconsistent")),
            mean_risk(rows, "attention", "inconsistent") / mean_risk(rows, "attention", "all"),
            *_exp(logs[form]),
        ]
        for (form,), rows in found
    ]
    first = next(iter(logs))
    told = ", ".join(f"{per_zero(rows, 'inconsistent').value:.2f} ({form})" for (form,), rows in found)
    return Outcome(
        verdict_of(held),
        f"Where signs differ attention's risk is {told} times that of forecasting zero; this share is "
        f"{math.exp(logs[first].value):.1f} times that on all windows ({first}). Raw risks would mislead, as targets "
        "are smaller where signs differ.",
        Estimate(*_exp(logs[first])),
        Table(["data", "all, over zero's", "agreeing", "differing", "raw risk over all", "gap", "low", "high"], cells),
    )


def _gap(row: Row) -> float:
    shares = [row["attention"][signs] / row["zero"][signs] for signs in ("inconsistent", "all")]
    return math.log(shares[0] / shares[1])


def _exp(estimate: Estimate) -> list[float]:
    values = (estimate.value, estimate.low, estimate.high)
    return [math.exp(value) for value in values if value is not None]


CLAIMS = (
    claim(
        "E1",
        "Attention fails on sign-inconsistent steps: where the signs of the last and the next step agree it does not.",
        "implied by section 6, which looks at inconsistent steps only; trained on all or on agreeing signs",
        f"{FAILURE}. Confirmed if it fails in no setting where signs agree, refuted if in all.",
        SPLIT,
        judge_consistent,
        "risk over the floor where signs agree, unit data",
    ),
    claim(
        "E2",
        "Trained on all signs, attention fails where signs differ, and the residual linear network does not.",
        "section 6, proposition 6.3",
        f"{FAILURE}. Confirmed if it fails on every form of the data, with the residual linear network under {NEAR:g} "
        "times the floor; refuted if on none. Step size by validation windows; ten repetitions.",
        SPLIT,
        judge_inconsistent,
        "risk over the floor where signs differ, unit data",
    ),
    claim(
        "E2-gap",
        "Attention does not carry over from the training law to sign-inconsistent steps.",
        "section 6, definition 6.1",
        "Confirmed if on every form of the data attention's share of the zero predictor's risk is larger where signs "
        "differ than on all windows, with a 95 % interval over repetitions; refuted if on none.",
        SPLIT,
        judge_gap,
        "share of zero's risk where signs differ over that on all windows, unit data",
    ),
)
