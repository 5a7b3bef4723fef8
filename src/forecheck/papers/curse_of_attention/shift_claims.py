"""E3: whether attention fails because of the signs, because they are rare, or because they shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecheck.papers.claim import Estimate, Measured, Outcome, Table
from forecheck.papers.curse_of_attention.sign import GAMMA, TEST_MIX, TRAIN_MIX
from forecheck.papers.curse_of_attention.sign_reading import (
    FAILURE,
    FAR,
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
from forecheck.papers.judging import holds, mean_estimate, slope_estimate, verdict_of
from forecheck.papers.plots import curve, curves


def _sweep(measured: Measured) -> list[tuple[float, list[Row], Estimate]]:
    """By gamma, the rows and how much larger the risk is where signs differ than where they agree."""
    return [
        (
            gamma,
            rows,
            mean_estimate([row["attention"]["inconsistent"] - row["attention"]["consistent"] for row in rows]),
        )
        for (gamma,), rows in groups(measured[GAMMA.name], "gamma")
    ]


def judge_sign(measured: Measured) -> Outcome:
    """Whether differing signs are harder at every correlation."""
    found = _sweep(measured)
    harder = [gamma for gamma, _, more in found if holds(more, above=0.0)]
    linear = max(over_floor(rows, "residual", s).value for _, rows, _ in found for s in ("consistent", "inconsistent"))
    easier = [gamma for gamma, _, more in found if holds(more, above=0.0) is False]
    return Outcome(
        verdict_of([holds(more, above=0.0) for _, _, more in found]),
        f"Differing signs are harder for attention at gamma = {_listed(harder)} and easier at {_listed(easier)}; the "
        f"residual linear network has at most {linear:.2f} times the floor on both.",
        min(found, key=lambda each: abs(each[0] - 0.5))[2],
        _gamma_table(found),
        [_gamma_chart(found)],
    )


def judge_rarer(measured: Measured) -> Outcome:
    """Whether the rarer signs are the harder ones; at gamma = 0 both are as frequent."""
    found = [
        (gamma, rows, more if rows[0]["rarer"] == "inconsistent" else _negative(more))
        for gamma, rows, more in _sweep(measured)
        if gamma
    ]
    held = [holds(more, above=0.0) for _, _, more in found]
    return Outcome(
        verdict_of(held),
        f"At {sum(each is True for each in held)} of {len(held)} correlations attention does worse on the signs that "
        "are rarer in training, whether these agree or differ.",
        table=_gamma_table(found, "rarer minus more frequent"),
        charts=[_gamma_chart(_sweep(measured))],
    )


def _negative(estimate: Estimate) -> Estimate:
    low, high = (None if end is None else -end for end in (estimate.high, estimate.low))
    return Estimate(-estimate.value, low, high)


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "none"


def _gamma_table(found: Sequence[tuple[float, list[Row], Estimate]], gap: str = "differing minus agreeing") -> Table:
    return Table(
        [
            "gamma",
            "all",
            "agreeing",
            "differing",
            "zero, agreeing",
            "zero, differing",
            "residual linear, differing",
            gap,
            "low",
            "high",
        ],
        [
            [gamma]
            + [mean_risk(rows, "attention", signs) for signs in ("all", "consistent", "inconsistent")]
            + [mean_risk(rows, "zero", signs) for signs in ("consistent", "inconsistent")]
            + [mean_risk(rows, "residual", "inconsistent"), more.value, more.low, more.high]
            for gamma, rows, more in found
        ],
    )


def _gamma_chart(found: Sequence[tuple[float, list[Row], Estimate]]) -> dict[str, Any]:
    def drawn(label: str, model: str, signs: str, style: Any = "line") -> dict[str, Any]:
        each = [mean_estimate([row[model][signs] for row in rows]) for _, rows, _ in found]
        low, high = ([e.low for e in each], [e.high for e in each]) if style == "line" else (None, None)
        return curve(label, [gamma for gamma, _, _ in found], [e.value for e in each], low, high, style)

    return curves(
        "Risk by the correlation of the last and the next step",
        "gamma",
        "mean squared error",
        [
            drawn("attention, signs differ", "attention", "inconsistent"),
            drawn("attention, signs agree", "attention", "consistent"),
            drawn("zero, signs differ", "zero", "inconsistent", "dashed"),
            drawn("zero, signs agree", "zero", "consistent", "dashed"),
            drawn("residual linear, signs differ", "residual", "inconsistent"),
        ],
        y_scale="log",
    )


def judge_mix(measured: Measured) -> Outcome:
    """Slopes of the risk over the share of differing signs in the test."""
    found = groups(measured[TEST_MIX.name], "form", "gamma")
    slopes = {
        (setting, model): mean_estimate([_slope(row, model) for row in rows])
        for setting, rows in found
        for model in ("attention", "residual")
    }
    held = [
        both(
            holds(slopes[setting, "attention"], above=0.0),
            holds(slopes[setting, "residual"], above=-0.25, below=0.25),
        )
        for setting, _ in found
    ]
    told = ", ".join(f"{slopes[(s, 'attention')].value:+.1f} ({s[0]}, gamma {s[1]:g})" for s, _ in found)
    cells = []
    for (form, gamma), rows in found:
        each = slopes[(form, gamma), "attention"]
        rule = slopes[(form, gamma), "residual"]
        bend = max(_bend(rows, k) for k in range(len(rows[0]["shares"])))
        cells.append([form, gamma, each.value, each.low, each.high, rule.value, rule.low, rule.high, bend])
    steepest = max((slopes[setting, "residual"].value for setting, _ in found), key=abs)
    bent = max(cell[-1] for cell in cells)
    return Outcome(
        verdict_of(held),
        f"From none to all steps with differing signs attention's risk changes by {told} floors, the residual linear "
        f"network's by {steepest:+.2f} at most. Mixtures lie within {bent:.1%} of the line between the ends.",
        slopes[found[0][0], "attention"],
        Table(
            [
                "data",
                "gamma",
                "slope, floors",
                "low",
                "high",
                "slope, residual linear",
                "low, residual",
                "high, residual",
                "farthest from a line",
            ],
            cells,
        ),
        [
            curves(
                "Risk by the share of differing signs in the test",
                "share",
                "times the floor",
                [
                    curve(
                        f"{model}, {form}, gamma {gamma:g}",
                        rows[0]["shares"],
                        [
                            sum(row[key][k] / row["floor"] for row in rows) / len(rows)
                            for k in range(len(rows[0]["shares"]))
                        ],
                    )
                    for (form, gamma), rows in found
                    for model, key in (("attention", "attention"), ("residual linear", "residual"))
                ],
                y_scale="log",
            )
        ],
    )


def _slope(row: Row, model: str) -> float:
    """In floors."""
    return slope_estimate(row["shares"], [each / row["floor"] for each in row[model]]).value


def _bend(rows: Sequence[Row], k: int) -> float:
    """How far the k-th mixture lies from the line between risks on other windows, relative, mean over repetitions."""
    apart = []
    for row in rows:
        low, high = row["ends"]
        line = low + row["shares"][k] * (high - low)
        apart.append(row["attention"][k] / line - 1)
    return abs(sum(apart) / len(apart))


def judge_shift(measured: Measured) -> Outcome:
    """Attention that was trained on differing signs only, tested on such."""
    found = groups(measured[TRAIN_MIX.name], "form", "share")
    alone = {form: rows for (form, share), rows in found if share == 1}
    held = [opposite(fails(rows, "inconsistent")) for rows in alone.values()]
    ratios = {form: over_floor(rows, "attention", "inconsistent") for form, rows in alone.items()}
    told = ", ".join(f"{each.value:.1f} ({form})" for form, each in ratios.items())
    forms = list(alone)
    return Outcome(
        verdict_of(held),
        f"Trained on differing signs only, where nothing shifts, attention has {told} times the floor's risk.",
        next(iter(ratios.values())),
        Table(
            [
                "data",
                "share in training",
                "agreeing",
                "differing",
                "agreeing, over floor",
                "differing, over floor",
                "differing, over zero's",
            ],
            [
                [form, share]
                + [mean_risk(rows, "attention", signs) for signs in ("consistent", "inconsistent")]
                + [over_floor(rows, "attention", signs).value for signs in ("consistent", "inconsistent")]
                + [per_zero(rows, "inconsistent").value]
                for (form, share), rows in found
            ],
        ),
        [
            curves(
                "Risk by the share of differing signs in training",
                "share",
                "times the floor",
                [
                    curve(
                        f"{form}, signs {word}",
                        [share for (other, share), _ in found if other == form],
                        [over_floor(rows, "attention", signs).value for (other, _), rows in found if other == form],
                    )
                    for form in forms
                    for word, signs in (("agree", "consistent"), ("differ", "inconsistent"))
                ],
                y_scale="log",
                levels=[("the floor", 1.0), ("failure", FAR)],
            )
        ],
    )


CLAIMS = (
    claim(
        "E3-sign",
        "It is the sign: whatever the correlation gamma of the last and the next step, attention does worse where "
        "their signs differ than where they agree.",
        "implied by section 6; all proofs take gamma > 0",
        "Confirmed if at every gamma the interval of the difference of risks lies above 0, refuted if at none.",
        GAMMA,
        judge_sign,
        "difference of risks at gamma 0.5",
    ),
    claim(
        "E3-rarer",
        "It is rarity: attention does worse on whichever signs are rarer in training.",
        "ours, a control of E3-sign",
        "Confirmed if at every gamma but 0 the interval of the risk on the rarer signs minus that on the others lies "
        "above 0, refuted if at none.",
        GAMMA,
        judge_rarer,
        "",
    ),
    claim(
        "E3-mix",
        "The more steps of a test are sign-inconsistent, the worse attention does, but not the residual linear one.",
        "implied by section 6",
        "Confirmed if for every law the slope of attention's risk over the share lies above 0 and that of the residual "
        "linear network within a quarter of a floor; refuted if for none.",
        TEST_MIX,
        judge_mix,
        "slope in floors, unit data, gamma 0.5",
    ),
    claim(
        "E3-shift",
        "It is the shift: trained on sign-inconsistent steps alone, attention does not fail on them.",
        "ours, a control of E2",
        f"{FAILURE}. Confirmed if it fails on no form of the data, refuted if on all.",
        TRAIN_MIX,
        judge_shift,
        "risk over the floor, unit data",
    ),
)
