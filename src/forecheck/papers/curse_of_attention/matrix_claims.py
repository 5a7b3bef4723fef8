"""E8: what section 7.1 says of attention on vectors."""

from __future__ import annotations

from typing import Any

from forecheck.papers.claim import Estimate
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.matrix import LOCAL, TOKENS
from forecheck.papers.experiment import Row
from forecheck.papers.judging import averaged, mean, mean_estimate
from forecheck.papers.plots import bars, curve, curves
from forecheck.papers.settings import BySetting, Column, Found, Rows, average, estimated, named, overall, settings

AGREES = 0.95
_SETTINGS = settings(LOCAL, by=("kind", "persistence", "head", "optimizer"))
_NAME = named("{kind} {persistence:+g}, {head}, {optimizer}", "setting")
_RISKS = "risk over linear's, signs agree | risk over linear's, signs differ"


def over_training(key: str) -> Any:
    """Mean over the log-spaced times, of a row."""
    return lambda row: float(mean(row[key]))


def over_time(rows: Rows, key: str) -> list[float]:
    """Mean over draws at each time after the start."""
    return averaged([row[key][1:] for row in rows])


def _ratios(rows: Rows) -> list[float]:
    """Attention's mean risk over that of the linear model, where signs agree and where they differ."""
    return [
        sum(row[f"attention, {signs}"] for row in rows) / sum(row[f"linear, {signs}"] for row in rows)
        for signs in ("consistent", "inconsistent")
    ]


def _change(row: Row) -> float:
    return float(row["local attention"][-1] - row["local attention"][0])


def _over_linear(row: Row, signs: str) -> float:
    return float(row[f"attention, {signs}"] / row[f"linear, {signs}"])


def _loses_more(rows: Rows) -> Estimate:
    return mean_estimate([_over_linear(row, "inconsistent") - _over_linear(row, "consistent") for row in rows])


def _found_of_signs(found: Found) -> str:
    words = []
    for word, rare in (("exception", True), ("rule", False)):
        of = [k for k, share in enumerate(found["often"]) if (share < 0.5) is rare]
        agree, differ = ([found[name].numbers[k] for k in of] for name in ("agree", "differ"))
        if of:
            words.append(
                f"where differing signs are the {word} attention has {min(agree):.2f} to {max(agree):.2f} times the "
                f"linear model's risk if signs agree and {min(differ):.2f} to {max(differ):.2f} times if they differ"
            )
    text = "; ".join(words)
    return f"{text[:1].upper()}{text[1:]}."


CLAIMS = claims(
    __name__,
    {
        "E8-criterion": Tested(
            BySetting(
                _SETTINGS,
                {
                    "name": _NAME,
                    "case": estimated("case tells score's gradient", over_training("case tells score"), above=AGREES),
                    "attention": estimated("case tells attention", over_training("case tells attention")),
                    "exact": estimated("exact tells attention", over_training("exact tells attention")),
                },
                "The paper's sign agrees with the local score's gradient in {case:span .0%} of the queries; with what "
                "a step on the window does to the local attention in {attention:span .0%}, where the exact criterion, "
                "which subtracts the attended mean, reaches {exact:span .0%}.",
                overall(over_training("case tells score")),
            ),
            (LOCAL,),
        ),
        "E8-share": Tested(
            BySetting(
                _SETTINGS,
                {
                    "name": _NAME,
                    "case": estimated("case 1, paper's", over_training("case 1"), above=0.5),
                    "exact": estimated("case 1, exact", over_training("exact")),
                    "falls": estimated("local attention falls", over_training("falls")),
                    "risks": Column(_RISKS, _ratios),
                },
                "Over training {case:span .0%} of the queries are in case 1 by the paper's criterion, "
                "{exact:span .0%} by the exact one.",
                overall(over_training("case 1")),
                lambda found: [
                    curves(
                        f"Share of queries in case 1 ({found['name'][0]})",
                        "step",
                        "share",
                        [
                            curve(f"{name} criterion", found.rows[0]["times"][1:], over_time(found.groups[0], key))
                            for name, key in (("paper's", "case 1"), ("exact", "exact"))
                        ],
                        log="x",
                        levels=[("as many as in case 2", 0.5)],
                    )
                ],
            ),
            (LOCAL,),
        ),
        "E8-local": Tested(
            BySetting(
                _SETTINGS,
                {
                    "name": _NAME,
                    "start": average("local attention, start", lambda row: row["local attention"][0]),
                    "end": average("end", lambda row: row["local attention"][-1]),
                    "change": estimated("change", _change, below=0.0),
                    "risks": Column(_RISKS, _ratios),
                },
                f"From {{start:first .3f}} (uniform: {1 / TOKENS:.3f}) the mean local attention goes to "
                f"{{end:span .3f}}, by setting.",
                overall(_change),
                lambda found: [
                    curves(
                        "Mean attention of queries to themselves",
                        "step",
                        "S_ii",
                        [
                            curve(name, rows[0]["times"][1:], over_time(rows, "local attention"))
                            for name, rows in zip(found["name"], found.groups, strict=True)
                        ],
                        log="x",
                        levels=[("uniform", 1 / TOKENS)],
                    )
                ],
            ),
            (LOCAL,),
        ),
        "E8-signs": Tested(
            BySetting(
                _SETTINGS,
                {
                    "name": _NAME,
                    "often": average("share of differing signs", "share inconsistent"),
                    "agree": estimated("risk over linear's, signs agree", lambda row: _over_linear(row, "consistent")),
                    "differ": estimated("signs differ", lambda row: _over_linear(row, "inconsistent"), above=1.0),
                    "more": Column("difference", _loses_more, above=0.0),
                    "risks": Column(
                        " | ".join(
                            f"{model}, {word}"
                            for word in ("agree", "differ")
                            for model in ("attention", "linear", "zero")
                        ),
                        lambda rows: [
                            mean([row[f"{model}, {signs}"] for row in rows])
                            for signs in ("consistent", "inconsistent")
                            for model in ("attention", "linear", "zero")
                        ],
                    ),
                },
                _found_of_signs,
                overall(lambda row: _over_linear(row, "inconsistent")),
                lambda found: [
                    bars(
                        "Risk of attention over that of a linear model",
                        "ratio",
                        found["name"],
                        [("signs agree", found["agree"].numbers), ("signs differ", found["differ"].numbers)],
                    )
                ],
                together=True,
            ),
            (LOCAL,),
        ),
    },
)
