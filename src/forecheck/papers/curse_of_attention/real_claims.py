"""E9 to E11: real series."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from scipy import stats

from forecheck.papers.claim import Claim, Estimate, Measured, Outcome, Table
from forecheck.papers.curse_of_attention.real import CLASSES, REMEDIES, SPLIT, VARIANT, VARIANTS
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, ratio_estimate, verdict_of
from forecheck.papers.plots import bars, curve, curves
from forecheck.papers.rows import distinct, select

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
    told = ", ".join(f"{100 * each['level'].value:.1f} % ({data})" for data, each in shares.items())
    steps = ", ".join(f"{100 * each['difference'].value:.0f} %" for each in shares.values())
    return Outcome(
        verdict_of([holds(each["level"], above=COMMON) for each in shares.values()]),
        f"The next value has another sign than the last in {told} of all cases; the next step turns against the last "
        f"step in {steps}.",
        Estimate(mean(each["level"].value for each in shares.values())),
        Table(["set", "sign of", "inconsistent share", "from", "to", "arccos(rho) / pi", "products of zero"], cells),
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
    whole = [f"{100 * mean(row['by channel']['gap']):+.0f} %" for row in rows]
    told = ", ".join(
        f"{100 * one:+.0f} % and {100 * other:+.0f} % ({row['data']})"
        for row, one, other in zip(rows, *gaps.values(), strict=True)
    )
    return Outcome(
        verdict_of(held),
        f"One step ahead PatchTST's error is above the linear model's by {told}, where the step turns against the last "
        f"one and where it does not; over the whole horizon by {', '.join(whole)}.",
        Estimate(mean(gaps["inconsistent"]) - mean(gaps["consistent"])),
        Table(["set", "sign of", "class", "PatchTST", "linear", "last value", "gap", "from", "to"], cells),
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
    return False if False in parts else None if None in parts else True


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
    told = [
        f"{name} {', '.join(_percent(each) for (_, other), each in changes.items() if other == name)}"
        for name in REMEDIES
    ]
    return _varied(measured["variant"], changes, verdict_of(held), changes[best], f"{'; '.join(told)}")


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
    told = [
        f"{name} {', '.join(_percent(each) for (_, other), each in changes.items() if other == name)}"
        for name in ("no positions", "last token", "neither")
    ]
    last = changes[distinct(rows, "data")[0], "neither"]
    return _varied(rows, changes, verdict_of(held), last, "; ".join(told))


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
    rows: Sequence[Row], changes: dict[tuple[str, str], Estimate], verdict: Any, ours: Estimate, told: str
) -> Outcome:
    """What both claims on variants show."""
    sets = distinct(rows, "data")
    cells = []
    for data in sets:
        for name in VARIANTS:
            fits = select(rows, data=data, name=name)
            looks = [mean(values) for values in zip(*(row["last patch"] for row in fits), strict=True)]
            change = [*vars(changes[data, name]).values()] if name != "PatchTST" else [1.0, None, None]
            error, weights = mean(row["mse"] for row in fits), fits[0]["parameters"]
            cells.append([data, name, error, *change, weights, looks[0], looks[-1]])
    return Outcome(
        verdict,
        f"Change of PatchTST's test error on {' and '.join(sets)}: {told}.",
        ours,
        Table(
            ["set", "variant", "MSE", "over PatchTST", "from", "to", "weights", "last patch, layer 1", "last layer"],
            cells,
        ),
        [
            bars(
                "Test error over PatchTST's",
                "ratio",
                [name for name in VARIANTS if name != "PatchTST"],
                [(data, [changes[data, name].value for name in VARIANTS if name != "PatchTST"]) for data in sets],
            )
        ],
    )


_SIZES = "Small models and few epochs; every few rows a window, for training and for tests."
CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="E9-share",
        title="Sign-inconsistent next steps, on which attention is said to fail, are common in real series.",
        where="section 6 (definition 6.1), which takes them for granted; the count is ours",
        rule=f"Of standardised values: confirmed if on every set more than {COMMON:.0%} of the next values have "
        "another sign than the last one, refuted if fewer on every set; with intervals from windows in their order. "
        "The same of differences is told beside, and what normal values of the same correlation would give.",
        experiments=(SPLIT,),
        judge=judge_share,
        quantity="share of next values of another sign than the last, mean over sets",
    ),
    Claim(
        id="E9-gap",
        title="On real series attention loses to a linear model where the next step turns against the last one, and "
        "more so than elsewhere.",
        where="section 6 applied to real series; figure 1(a) shows whole errors only",
        rule="One step ahead, signs of differences: confirmed if on every set PatchTST's error on steps that turn over "
        "is above that of closed-form NLinear, and relatively more so than on the other steps; refuted if on every set "
        f"either is not so; with intervals from windows and seeds. {_SIZES}",
        experiments=(SPLIT,),
        judge=judge_gap,
        quantity="relative gap on steps that turn over less that on the others, mean over sets",
    ),
    Claim(
        id="E10",
        title="The more steps of a series turn over, the more attention loses to a linear model.",
        where="our reading of the open question which characteristics decide; the paper predicts nothing",
        rule="Confirmed if the rank correlation over the channels of a set, of the share of steps that turn over and "
        "the relative loss gap over the whole horizon, is positive on average of the four sets, refuted if not; with "
        "the t interval over sets, which is wide. Channels of one set are alike, and four sets are few.",
        experiments=(SPLIT,),
        judge=judge_traits,
        quantity="rank correlation within a set, mean over sets",
    ),
    Claim(
        id="E11-remedies",
        title="Rotary positions, a recency bias and differential attention make PatchTST better on real series.",
        where="section 7.2, which lists them without an experiment; the recency bias is ours",
        rule=f"Confirmed if each lowers the test error by more than {MARGIN:.0%} on every set, refuted if none does on "
        f"any; with intervals over seeds, paired. {_SIZES}",
        experiments=(VARIANT,),
        judge=judge_remedies,
        quantity="test error over that of PatchTST, best remedy and set",
    ),
    Claim(
        id="E11-order",
        title="What attention lacks is the order of what it looks at: without positions and without a head that knows "
        "them PatchTST fails most.",
        where="ours, what the toy network suggests; the paper blames asymmetric learning",
        rule="The head sees the last token alone, as the paper's network does. Confirmed if on every set PatchTST "
        f"without positions and with this head has an error more than {MARGIN:.0%} above PatchTST's and above that of "
        "every other variant, refuted if none of this is so; with intervals over seeds, paired.",
        experiments=(VARIANT,),
        judge=judge_order,
        quantity="test error of neither over that of PatchTST, first set",
    ),
)
