"""E4: what theorem 5.2 says of training, part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from forecheck.papers.claim import Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.learning import ENDLESS, LEARNING
from forecheck.papers.experiment import Row
from forecheck.papers.judging import all_or_none, averaged, both, holds, mean, mean_estimate, share_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.rows import cells, grouped, select
from forecheck.papers.settings import (
    BySetting,
    Column,
    Found,
    Rows,
    average,
    estimated,
    named,
    read,
    settings,
    shared,
    table,
)

LARGE = 16
"""Windows from which on lemma I.3's n >= N / gamma holds for gamma = 0.5."""
CERTAIN = 0.9
"""1 - delta; the paper takes delta below 0.1."""
REACHED = 0.01
"""Part of the loss at the start that counts as none."""
NEAR = 0.05
WIDE = 1024
_BY = ("form", "gamma", "samples", "neurons")
_NAME = named("{form} {gamma:g}, {samples} windows, width {neurons}")
_DRAWS = Column("draws", len)


def _over_time(name: str, rows: Rows, key: str, style: Literal["line", "dashed"] = "line") -> dict[str, Any]:
    """The mean of a quantity over draws."""
    return curve(name, rows[0]["times"], averaged(read(rows, key)), style=style)


def _last(key: str) -> Callable[[Row], Any]:
    return lambda row: row[key][-1]


def _first_step(
    gamma: Callable[[float], bool], ours: str, above: float | None = None, below: float | None = None
) -> BySetting:
    """Judge of the share of weights that the first step moves along the sign of their outputs."""

    def charts(found: Found) -> list[dict[str, Any]]:
        series = [_over_time(*named, "aligned") for named in zip(found.labels, found.groups, strict=True)]
        title = "Weights that have moved along the sign of their outputs"
        return [curves(title, "step", "share", series, log="x")]

    return BySetting(
        settings(LEARNING, by=_BY, where=lambda row: row["samples"] >= LARGE and gamma(row["gamma"])),
        {
            "name": _NAME,
            "draws": _DRAWS,
            "share": estimated("first step", lambda row: row["aligned"][0], above, below),
            "end": average("end", _last("aligned")),
            "gain": average("gain A1 at the end", _last("gain")),
        },
        "After one step {share:span .0%} of the weights have moved along the sign of their outputs; at the end of "
        "training {end:span .0%} have.",
        ours,
        charts,
    )


def _trained(measured: Measured) -> list[list[Row]]:
    """Settings of finite width with what is left of the error, then those of infinite width."""
    finite = settings(LEARNING, by=_BY, where=lambda row: row["gamma"] > 0)(measured)
    found = [[{**row, "left": row["errors"][-1] / row["zero"]} for row in rows] for rows in finite]
    return found + [
        [{**row, "neurons": "infinite", "left": each[-1]} for each in row["left"]] for row in measured[ENDLESS.name]
    ]


def _setting(rows: Rows) -> str:
    name = "{form} {gamma:g}, {samples} windows, infinite width" if rows[0]["neurons"] == "infinite" else None
    return name.format(**rows[0]) if name else str(_NAME.measure(rows))


def _fitted(rows: Rows) -> float | None:
    """What least squares leaves; nothing on few windows."""
    if rows[0]["neurons"] == "infinite":
        return None
    return mean([row["least squares"] / row["zero"] for row in rows]) if rows[0]["samples"] >= LARGE else 0.0


def _reached(rows: Rows) -> str:
    return f"{sum(row['left'] < REACHED for row in rows)} of {len(rows)}"


def _shown(found: Found) -> tuple[Rows, Rows, Rows]:
    """Width 1024 on many windows, infinite width on most of them and on the fewest."""
    finite = [rows for rows in found.groups if rows[0]["neurons"] != "infinite"]
    endless = sorted((rows for rows in found.groups if rows not in finite), key=lambda rows: rows[0]["samples"])
    narrow = next(rows for rows in finite if rows[0]["samples"] >= LARGE and rows[0]["neurons"] == WIDE)
    most = endless[-1][0]["samples"]
    return narrow, next(e for e in endless if e[0]["samples"] == most and e[0]["form"] == "unit"), endless[0]


def _loss(found: Found) -> str:
    narrow, endless, few = _shown(found)
    return (
        f"Of the error of zero on {endless[0]['samples']} windows {mean(read(narrow, 'left')):.0%} is left at width "
        f"{WIDE} after {narrow[0]['times'][-1]} steps, and {mean(read(endless, 'left')):.0%} at infinite width after "
        f"{endless[0]['times'][-1]:.0e} steps; least squares leaves {_fitted(narrow):.0%}. On {few[0]['samples']} "
        f"windows infinite width falls below 1 % in {_reached(few)} draws."
    )


def _loss_chart(found: Found) -> list[dict[str, Any]]:
    narrow = _shown(found)[0]
    series = [
        curve(f"{row['samples']} windows, infinite width", row["times"], averaged(row["left"]))
        for row in found.measured[ENDLESS.name]
        if row["form"] == "unit"
    ]
    left = averaged([[error / row["zero"] for error in row["errors"]] for row in narrow])
    name = f"{narrow[0]['samples']} windows, width {WIDE}"
    series.append(curve(name, narrow[0]["times"], left, style="points"))
    levels = [("least squares", mean([row["least squares"] / row["zero"] for row in narrow]))]
    title = "Training error over time, over that of zero"
    return [curves(title, "step", "error left", series, log="x", levels=levels)]


def judge_rate(measured: Measured) -> Outcome:
    """L(t + 1) <= (1 - eta lambda / 2) L(t) wherever that exceeds rounding."""
    groups = settings(LEARNING, by=_BY, where=lambda row: row["bound"] is not None)(measured)
    broken = [sum(row["excess"] > 0 for row in rows) for rows in groups]
    runs = [f"{bad} of {len(rows)} at width {rows[0]['neurons']}" for bad, rows in zip(broken, groups, strict=True)]
    unresolved = sum(row["bound"] is None for row in measured[LEARNING.name])
    return Outcome(
        verdict_of([bad == 0 for bad in broken]),
        f"Runs that break the bound: {'; '.join(runs) or 'none'}. In {unresolved} runs the smallest eigenvalue is too "
        "close to rounding for the bound to say anything.",
        share_estimate(sum(broken), sum(len(rows) for rows in groups)) if groups else None,
        table(
            "setting | draw | eta lambda / 2 | largest ratio above the bound | largest move",
            [
                [_NAME.measure(rows), *cells(row, "seed", "bound", "excess"), row["moved"][-1]]
                for rows in groups
                for row in rows
            ],
        ),
    )


def _late_settings(measured: Measured) -> list[list[Row]]:
    """Settings of many windows, then the runs whose loss fell to 1 %, apart."""
    groups = settings(LEARNING, by=_BY, where=lambda row: row["gamma"] > 0 and row["samples"] >= LARGE)(measured)
    fell = settings(LEARNING, by=_BY, where=lambda row: row["errors"][-1] < REACHED * row["zero"])(measured)
    runs = [(rows, "") for rows in groups] + [(rows, ", runs whose loss fell to 1 %") for rows in fell]
    return [[{**row, "runs": words} for row in rows] for rows, words in runs]


def _both_late(rows: Rows) -> bool | None:
    held = both(*(holds(mean_estimate([row[k][-1] for row in rows]), above=CERTAIN) for k in ("positive", "negative")))
    return None if held and len(rows) < 2 else held


def _wide(found: Found) -> int:
    return next(k for k, rows in enumerate(found.groups) if rows[0]["neurons"] == WIDE and not rows[0]["runs"])


def _late(found: Found) -> str:
    positive, negative = found["positive"].numbers, found["negative"].numbers
    return (
        f"At width {WIDE} P(w > 0 | a = 1) ends at {positive[_wide(found)]:.2f} and P(w < 0 | a = -1) at "
        f"{negative[_wide(found)]:.2f}; in no setting do both exceed {max(map(min, positive, negative)):.2f} on "
        "average."
    )


def _late_chart(found: Found) -> list[dict[str, Any]]:
    wide = found.groups[_wide(found)]
    series = [
        _over_time("w > 0 | a = 1", wide, "positive"),
        _over_time("w < 0 | a = -1", wide, "negative"),
        _over_time("lazy prediction", wide, "lazy", style="dashed"),
    ]
    title, levels = f"Signs of weights over time, width {WIDE}", [("claimed: 1 - delta", CERTAIN)]
    return [curves(title, "step", "share", series, log="x", levels=levels)]


def _both(row: Row) -> float:
    """The mean of the two shares: of pairs it is one half at the start whatever was drawn."""
    return float(row["positive"][-1] + row["negative"][-1]) / 2


def _half_settings(measured: Measured) -> list[Rows]:
    chosen = [row for row in select(measured[LEARNING.name], form="unit", gamma=0.5) if row["samples"] >= LARGE]
    return sorted(grouped(chosen, *_BY).values(), key=lambda rows: rows[0]["neurons"])


def _half_chart(found: Found) -> list[dict[str, Any]]:
    widths, spread = found["width"], found["spread"].numbers
    law = [spread[0] * (width / widths[0]) ** -0.5 for width in widths]
    series = [curve("measured", widths, spread), curve("m^-1/2", widths, law, style="dashed")]
    title = "Distance of the conditional shares from one half"
    return [curves(title, "width m", "root mean square", series, log="xy")]


CLAIMS = claims(
    __name__,
    {
        "E4-early": Tested(_first_step(lambda gamma: gamma > 0, "least share", above=0.99), (LEARNING,)),
        "E4-mirror": Tested(_first_step(lambda gamma: gamma < 0, "most share", below=0.01), (LEARNING,)),
        "E4-loss": Tested(
            BySetting(
                _trained,
                {
                    "name": Column("setting", _setting),
                    "steps": Column("steps", lambda rows: rows[0]["times"][-1]),
                    "left": average("error left", "left"),
                    "reached": Column("runs below 1 %", _reached),
                    "fitted": Column("least squares", _fitted),
                },
                _loss,
                lambda found: mean_estimate(read(_shown(found)[1], "left")),
                _loss_chart,
                also=lambda found: [all_or_none([row["left"] < REACHED for row in rows]) for rows in found.groups],
            ),
            (LEARNING, ENDLESS),
        ),
        "E4-rate": Tested(judge_rate, (LEARNING,)),
        "E4-late": Tested(
            BySetting(
                _late_settings,
                {
                    "name": named("{form} {gamma:g}, {samples} windows, width {neurons}{runs}"),
                    "draws": _DRAWS,
                    "up": average("w > 0 | a = 1, step 1", lambda row: row["positive"][0]),
                    "down": average("w < 0 | a = -1, step 1", lambda row: row["negative"][0]),
                    "positive": estimated("w > 0 | a = 1, end", _last("positive")),
                    "negative": estimated("w < 0 | a = -1, end", _last("negative")),
                    "moved": average("largest move", _last("moved")),
                },
                _late,
                lambda found: mean_estimate(read(found.groups[_wide(found)], _both)),
                _late_chart,
                also=lambda found: [_both_late(rows) for rows in found.groups],
            ),
            (LEARNING,),
        ),
        "E4-half": Tested(
            BySetting(
                _half_settings,
                {
                    "width": shared("width", "neurons"),
                    "share": estimated("mean of both shares", _both),
                    "lazy": average("Phi(A1 / sqrt m)", _last("lazy")),
                    "gap": estimated(
                        "difference",
                        lambda row: _both(row) - row["lazy"][-1],
                        -NEAR,
                        NEAR,
                        lambda rows: rows[0]["neurons"] >= WIDE,
                    ),
                    "spread": Column(
                        "distance from 1/2", lambda rows: mean([(_both(row) - 0.5) ** 2 for row in rows]) ** 0.5
                    ),
                },
                lambda found: (
                    f"The mean of both shares ends {found['spread']:first .2f} from one half at width "
                    f"{found['width'][0]} and {found['spread']:last .3f} at width {found['width'][-1]} (root mean "
                    f"square over draws); Phi(A1 / sqrt m) is {found['lazy']:last .3f} there."
                ),
                "last share",
                _half_chart,
                also=lambda found: [holds(found["share"][-1], above=0.5 - NEAR, below=0.5 + NEAR)],
            ),
            (LEARNING,),
        ),
    },
    WIDE=WIDE,
)
