"""E9 to E11: real series."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean as exact
from typing import Any

from scipy import stats

from forecheck.papers.claim import Estimate, Measured, Outcome, Table
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.real import CLASSES, REMEDIES, SPLIT, VARIANT, VARIANTS
from forecheck.papers.experiment import Row
from forecheck.papers.judging import both, holds, mean_estimate, ratio_estimate, verdict_of
from forecheck.papers.plots import bars, curve, curves
from forecheck.papers.rows import distinct, select
from forecheck.papers.settings import table

COMMON = 0.05
"""Share of sign-inconsistent steps from which on they are common."""
MARGIN = 0.01
"""Relative change of the error that counts."""
TRAITS = ("inconsistent share", "autocorrelation of differences", "linear R2")
_VIEWS = {"level": "level", "difference": "step"}


def judge_share(measured: Measured) -> Outcome:
    """How many next steps turn over, in either view."""
    rows = measured["split"]
    shares = {row["data"]: {view: Estimate(*row["views"][view]["share"]) for view in _VIEWS} for row in rows}
    cells = []
    for row in rows:
        for view, word in _VIEWS.items():
            found = row["views"][view]
            cells.append([row["data"], word, *found["share"], found["gaussian"], found["ties"]])
    words = ", ".join(f"{100 * each['level'].value:.1f} % ({data})" for data, each in shares.items())
    steps = ", ".join(f"{100 * each['difference'].value:.0f} %" for each in shares.values())
    return Outcome(
        verdict_of([holds(each["level"], above=COMMON) for each in shares.values()]),
        f"The next value has another sign than the last in {words} of all cases; the next step turns against the last "
        f"step in {steps}.",
        Estimate(exact(each["level"].value for each in shares.values())),
        table("set | sign of | inconsistent share | from | to | arccos(rho) / pi | products of zero", cells),
        [
            bars(
                "Sign-inconsistent next steps",
                "share",
                [*shares],
                [(word, [each[view].value for each in shares.values()]) for view, word in _VIEWS.items()],
            )
        ],
    )


def judge_gap(measured: Measured) -> Outcome:
    """PatchTST against a linear model on steps that turn over and on steps that do not."""
    rows = measured["split"]
    held = [_lost_there(row["views"]["difference"]) for row in rows]
    cells = []
    for row in rows:
        for view, word in _VIEWS.items():
            found = row["views"][view]
            for name in CLASSES:
                losses = [found["mse"][name][key] for key in ("PatchTST", "linear", "last")]
                cells.append([row["data"], word, name, *losses, *found["gap"][name]])
    gaps = {name: [row["views"]["difference"]["gap"][name][0] for row in rows] for name in CLASSES}
    whole = [f"{100 * exact(row['by channel']['gap']):+.0f} %" for row in rows]
    words = ", ".join(
        f"{100 * one:+.0f} % and {100 * other:+.0f} % ({row['data']})"
        for row, one, other in zip(rows, *gaps.values(), strict=True)
    )
    return Outcome(
        verdict_of(held),
        f"One step ahead PatchTST's error is above the linear model's by {words}, where the step turns against the "
        f"last one and where it does not; over the whole horizon by {', '.join(whole)}.",
        Estimate(exact(gaps["inconsistent"]) - exact(gaps["consistent"])),
        table("set | sign of | class | PatchTST | linear | last value | gap | from | to", cells),
        [
            bars(
                "PatchTST's error over the linear model's, less 1",
                "relative gap",
                [r["data"] for r in rows],
                [*gaps.items()],
            )
        ],
    )


def _lost_there(view: dict[str, Any]) -> bool | None:
    """Whether the gap is positive where signs turn over, and larger than elsewhere."""
    parts = [holds(Estimate(*view["gap"]["inconsistent"]), above=0.0), holds(Estimate(*view["excess"]), above=0.0)]
    return both(*parts)


def judge_traits(measured: Measured) -> Outcome:
    """Rank correlation over the channels of a set of what they are like and the loss gap; sets are the repetitions."""
    rows = measured["split"]
    found = {trait: [_correlation(row["by channel"], trait) for row in rows] for trait in TRAITS}
    means = {trait: mean_estimate(values) for trait, values in found.items()}
    trait = TRAITS[0]
    drawn = [
        curve(row["data"], row["by channel"][trait], [100 * gap for gap in row["by channel"]["gap"]], style="points")
        for row in rows
    ]
    return Outcome(
        verdict_of([holds(means[trait], above=0.0)]),
        "Over the channels of a set, the share of steps that turn over has a rank correlation with PatchTST's loss "
        f"over the linear model's of {means[trait].value:+.2f} on average of {len(rows)} sets; the linear model's R2 "
        f"{means[TRAITS[2]].value:+.2f}.",
        means[trait],
        Table(
            ["trait", *(row["data"] for row in rows), "mean", "from", "to"],
            [[trait, *found[trait], *vars(each).values()] for trait, each in means.items()],
        ),
        [curves("Channels", "share of steps that turn over", "PatchTST over linear, less 1 (%)", drawn)],
    )


def _correlation(channels: dict[str, list[float | None]], trait: str) -> float:
    pairs = zip(channels[trait], channels["gap"], strict=True)
    known = [(x, y) for x, y in pairs if x is not None and y is not None]
    return float(stats.spearmanr(*zip(*known, strict=True)).statistic)


def judge_remedies(measured: Measured) -> Outcome:
    """Rotary positions, a recency bias and differential attention against PatchTST."""
    changes = _changes(measured["variant"])
    held = [holds(each, below=1 - MARGIN) for (_, name), each in changes.items() if name in REMEDIES]
    best = min((key for key in changes if key[1] in REMEDIES), key=lambda key: changes[key].value)
    words = [
        f"{name} {', '.join(_percent(each) for (_, other), each in changes.items() if other == name)}"
        for name in REMEDIES
    ]
    return _varied(measured["variant"], changes, verdict_of(held), changes[best], f"{'; '.join(words)}")


def judge_order(measured: Measured) -> Outcome:
    """Neither positions nor a flatten head, against either of them."""
    rows = measured["variant"]
    changes = _changes(rows)
    held: list[bool | None] = []
    for data in distinct(rows, "data"):
        worst = _errors(rows, data, "neither")
        held.append(holds(changes[data, "neither"], above=1 + MARGIN))
        held += [
            holds(ratio_estimate(worst, _errors(rows, data, name)), above=1.0) for name in VARIANTS if name != "neither"
        ]
    words = [
        f"{name} {', '.join(_percent(each) for (_, other), each in changes.items() if other == name)}"
        for name in ("no positions", "last token", "neither")
    ]
    last = changes[distinct(rows, "data")[0], "neither"]
    return _varied(rows, changes, verdict_of(held), last, "; ".join(words))


def _errors(rows: Sequence[Row], data: str, name: str) -> list[float]:
    return [row["mse"] for row in sorted(select(rows, data=data, name=name), key=lambda row: row["seed"])]


def _changes(rows: Sequence[Row]) -> dict[tuple[str, str], Estimate]:
    """By set and variant, its error over that of PatchTST as it is, paired by seed."""
    return {
        (data, name): ratio_estimate(_errors(rows, data, name), _errors(rows, data, "PatchTST"))
        for data in distinct(rows, "data")
        for name in VARIANTS
        if name != "PatchTST"
    }


def _percent(ratio: Estimate) -> str:
    return f"{100 * (ratio.value - 1):+.1f} %"


def _varied(
    rows: Sequence[Row], changes: dict[tuple[str, str], Estimate], verdict: Any, ours: Estimate, words: str
) -> Outcome:
    """What both claims on variants show."""
    sets = distinct(rows, "data")
    cells = []
    for data in sets:
        for name in VARIANTS:
            fits = select(rows, data=data, name=name)
            looks = [exact(values) for values in zip(*(row["last patch"] for row in fits), strict=True)]
            change = [*vars(changes[data, name]).values()] if name != "PatchTST" else [1.0, None, None]
            error, weights = exact(row["mse"] for row in fits), fits[0]["parameters"]
            cells.append([data, name, error, *change, weights, looks[0], looks[-1]])
    return Outcome(
        verdict,
        f"Change of PatchTST's test error on {' and '.join(sets)}: {words}.",
        ours,
        table("set | variant | MSE | over PatchTST | from | to | weights | last patch, layer 1 | last layer", cells),
        [
            bars(
                "Test error over PatchTST's",
                "ratio",
                [name for name in VARIANTS if name != "PatchTST"],
                [(data, [changes[data, name].value for name in VARIANTS if name != "PatchTST"]) for data in sets],
            )
        ],
    )


CLAIMS = claims(
    __name__,
    {
        "E9-share": Tested(judge_share, (SPLIT,)),
        "E9-gap": Tested(judge_gap, (SPLIT,)),
        "E10": Tested(judge_traits, (SPLIT,)),
        "E11-remedies": Tested(judge_remedies, (VARIANT,)),
        "E11-order": Tested(judge_order, (VARIANT,)),
    },
    COMMON=COMMON,
    MARGIN=MARGIN,
)
