"""E1 and E2: whether attention fails where signs agree, and where they differ."""

from __future__ import annotations

import math

from forecheck.papers.claim import Estimate
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.sign import SPLIT
from forecheck.papers.curse_of_attention.sign_reading import (
    NEAR,
    fails,
    mean_risk,
    over_floor,
    per_zero,
    risks,
    times_floor,
)
from forecheck.papers.experiment import Row
from forecheck.papers.judging import both, holds, mean_estimate, opposite, transformed
from forecheck.papers.settings import BySetting, Column, Found, Rows, average, bar_chart, settings, shared

_ON_ALL = settings(SPLIT, by=("form",), where=lambda row: row["share"] is None)
_BARS = {"attention": "attention", "residual linear": "linear", "zero": "zero"}


def _trained_on(rows: Rows) -> str:
    return f"{rows[0]['form']}, {'all' if rows[0]['share'] is None else 'consistent only'}"


def _gap(row: Row) -> float:
    shares = [row["attention"][signs] / row["zero"][signs] for signs in ("inconsistent", "all")]
    return math.log(shares[0] / shares[1])


def _gaps(rows: Rows) -> Estimate:
    return transformed(mean_estimate([_gap(row) for row in rows]), math.exp)


def _judge_gap(found: Found) -> list[bool | None]:
    return [holds(mean_estimate([_gap(row) for row in rows]), above=0.0) for rows in found.groups]


CLAIMS = claims(
    __name__,
    {
        "E1": Tested(
            BySetting(
                settings(SPLIT, by=("form", "share")),
                {
                    "laws": Column("", _trained_on),
                    "law": Column("data | trained on", lambda rows: _trained_on(rows).split(", ")),
                    "risks": risks(
                        "attention | stopped early | residual linear | OLS | oracle | zero",
                        *(
                            (each, "consistent")
                            for each in ("attention", "stopped", "residual", "ols", "oracle", "zero")
                        ),
                    ),
                    "attention": times_floor("over floor", "attention", "consistent"),
                    "linear": times_floor("", "residual", "consistent"),
                    "zero": times_floor("", "zero", "consistent"),
                },
                lambda found: (
                    f"Where signs agree attention has {found['attention']:first .0f} times the risk of the floor "
                    f"({found['law'][0][0]}) and in no setting less than {found['attention']:least .1f} times; "
                    f"residual linear at most {found['linear']:most .2f}."
                ),
                "first attention",
                bar_chart("Risk where signs agree, over the floor", "times the floor", _BARS),
                also=lambda found: [opposite(fails(rows, "consistent")) for rows in found.groups],
            ),
            (SPLIT,),
        ),
        "E2": Tested(
            BySetting(
                _ON_ALL,
                {
                    "form": shared("data", "form"),
                    "risks": risks(
                        "all signs | differing signs | stopped early | residual linear | OLS | zero | persistence",
                        ("attention", "all"),
                        *(
                            (model, "inconsistent")
                            for model in ("attention", "stopped", "residual", "ols", "zero", "persistence")
                        ),
                    ),
                    "floor": average("floor", "floor"),
                    "attention": times_floor("over floor | low | high", "attention", "inconsistent"),
                    "linear": times_floor("", "residual", "inconsistent"),
                    "zero": times_floor("", "zero", "inconsistent"),
                },
                "Where signs differ attention has {attention:each .1f} times the risk of the floor, the residual "
                "linear network at most {linear:most .2f} times.",
                "first attention",
                bar_chart("Risk where signs differ, over the floor", "times the floor", _BARS),
                also=lambda found: [
                    both(fails(rows, "inconsistent"), holds(over_floor(rows, "residual", "inconsistent"), below=NEAR))
                    for rows in found.groups
                ],
            ),
            (SPLIT,),
        ),
        "E2-gap": Tested(
            BySetting(
                _ON_ALL,
                {
                    "form": shared("data", "form"),
                    "all": Column("all, over zero's", lambda rows: per_zero(rows, "all")),
                    "agree": Column("agreeing", lambda rows: per_zero(rows, "consistent")),
                    "differ": Column("differing", lambda rows: per_zero(rows, "inconsistent")),
                    "raw": Column(
                        "raw risk over all",
                        lambda rows: mean_risk(rows, "attention", "inconsistent") / mean_risk(rows, "attention", "all"),
                    ),
                    "gap": Column("gap | low | high", _gaps),
                },
                lambda found: (
                    f"Where signs differ attention's risk is {found['differ']:each .2f} times that of forecasting "
                    f"zero; this share is {found['gap']:first .1f} times that on all windows ({found.labels[0]}). Raw "
                    "risks would mislead, as targets are smaller where signs differ."
                ),
                "first gap",
                also=_judge_gap,
            ),
            (SPLIT,),
        ),
    },
    NEAR=NEAR,
)
