"""E3: whether attention fails because of the signs, because they are rare, or because they shift."""

from __future__ import annotations

from typing import Any

from forecheck.papers.claim import Estimate
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.sign import GAMMA, TEST_MIX, TRAIN_MIX
from forecheck.papers.curse_of_attention.sign_reading import FAR, fails, over_floor, per_zero, risks, times_floor
from forecheck.papers.experiment import Row
from forecheck.papers.judging import mean, mean_estimate, opposite, slope_estimate
from forecheck.papers.plots import curve, curves
from forecheck.papers.settings import BySetting, Column, Found, Rows, named, settings, shared


def _more(rows: Rows) -> Estimate:
    """How much larger attention's risk is where signs differ than where they agree."""
    return mean_estimate([row["attention"]["inconsistent"] - row["attention"]["consistent"] for row in rows])


def _rarer(rows: Rows) -> Estimate:
    """How much larger it is on the rarer signs."""
    more = _more(rows)
    if rows[0]["rarer"] == "inconsistent":
        return more
    low, high = (None if end is None else -end for end in (more.high, more.low))
    return Estimate(-more.value, low, high)


def _columns(last: str, gap: Any) -> dict[str, Column]:
    return {
        "gamma": shared("gamma", "gamma"),
        "risks": risks(
            "all | agreeing | differing | zero, agreeing | zero, differing | residual linear, differing",
            *(("attention", signs) for signs in ("all", "consistent", "inconsistent")),
            *(("zero", signs) for signs in ("consistent", "inconsistent")),
            ("residual", "inconsistent"),
        ),
        "more": Column(f"{last} | low | high", gap, above=0.0),
        "agree": times_floor("", "residual", "consistent"),
        "differ": times_floor("", "residual", "inconsistent"),
    }


def _sign(found: Found) -> str:
    harder, easier = (
        ", ".join(f"{gamma:g}" for gamma, each in zip(found["gamma"], found.held, strict=True) if each is side)
        for side in (True, False)
    )
    linear = max(*found["agree"].numbers, *found["differ"].numbers)
    return (
        f"Differing signs are harder for attention at gamma = {harder or 'none'} and easier at {easier or 'none'}; "
        f"the residual linear network has at most {linear:.2f} times the floor on both."
    )


def _gamma_chart(found: Found) -> list[dict[str, Any]]:
    groups = settings(GAMMA, by=("gamma",))(found.measured)

    def drawn(label: str, model: str, signs: str, style: Any = "line") -> dict[str, Any]:
        each = [mean_estimate([row[model][signs] for row in rows]) for rows in groups]
        low, high = ([e.low for e in each], [e.high for e in each]) if style == "line" else (None, None)
        return curve(label, [rows[0]["gamma"] for rows in groups], [e.value for e in each], low, high, style)

    series = [
        drawn("attention, signs differ", "attention", "inconsistent"),
        drawn("attention, signs agree", "attention", "consistent"),
        drawn("zero, signs differ", "zero", "inconsistent", "dashed"),
        drawn("zero, signs agree", "zero", "consistent", "dashed"),
        drawn("residual linear, signs differ", "residual", "inconsistent"),
    ]
    title = "Risk by the correlation of the last and the next step"
    return [curves(title, "gamma", "mean squared error", series, log="y")]


def _slope(model: str) -> Any:
    """Slopes of a model's risk over the share of differing signs in the test, in floors."""
    return lambda rows: mean_estimate(
        [slope_estimate(row["shares"], [each / row["floor"] for each in row[model]]).value for row in rows]
    )


def _bend(rows: Rows) -> float:
    """How far mixtures lie from the line between risks on other windows, relative, mean over repetitions."""

    def apart(row: Row, k: int) -> float:
        low, high = row["ends"]
        return float(row["attention"][k] / (low + row["shares"][k] * (high - low)) - 1)

    return max(abs(mean([apart(row, k) for row in rows])) for k in range(len(rows[0]["shares"])))


def _mix_chart(found: Found) -> list[dict[str, Any]]:
    series = []
    for rows in found.groups:
        shares = rows[0]["shares"]
        for model, key in (("attention", "attention"), ("residual linear", "residual")):
            risk = [mean([row[key][k] / row["floor"] for row in rows]) for k in range(len(shares))]
            series.append(curve(f"{model}, {rows[0]['form']}, gamma {rows[0]['gamma']:g}", shares, risk))
    title = "Risk by the share of differing signs in the test"
    return [curves(title, "share", "times the floor", series, log="y")]


def _shift_chart(found: Found) -> list[dict[str, Any]]:
    series = []
    for form in dict.fromkeys(row["form"] for row in found.rows):
        own = [rows for rows in found.groups if rows[0]["form"] == form]
        for word, signs in (("agree", "consistent"), ("differ", "inconsistent")):
            risk = [over_floor(rows, "attention", signs).value for rows in own]
            series.append(curve(f"{form}, signs {word}", [rows[0]["share"] for rows in own], risk))
    title, levels = "Risk by the share of differing signs in training", [("the floor", 1.0), ("failure", FAR)]
    return [curves(title, "share", "times the floor", series, log="y", levels=levels)]


def _alone(found: Found) -> dict[str, Rows]:
    """By form of the data, what was trained on differing signs only."""
    return {rows[0]["form"]: rows for rows in found.groups if rows[0]["share"] == 1}


def _shift(found: Found) -> str:
    ratios = {form: over_floor(rows, "attention", "inconsistent").value for form, rows in _alone(found).items()}
    return (
        "Trained on differing signs only, where nothing shifts, attention has "
        f"{', '.join(f'{each:.1f} ({form})' for form, each in ratios.items())} times the floor's risk."
    )


CLAIMS = claims(
    __name__,
    {
        "E3-sign": Tested(
            BySetting(
                settings(GAMMA, by=("gamma",)),
                _columns("differing minus agreeing", _more),
                _sign,
                lambda found: min(zip(found["gamma"], found["more"], strict=True), key=lambda each: abs(each[0] - 0.5))[
                    1
                ],
                _gamma_chart,
            ),
            (GAMMA,),
        ),
        "E3-rarer": Tested(
            BySetting(
                settings(GAMMA, by=("gamma",), where=lambda row: bool(row["gamma"])),
                _columns("rarer minus more frequent", _rarer),
                lambda found: (
                    f"At {found.held.count(True)} of {len(found.held)} correlations attention does worse on the signs "
                    "that are rarer in training, whether these agree or differ."
                ),
                lambda _: None,
                _gamma_chart,
            ),
            (GAMMA,),
        ),
        "E3-mix": Tested(
            BySetting(
                settings(TEST_MIX, by=("form", "gamma")),
                {
                    "law": named("{form}, gamma {gamma:g}", ""),
                    "form": shared("data", "form"),
                    "gamma": shared("gamma", "gamma"),
                    "attention": Column("slope, floors | low | high", _slope("attention"), above=0.0),
                    "linear": Column(
                        "slope, residual linear | low, residual | high, residual",
                        _slope("residual"),
                        above=-0.25,
                        below=0.25,
                    ),
                    "bend": Column("farthest from a line", _bend),
                },
                lambda found: (
                    "From none to all steps with differing signs attention's risk changes by "
                    f"{found['attention']:each +.1f} floors, the residual linear network's by "
                    f"{max(found['linear'].numbers, key=abs):+.2f} at most. Mixtures lie within "
                    f"{found['bend']:most .1%} of the line between the ends."
                ),
                "first attention",
                _mix_chart,
                together=True,
            ),
            (TEST_MIX,),
        ),
        "E3-shift": Tested(
            BySetting(
                settings(TRAIN_MIX, by=("form", "share")),
                {
                    "form": shared("data", "form"),
                    "share": shared("share in training", "share"),
                    "risks": risks("agreeing | differing", ("attention", "consistent"), ("attention", "inconsistent")),
                    "agree": times_floor("agreeing, over floor", "attention", "consistent"),
                    "differ": times_floor("differing, over floor", "attention", "inconsistent"),
                    "zero": Column("differing, over zero's", lambda rows: per_zero(rows, "inconsistent")),
                },
                _shift,
                lambda found: over_floor(next(iter(_alone(found).values())), "attention", "inconsistent"),
                _shift_chart,
                also=lambda found: [opposite(fails(rows, "inconsistent")) for rows in _alone(found).values()],
            ),
            (TRAIN_MIX,),
        ),
    },
)
