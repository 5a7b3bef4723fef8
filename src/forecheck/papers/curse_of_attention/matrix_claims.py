"""E8: what section 7.1 says of attention on vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecheck.papers.claim import Claim, Measured, Outcome, Table
from forecheck.papers.curse_of_attention.matrix import LOCAL, TOKENS
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, verdict_of
from forecheck.papers.plots import bars, curve, curves

AGREES = 0.95


def judge_criterion(measured: Measured) -> Outcome:
    """The sign of <G_i, W_V' X_i> tells what descent does to a token's attention to itself."""
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for name, group in groups(measured).items():
        case, attention, exact = (
            mean_estimate([over_training(row, key) for row in group])
            for key in ("case tells score", "case tells attention", "exact tells attention")
        )
        held.append(holds(case, above=AGREES))
        cells.append([name, case.value, attention.value, exact.value])
    every = mean_estimate([over_training(row, "case tells score") for row in measured[LOCAL.name]])
    low, high = min(cell[1] for cell in cells), max(cell[1] for cell in cells)
    return Outcome(
        verdict_of(held),
        f"The paper's sign agrees with the local score's gradient in {low:.0%} to {high:.0%} of the queries; with what "
        f"a step on the window does to the local attention in {min(cell[2] for cell in cells):.0%} to "
        f"{max(cell[2] for cell in cells):.0%}, where the exact criterion, which subtracts the attended mean, reaches "
        f"{min(cell[3] for cell in cells):.0%} to {max(cell[3] for cell in cells):.0%}.",
        every,
        Table(
            ["setting", "case tells score's gradient", "case tells attention", "exact tells attention"],
            cells,
        ),
    )


def judge_share(measured: Measured) -> Outcome:
    """Case 1 is the rule."""
    found = groups(measured)
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for name, group in found.items():
        case, exact, falls = (
            mean_estimate([over_training(row, key) for row in group]) for key in ("case 1", "exact", "falls")
        )
        held.append(holds(case, above=0.5))
        cells.append([name, case.value, exact.value, falls.value, *(_ratio(group, signs) for signs in _SIGNS)])
    first, shown = next(iter(found.items()))
    return Outcome(
        verdict_of(held),
        f"Over training {min(cell[1] for cell in cells):.0%} to {max(cell[1] for cell in cells):.0%} of the queries "
        f"are in case 1 by the paper's criterion, {min(cell[2] for cell in cells):.0%} to "
        f"{max(cell[2] for cell in cells):.0%} by the exact one.",
        mean_estimate([over_training(row, "case 1") for row in measured[LOCAL.name]]),
        Table(
            [
                "setting",
                "case 1, paper's",
                "case 1, exact",
                "local attention falls",
                "risk over linear's, signs agree",
                "risk over linear's, signs differ",
            ],
            cells,
        ),
        [
            curves(
                f"Share of queries in case 1 ({first})",
                "step",
                "share",
                [
                    curve("paper's criterion", shown[0]["times"][1:], over_time(shown, "case 1")),
                    curve("exact criterion", shown[0]["times"][1:], over_time(shown, "exact")),
                ],
                x_scale="log",
                levels=[("as many as in case 2", 0.5)],
            )
        ],
    )


def judge_local(measured: Measured) -> Outcome:
    """Attention of a token to itself falls while training."""
    found = groups(measured)
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for name, group in found.items():
        change = mean_estimate([row["local attention"][-1] - row["local attention"][0] for row in group])
        held.append(holds(change, below=0.0))
        starts, ends = (sum(row["local attention"][k] for row in group) / len(group) for k in (0, -1))
        cells.append([name, starts, ends, change.value, *(_ratio(group, signs) for signs in _SIGNS)])
    return Outcome(
        verdict_of(held),
        f"From {cells[0][1]:.3f} (uniform: {1 / TOKENS:.3f}) the mean local attention goes to "
        f"{min(cell[2] for cell in cells):.3f} to {max(cell[2] for cell in cells):.3f}, by setting.",
        mean_estimate([row["local attention"][-1] - row["local attention"][0] for row in measured[LOCAL.name]]),
        Table(
            [
                "setting",
                "local attention, start",
                "end",
                "change",
                "risk over linear's, signs agree",
                "risk over linear's, signs differ",
            ],
            cells,
        ),
        [
            curves(
                "Mean attention of queries to themselves",
                "step",
                "S_ii",
                [
                    curve(name, group[0]["times"][1:], over_time(group, "local attention"))
                    for name, group in found.items()
                ],
                x_scale="log",
                levels=[("uniform", 1 / TOKENS)],
            )
        ],
    )


def judge_signs(measured: Measured) -> Outcome:
    """Attention loses more to a linear model where signs differ than where they agree."""
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for name, group in groups(measured).items():
        agree, differ = (
            mean_estimate([row[f"attention, {signs}"] / row[f"linear, {signs}"] for row in group]) for signs in _SIGNS
        )
        more = mean_estimate(
            [
                row["attention, inconsistent"] / row["linear, inconsistent"]
                - row["attention, consistent"] / row["linear, consistent"]
                for row in group
            ]
        )
        each = [holds(differ, above=1.0), holds(more, above=0.0)]
        held.append(False if False in each else None if None in each else True)
        risks = [
            sum(row[f"{model}, {signs}"] for row in group) / len(group)
            for signs in _SIGNS
            for model in ("attention", "linear", "zero")
        ]
        often = sum(row["share inconsistent"] for row in group) / len(group)
        cells.append([name, often, agree.value, differ.value, more.value, *risks])
    rare = [cell for cell in cells if cell[1] < 0.5]
    common = [cell for cell in cells if cell[1] >= 0.5]
    told = [
        f"where differing signs are the {word} attention has {_span(these, 2)} times the linear model's risk if signs "
        f"agree and {_span(these, 3)} times if they differ"
        for word, these in (("exception", rare), ("rule", common))
        if these
    ]
    found = "; ".join(told)
    return Outcome(
        verdict_of(held),
        f"{found[:1].upper()}{found[1:]}.",
        mean_estimate([row["attention, inconsistent"] / row["linear, inconsistent"] for row in measured[LOCAL.name]]),
        Table(
            [
                "setting",
                "share of differing signs",
                "risk over linear's, signs agree",
                "signs differ",
                "difference",
                *(f"{model}, {word}" for word in ("agree", "differ") for model in ("attention", "linear", "zero")),
            ],
            cells,
        ),
        [
            bars(
                "Risk of attention over that of a linear model",
                "ratio",
                [cell[0] for cell in cells],
                [("signs agree", [cell[2] for cell in cells]), ("signs differ", [cell[3] for cell in cells])],
            )
        ],
    )


def _span(cells: Sequence[Sequence[Any]], column: int) -> str:
    values = [cell[column] for cell in cells]
    return f"{min(values):.2f} to {max(values):.2f}"


_SIGNS = ("consistent", "inconsistent")


def groups(measured: Measured) -> dict[str, list[Row]]:
    """Rows that differ in their draw only, by what the setting is called."""
    found: dict[str, list[Row]] = {}
    for row in measured[LOCAL.name]:
        name = f"{row['kind']} {row['persistence']:+g}, {row['head']}, {row['optimizer']}"
        found.setdefault(name, []).append(row)
    return found


def over_training(row: Row, key: str) -> float:
    """Mean over the log-spaced times."""
    return float(sum(row[key]) / len(row[key]))


def over_time(group: Sequence[Row], key: str) -> list[float]:
    """Mean over draws at each time after the start."""
    return [sum(at) / len(group) for at in zip(*(row[key][1:] for row in group), strict=True)]


def _ratio(group: Sequence[Row], signs: str) -> float:
    return sum(row[f"attention, {signs}"] for row in group) / sum(row[f"linear, {signs}"] for row in group)


_DATA = "vector autoregressions of ours, linear and through tanh"

CLAIMS = (
    Claim(
        id="E8-criterion",
        title="Where <G_i, W_V' X_i> > 0 (case 1) gradient descent lowers token i's score with itself, where it is "
        "negative (case 2) it raises it.",
        where=f"section 7.1; measured on {_DATA}",
        rule="Holds in a setting if over training the 95 % interval over draws of the share of queries in which this "
        "sign is that of the gradient with respect to the local score lies above 0.95; does not if below.",
        experiments=(LOCAL,),
        judge=judge_criterion,
        quantity="share of queries in which the sign is right",
    ),
    Claim(
        id="E8-share",
        title="Case 1 is the rule: more than half of the queries are driven away from themselves.",
        where=f"section 7.1 names it as what attention suffers from; the share is our reading, on {_DATA}",
        rule="Holds in a setting if the 95 % interval over draws of the share of case 1 by the paper's criterion, over "
        "log-spaced times of training, lies above one half; does not if below.",
        experiments=(LOCAL,),
        judge=judge_share,
        quantity="share of case 1 over all settings",
    ),
    Claim(
        id="E8-local",
        title="Training lowers the attention of tokens to themselves.",
        where=f"section 7.1; measured on {_DATA}, on the queries that the forecast uses",
        rule="Holds in a setting if the 95 % interval over draws of the change of the mean of S_ii from the start to "
        "the end of training lies below 0; does not if above.",
        experiments=(LOCAL,),
        judge=judge_local,
        quantity="mean change of S_ii over all settings",
    ),
    Claim(
        id="E8-signs",
        title="On vectors too attention fails where the next value has another sign than the last one.",
        where=f"section 7.1 extends proposition 6.3 to vectors; measured on {_DATA}, by channel",
        rule="Holds in a setting if where signs differ attention's risk over that of least squares on the last vector "
        "is above 1 and above the same ratio where signs agree (95 % intervals over draws); does not if it is below "
        "either.",
        experiments=(LOCAL,),
        judge=judge_signs,
        quantity="risk over that of least squares where signs differ, mean over all settings",
    ),
)
