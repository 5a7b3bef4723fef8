"""E7: what the remedies of section 7.2 do on the two-layer network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from forecheck.papers.claim import Estimate, Measured, Outcome, Table, untestable
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.remedies import REMEDY, base_of
from forecheck.papers.curse_of_attention.sign_reading import FAR
from forecheck.papers.experiment import Row
from forecheck.papers.judging import both, holds, mean_estimate, verdict_of
from forecheck.papers.plots import bars
from forecheck.papers.settings import table

RELIEF = 0.8
"""Share of the untreated network's risk above the floor under which a remedy counts as one."""
Held = Callable[[Row, Row], bool | None]


def over(row: Row, reference: str) -> Estimate:
    """Risk where signs differ over the floor's or zero's."""
    return mean_estimate([each["network"]["inconsistent"] / _reference(each, reference) for each in row["repetitions"]])


def left(row: Row, base: Row) -> Estimate:
    """Risk above the floor over that of the untreated network, where signs differ: geometric mean over repetitions."""
    logs = mean_estimate(
        [
            math.log(_above(treated) / _above(untreated))
            for treated, untreated in zip(row["repetitions"], base["repetitions"], strict=True)
        ]
    )
    low, high = (None if each is None else math.exp(each) for each in (logs.low, logs.high))
    return Estimate(math.exp(logs.value), low, high)


def _reference(repetition: Row, name: str) -> float:
    return float(repetition["floor"] if name == "floor" else repetition[name]["inconsistent"])


def _above(repetition: Row) -> float:
    """The floor is the risk of the true coefficients; on few windows a network may be a little under it by luck."""
    return max(float(repetition["network"]["inconsistent"]) / float(repetition["floor"]) - 1, 1e-3)


def relieves(row: Row, base: Row) -> bool | None:
    """Whether a remedy takes a fifth of the excess away and beats forecasting zero."""
    return both(holds(left(row, base), below=RELIEF), holds(over(row, "zero"), below=1.0))


def cures(row: Row, base: Row) -> bool | None:
    """Whether the network with it does not fail any more."""
    del base
    return holds(over(row, "floor"), below=FAR)


def judge_remedies(names: Sequence[str], held: Held) -> Callable[[Measured], Outcome]:
    """A judge of some remedies on all forms of the data."""

    def judge(measured: Measured) -> Outcome:
        rows = {(row["name"], row["form"]): row for row in measured[REMEDY.name]}
        forms = list(dict.fromkeys(form for _, form in rows))
        shown = list(dict.fromkeys([*(base_of(name) for name in names), *names]))
        verdicts = [held(rows[name, form], rows[base_of(name), form]) for name in names for form in forms]
        words = "; ".join(
            f"{name}: " + ", ".join(f"{over(rows[name, form], 'floor').value:.1f} ({form})" for form in forms)
            for name in shown
        )
        best = min(names, key=lambda name: over(rows[name, forms[0]], "floor").value)
        return Outcome(
            verdict_of(verdicts),
            f"Risk where signs differ, in floors: {words}. Forecasting zero has "
            + " and ".join(f"{_zero(rows[names[0], form]):.1f} ({form})." for form in forms).replace("). and", ") and"),
            over(rows[best, forms[0]], "floor"),
            _table(rows, shown, forms),
            [_chart(rows, shown, forms)],
        )

    return judge


def _zero(row: Row) -> float:
    return mean_estimate([each["zero"]["inconsistent"] / each["floor"] for each in row["repetitions"]]).value


def _mean(row: Row, name: str, signs: str) -> float:
    return mean_estimate([each[name][signs] for each in row["repetitions"]]).value


def _table(rows: dict[Any, Row], names: Sequence[str], forms: Sequence[str]) -> Table:
    cells = []
    for form in forms:
        for name in names:
            row = rows[name, form]
            share = left(row, rows[base_of(name), form])
            cells.append(
                [form, name, row["taken"]]
                + [_mean(row, "network", signs) for signs in ("all", "inconsistent")]
                + [_mean(row, "stopped", "inconsistent")]
                + [over(row, reference).value for reference in ("floor", "zero")]
                + [share.value, share.low, share.high]
                + [mean_estimate([each["last share"] for each in row["repetitions"]]).value]
            )
    return table(
        "data | remedy | taken by validation | all signs | differing signs | stopped early | over floor | over zero's "
        "| excess over untreated | low | high | attention to the last step",
        cells,
    )


def _chart(rows: dict[Any, Row], names: Sequence[str], forms: Sequence[str]) -> dict[str, Any]:
    return bars(
        "Risk where signs differ, over the floor",
        "times the floor",
        [*names, "zero"],
        [
            (form, [*(over(rows[name, form], "floor").value for name in names), _zero(rows[names[0], form])])
            for form in forms
        ],
    )


CLAIMS = claims(
    __name__,
    {
        "E7-adam": Tested(judge_remedies(["none (adam)"], relieves), (REMEDY,)),
        "E7-decay": Tested(judge_remedies(["weight decay (gd)", "decoupled weight decay (adam)"], relieves), (REMEDY,)),
        "E7-differential": Tested(judge_remedies(["differential"], relieves), (REMEDY,)),
        "E7-rope": Tested(judge_remedies(["rope"], relieves), (REMEDY,)),
        "E7-gradient": Tested(
            judge_remedies(["without drift (gd)", "local penalty", "entropy floor"], relieves), (REMEDY,)
        ),
        "E7-patches": Tested(untestable("Windows of scalars have no patches; see E11, on real data.")),
        "E7-recency": Tested(judge_remedies(["recency"], cures), (REMEDY,)),
        "E7-skip": Tested(judge_remedies(["skip"], cures), (REMEDY,)),
        "E7-output": Tested(judge_remedies(["trained a"], cures), (REMEDY,)),
        "E7-bias": Tested(judge_remedies(["position bias"], cures), (REMEDY,)),
        "E7-both": Tested(
            judge_remedies(["position bias, trained a", "position bias, trained a, skip"], cures), (REMEDY,)
        ),
        "E7-output-with": Tested(
            judge_remedies(["differential, trained a", "rope, trained a", "recency, trained a"], cures), (REMEDY,)
        ),
    },
    FAR=FAR,
    RELIEF=RELIEF,
)
