"""E4: what theorem 5.2 says of training, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecheck.papers.claim import Claim, Measured, Outcome, Table
from forecheck.papers.curse_of_attention.learning import ENDLESS, LEARNING
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, share_estimate, verdict_of
from forecheck.papers.plots import curve, curves

LARGE = 16
"""Windows from which on lemma I.3's n >= N / gamma holds for gamma = 0.5."""
CERTAIN = 0.9
"""1 - delta; the paper takes delta below 0.1."""
REACHED = 0.01
"""Part of the loss at the start that counts as none."""
NEAR = 0.05
WIDE = 1024

Group = Sequence[Row]


def judge_early(measured: Measured) -> Outcome:
    """At the first step every weight moves along the sign of its output."""
    groups = [group for group in grouped(measured[LEARNING.name]) if _large(group) and group[0]["gamma"] > 0]
    return _first_step(groups, above=0.99)


def judge_mirror(measured: Measured) -> Outcome:
    """With a negative gamma every weight moves against it."""
    groups = [group for group in grouped(measured[LEARNING.name]) if _large(group) and group[0]["gamma"] < 0]
    return _first_step(groups, below=0.01)


def _first_step(groups: Sequence[Group], above: float | None = None, below: float | None = None) -> Outcome:
    shares = [mean_estimate([row["aligned"][0] for row in group]) for group in groups]
    ends = [_mean([row["aligned"][-1] for row in group]) for group in groups]
    return Outcome(
        verdict_of([holds(share, above=above, below=below) for share in shares]),
        f"After one step {_span([share.value for share in shares])} of the weights have moved along the sign of their "
        f"outputs; at the end of training {_span(ends)} have.",
        min(shares, key=lambda share: share.value) if above is not None else max(shares, key=lambda share: share.value),
        Table(
            ["setting", "draws", "first step", "end", "gain A1 at the end"],
            [
                [label(group), len(group), share.value, end, _mean([row["gain"][-1] for row in group])]
                for group, share, end in zip(groups, shares, ends, strict=True)
            ],
        ),
        [
            curves(
                "Weights that have moved along the sign of their outputs",
                "step",
                "share",
                [over_time(label(group), group, "aligned") for group in groups],
                x_scale="log",
            )
        ],
    )


def judge_loss(measured: Measured) -> Outcome:
    """The loss falls below any epsilon."""
    trained = [group for group in grouped(measured[LEARNING.name]) if group[0]["gamma"] > 0]
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for group in trained:
        left = [row["errors"][-1] / row["zero"] for row in group]
        held.append(_all_or_none([each < REACHED for each in left]))
        fitted = _mean([row["least squares"] / row["zero"] for row in group]) if _large(group) else 0.0
        cells.append([label(group), group[0]["times"][-1], _mean(left), _share(left), fitted])
    for row in measured[ENDLESS.name]:
        left = [each[-1] for each in row["left"]]
        held.append(_all_or_none([each < REACHED for each in left]))
        name = f"{row['form']} {row['gamma']:g}, {row['samples']} windows, infinite width"
        cells.append([name, row["times"][-1], _mean(left), _share(left), None])
    most = max(row["samples"] for row in measured[ENDLESS.name])
    endless = next(row for row in measured[ENDLESS.name] if row["samples"] == most and row["form"] == "unit")
    few = min(measured[ENDLESS.name], key=lambda row: row["samples"])
    ours = mean_estimate([each[-1] for each in endless["left"]])
    narrow = next(group for group in trained if _large(group) and group[0]["neurons"] == WIDE)
    return Outcome(
        verdict_of(held),
        f"Of the error of zero on {most} windows {_mean([row['errors'][-1] / row['zero'] for row in narrow]):.0%} is "
        f"left at width {WIDE} after {narrow[0]['times'][-1]} steps, and {ours.value:.0%} at infinite width after "
        f"{endless['times'][-1]:.0e} steps; least squares leaves "
        f"{_mean([row['least squares'] / row['zero'] for row in narrow]):.0%}. On {few['samples']} windows infinite "
        f"width falls below 1 % in {_share([each[-1] for each in few['left']])} draws.",
        ours,
        Table(["setting", "steps", "error left", "runs below 1 %", "least squares"], cells),
        [
            curves(
                "Training error over time, over that of zero",
                "step",
                "error left",
                [
                    *(
                        curve(
                            f"{row['samples']} windows, infinite width",
                            row["times"],
                            [_mean(list(at)) for at in zip(*row["left"], strict=True)],
                        )
                        for row in measured[ENDLESS.name]
                        if row["form"] == "unit"
                    ),
                    curve(
                        f"{narrow[0]['samples']} windows, width {WIDE}",
                        narrow[0]["times"],
                        [
                            _mean([row["errors"][k] / row["zero"] for row in narrow])
                            for k in range(len(narrow[0]["times"]))
                        ],
                        style="points",
                    ),
                ],
                x_scale="log",
                levels=[("least squares", _mean([row["least squares"] / row["zero"] for row in narrow]))],
            )
        ],
    )


def judge_rate(measured: Measured) -> Outcome:
    """L(t + 1) <= (1 - eta lambda / 2) L(t) wherever that can be told from rounding."""
    groups = grouped([row for row in measured[LEARNING.name] if row["bound"] is not None])
    broken = [sum(row["excess"] > 0 for row in group) for group in groups]
    runs = "; ".join(
        f"{bad} of {len(group)} at width {group[0]['neurons']}" for bad, group in zip(broken, groups, strict=True)
    )
    unresolved = sum(row["bound"] is None for row in measured[LEARNING.name])
    return Outcome(
        verdict_of([bad == 0 for bad in broken]),
        f"Runs that break the bound: {runs or 'none'}. In {unresolved} runs the smallest eigenvalue is too "
        "close to rounding for the bound to say anything.",
        share_estimate(sum(broken), sum(len(group) for group in groups)) if groups else None,
        Table(
            ["setting", "draw", "eta lambda / 2", "largest ratio above the bound", "largest move"],
            [
                [label(group), row["seed"], row["bound"], row["excess"], row["moved"][-1]]
                for group in groups
                for row in group
            ],
        ),
    )


def judge_late(measured: Measured) -> Outcome:
    """Both conditional shares of weights become 1 - delta at least."""
    groups = [*grouped([row for row in measured[LEARNING.name] if row["gamma"] > 0 and row["samples"] >= LARGE])]
    named = [(label(group), group) for group in groups]
    fitted = [row for row in measured[LEARNING.name] if row["errors"][-1] < REACHED * row["zero"]]
    named += [(f"{label(group)}, runs whose loss fell to 1 %", group) for group in grouped(fitted)]
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for name, group in named:
        both = [mean_estimate([row[key][-1] for row in group]) for key in ("positive", "negative")]
        each = [holds(share, above=CERTAIN) for share in both]
        held.append(False if False in each else None if None in each or len(group) < 2 else True)
        started = [_mean([row[key][0] for row in group]) for key in ("positive", "negative")]
        moved = _mean([row["moved"][-1] for row in group])
        cells.append([name, len(group), *started, *(share.value for share in both), moved])
    wide = next(group for group in groups if group[0]["neurons"] == WIDE)
    ours = mean_estimate([(row["positive"][-1] + row["negative"][-1]) / 2 for row in wide])
    ends = [cells[groups.index(wide)][k] for k in (4, 5)]
    return Outcome(
        verdict_of(held),
        f"At width {WIDE} P(w > 0 | a = 1) ends at {ends[0]:.2f} and P(w < 0 | a = -1) at {ends[1]:.2f}; in no "
        f"setting do both exceed {max(min(cell[4], cell[5]) for cell in cells):.2f} on average.",
        ours,
        Table(
            [
                "setting",
                "draws",
                "w > 0 | a = 1, step 1",
                "w < 0 | a = -1, step 1",
                "w > 0 | a = 1, end",
                "w < 0 | a = -1, end",
                "largest move",
            ],
            cells,
        ),
        [
            curves(
                f"Signs of weights over time, width {WIDE}",
                "step",
                "share",
                [
                    over_time("w > 0 | a = 1", wide, "positive"),
                    over_time("w < 0 | a = -1", wide, "negative"),
                    over_time("lazy prediction", wide, "lazy", style="dashed"),
                ],
                x_scale="log",
                levels=[("claimed: 1 - delta", CERTAIN)],
            )
        ],
    )


def judge_half(measured: Measured) -> Outcome:
    """Wide networks keep their shares near Phi(A1 / sqrt m), and so near one half."""
    groups = [group for group in grouped(measured[LEARNING.name]) if _large(group) and group[0]["form"] == "unit"]
    groups = sorted((group for group in groups if group[0]["gamma"] == 0.5), key=lambda group: group[0]["neurons"])
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for group in groups:
        share = mean_estimate([_both(row) for row in group])
        gap = mean_estimate([_both(row) - row["lazy"][-1] for row in group])
        spread = _mean([(_both(row) - 0.5) ** 2 for row in group]) ** 0.5
        if group[0]["neurons"] >= WIDE:
            held.append(holds(gap, above=-NEAR, below=NEAR))
        cells.append([group[0]["neurons"], share.value, _mean([row["lazy"][-1] for row in group]), gap.value, spread])
    widest = groups[-1]
    ours = mean_estimate([_both(row) for row in widest])
    held.append(holds(ours, above=0.5 - NEAR, below=0.5 + NEAR))
    return Outcome(
        verdict_of(held),
        f"The mean of both shares ends {cells[0][-1]:.2f} from one half at width {cells[0][0]} and "
        f"{cells[-1][-1]:.3f} at width {cells[-1][0]} (root mean square over draws); Phi(A1 / sqrt m) is "
        f"{cells[-1][2]:.3f} there.",
        ours,
        Table(["width", "mean of both shares", "Phi(A1 / sqrt m)", "difference", "distance from 1/2"], cells),
        [
            curves(
                "Distance of the conditional shares from one half",
                "width m",
                "root mean square",
                [
                    curve("measured", [cell[0] for cell in cells], [cell[-1] for cell in cells]),
                    curve(
                        "m^-1/2",
                        [cell[0] for cell in cells],
                        [cells[0][-1] * (cell[0] / cells[0][0]) ** -0.5 for cell in cells],
                        style="dashed",
                    ),
                ],
                x_scale="log",
                y_scale="log",
            )
        ],
    )


def grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that differ in their draw only."""
    found: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in ("form", "gamma", "samples", "neurons")), []).append(row)
    return [*found.values()]


def label(group: Group) -> str:
    """What a setting is called."""
    first = group[0]
    return f"{first['form']} {first['gamma']:g}, {first['samples']} windows, width {first['neurons']}"


def over_time(name: str, group: Group, key: str, style: str = "line") -> dict[str, object]:
    """The mean of a quantity over draws."""
    values = [_mean(list(at)) for at in zip(*(row[key] for row in group), strict=True)]
    return curve(name, group[0]["times"], values, style="dashed" if style == "dashed" else "line")


def _both(row: Row) -> float:
    """The mean of the two shares: of pairs it is one half at the start whatever was drawn."""
    return float(row["positive"][-1] + row["negative"][-1]) / 2


def _large(group: Group) -> bool:
    return bool(group[0]["samples"] >= LARGE)


def _all_or_none(reached: Sequence[bool]) -> bool | None:
    return True if all(reached) else None if any(reached) else False


def _share(left: Sequence[float]) -> str:
    return f"{sum(each < REACHED for each in left)} of {len(left)}"


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.0%}", f"{max(values):.0%}"
    return low if low == high else f"{low} to {high}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


CLAIMS = (
    Claim(
        id="E4-early",
        title="Training is asymmetric: every weight is driven along the sign of its output.",
        where="theorem 5.2, its drive in lemma I.3, while the network is near zero",
        rule="Confirmed if in every setting with gamma > 0 the 95 % interval over draws of the share of weights that "
        "have moved along the sign of their outputs after one step lies above 0.99; refuted if below.",
        experiments=(LEARNING,),
        judge=judge_early,
        quantity="smallest share over settings, first step",
    ),
    Claim(
        id="E4-mirror",
        title="With a negative gamma every weight is driven against the sign of its output: the drive is that of the "
        "covariance, and not of attention.",
        where="ours, beside theorem 5.2, whose proofs take gamma > 0",
        rule="Confirmed if with gamma = -0.5 the 95 % interval over draws of the same share lies below 0.01.",
        experiments=(LEARNING,),
        judge=judge_mirror,
        quantity="share at gamma = -0.5, first step",
    ),
    Claim(
        id="E4-loss",
        title="Gradient descent on a wide network brings the training loss below any epsilon.",
        where="theorem 5.2, first part",
        rule="Holds for a form, number of windows and width if every draw ends below 1 % of the loss at the start, "
        "does not if none does. Widths are finite, and infinite for 1e10 steps in closed form; the theorem's own "
        "number of steps is in E6-positive.",
        experiments=(LEARNING, ENDLESS),
        judge=judge_loss,
        quantity="training error left after 1e10 steps at infinite width, 128 windows, over that of zero",
    ),
    Claim(
        id="E4-rate",
        title="Every step shrinks the loss: L(t + 1) <= (1 - eta lambda / 2) L(t), lambda the smallest eigenvalue of "
        "the kernel at the start.",
        where="lemma H.1; eta = 1 / lambda_max here",
        rule="Holds for a width if no run breaks it at any step, where eta lambda / 2 exceeds 1e-8; does not if one "
        "does. Not testable here for many windows, where lambda is rounding.",
        experiments=(LEARNING,),
        judge=judge_rate,
        quantity="share of runs that break the bound",
    ),
    Claim(
        id="E4-late",
        title="After long training weights have the signs of their outputs: P(w > 0 | a = 1) and P(w < 0 | a = -1) are "
        "at least 1 - delta.",
        where="theorem 5.2, second part",
        rule="Holds in a setting if the 95 % intervals over draws of both shares at the end lie above 0.9 (delta < "
        "0.1), does not if one lies below. Runs whose loss fell to 1 % are judged apart: there little is left to "
        "drive the weights. Width and time as the theorem asks for are out of reach (E6-positive).",
        experiments=(LEARNING,),
        judge=judge_late,
        quantity=f"mean of both shares at width {WIDE}, unit 0.5",
    ),
    Claim(
        id="E4-half",
        title="The wider the network the nearer these shares stay to one half, about Phi(A1 / sqrt m): to reach a gain "
        "A1 every weight moves about A1 / sqrt m only.",
        where="ours, against theorem 5.2; its own lemma H.4 has weights move little",
        rule="Confirmed if from width 1024 on the mean of both shares is within 0.05 of Phi(A1 / sqrt m) and at the "
        "largest width within 0.05 of one half (95 % intervals over draws); refuted if all lie outside.",
        experiments=(LEARNING,),
        judge=judge_half,
        quantity="mean of both shares at the largest width",
    ),
)
