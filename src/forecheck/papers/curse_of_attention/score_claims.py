"""E5: what theorem 5.3 says of the attention to the last step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecheck.papers.claim import Claim, Measured, Outcome, Table
from forecheck.papers.curse_of_attention.score import BY_WEIGHT, TRAINED
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, verdict_of
from forecheck.papers.plots import curve, curves

CERTAIN = 0.9
NEAR = 0.1
SHOWN = 8
"""Steps d of the chart by weight, and its largest weight."""


def judge_negative(measured: Measured) -> Outcome:
    """A negative weight gives the last step less than another one."""
    groups = by(measured[BY_WEIGHT.name], "steps")
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for steps, group in groups.items():
        for k, weight in enumerate(group[0]["weights"]):
            last, excess = (
                mean_estimate([row["last"][k] for row in group]),
                mean_estimate([row["last"][k] - row["other"][k] for row in group]),
            )
            if weight < 0:
                held.append(holds(excess, below=0.0))
            cells.append([steps, weight, last.value, mean([row["other"][k] for row in group]), steps * last.value])
    shown = groups[SHOWN]
    least, most = (pick(cell[4] for cell in cells if cell[0] == SHOWN) for pick in (min, max))
    weights = [weight for weight in shown[0]["weights"] if abs(weight) <= SHOWN]
    places = [shown[0]["weights"].index(weight) for weight in weights]
    excesses = [mean_estimate([row["last"][k] - row["other"][k] for row in shown]) for k in places]
    ours = mean_estimate([row["last"][places[0]] - row["other"][places[0]] for row in shown])
    return Outcome(
        verdict_of(held),
        f"Of {len(held)} negative weights and lengths {held.count(True)} give the last step less than another. With d "
        f"= {SHOWN} its share goes from {least:.2f} times the uniform one at negative weights to {most:.2f} times at "
        "positive ones.",
        ours,
        Table(["d", "w", "E S_d", "E S_k", "E S_d times d"], cells),
        [
            curves(
                f"Attention to the last of {SHOWN} white steps, less that to another",
                "weight w",
                "E S_d - E S_k",
                [
                    curve(
                        "neurons by weight",
                        weights,
                        [each.value for each in excesses],
                        [each.low for each in excesses],
                        [each.high for each in excesses],
                    )
                ],
                levels=[("as much as another", 0.0)],
            )
        ],
    )


def judge_limits(measured: Measured) -> Outcome:
    """One-hot attention gives the last step what the closed forms say."""
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for steps, group in by(measured[BY_WEIGHT.name], "steps").items():
        for k, key in ((0, "limit below"), (-1, "limit above")):
            share = mean_estimate([row["last"][k] for row in group])
            off = mean_estimate([steps * (row["last"][k] - row[key]) for row in group])
            held.append(holds(off, above=-NEAR, below=NEAR))
            cells.append([steps, group[0]["weights"][k], share.value, group[0][key], off.value])
    shown = by(measured[BY_WEIGHT.name], "steps")[SHOWN]
    return Outcome(
        verdict_of(held),
        f"With d = {SHOWN} a weight of {shown[0]['weights'][-1]:g} gives the last step "
        f"{mean([row['last'][-1] for row in shown]):.3f} (closed form {shown[0]['limit above']:.3f}), its opposite "
        f"{mean([row['last'][0] for row in shown]):.4f} ({shown[0]['limit below']:.4f}).",
        mean_estimate([SHOWN * row["last"][-1] for row in shown]),
        Table(["d", "w", "E S_d", "closed form", "difference times d"], cells),
    )


def judge_trained(measured: Measured) -> Outcome:
    """Neurons with a = -1 give the last step no more than another one, after training."""
    groups: dict[str, list[Row]] = {}
    for row in measured[TRAINED.name]:
        groups.setdefault(f"{row['form']} {row['gamma']:g}, width {row['neurons']}", []).append(row)
    groups = {name: group for name, group in groups.items() if group[0]["gamma"] > 0}
    held: list[bool | None] = []
    cells: list[list[Any]] = []
    for name, group in groups.items():
        share = mean_estimate([row["low"][-1] for row in group])
        held.append(holds(share, above=CERTAIN))
        ends = [mean([row[key][k] for row in group]) for key in ("negative", "positive") for k in (0, -1)]
        cells.append([name, mean([row["low"][0] for row in group]), share.value, *ends])
    name, shown = max(groups.items(), key=lambda each: each[1][0]["neurons"])
    ours = mean_estimate([row["low"][-1] for row in shown])
    one = shown[0]
    return Outcome(
        verdict_of(held),
        f"Of the neurons with a = -1 {_span(cells, 2)} by setting give the last step no more than another at the end "
        f"of training, {_span(cells, 1)} at the start; on average they give it {_span(cells, 4)} at the end, the "
        "uniform share is 0.125.",
        ours,
        Table(
            [
                "setting",
                "share at the start",
                "share at the end",
                "E S_d, a = -1, start",
                "E S_d, a = -1, end",
                "E S_d, a = 1, start",
                "E S_d, a = 1, end",
            ],
            cells,
        ),
        [
            curves(
                f"Mean attention to the last step while training ({name})",
                "step",
                "E S_d",
                [
                    curve(
                        f"a = {sign}",
                        one["times"][1:],
                        [mean([row[key][k] for row in shown]) for k in range(1, len(one["times"]))],
                    )
                    for sign, key in ((-1, "negative"), (1, "positive"))
                ],
                x_scale="log",
                levels=[("uniform", 1 / SHOWN)],
            ),
            curves(
                f"Neurons after training ({name}, one draw)",
                "weight w",
                "E S_d - E S_k",
                [
                    curve(
                        f"a = {sign}",
                        [w for w, a in zip(one["weights"], one["outputs"], strict=True) if a == sign],
                        [e for e, a in zip(one["excess"], one["outputs"], strict=True) if a == sign],
                        style="points",
                    )
                    for sign in (-1, 1)
                ],
                levels=[("as much as another", 0.0)],
            ),
        ],
    )


def _span(cells: Sequence[Sequence[Any]], column: int) -> str:
    values = [cell[column] for cell in cells]
    return f"{min(values):.3f} to {max(values):.3f}"


def by(rows: Sequence[Row], key: str) -> dict[int, list[Row]]:
    """Rows by a setting."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def mean(values: Sequence[float]) -> float:
    """Of some numbers."""
    return sum(values) / len(values)


CLAIMS = (
    Claim(
        id="E5-negative",
        title="On white windows a neuron with a negative weight gives the last step less attention than any other.",
        where="theorem 5.3, for w_r < 0 as its proof takes it (whose convexity step is not valid)",
        rule="Confirmed if for every negative weight and length the 95 % interval over draws of E S_d - E S_k lies "
        "below 0; refuted if none does.",
        experiments=(BY_WEIGHT,),
        judge=judge_negative,
        quantity=f"E S_d - E S_k at the most negative weight of the chart, d = {SHOWN}",
    ),
    Claim(
        id="E5-trained",
        title="After training every neuron with a_r = -1 gives the last step no more attention than any other.",
        where="theorem 5.3 as it is stated, for windows of independent normal steps",
        rule="Holds in a setting if the 95 % interval over draws of the share of such neurons lies above 0.9 (delta < "
        "0.1), does not if it lies below.",
        experiments=(TRAINED,),
        judge=judge_trained,
        quantity="share of these neurons, largest width",
    ),
    Claim(
        id="E5-limits",
        title="However large its weight, no neuron turns to the last step: E S_d tends to 2 (1 - 2^-d) / d as w grows "
        "and to 2^(1-d) / d as it falls.",
        where="ours, beside theorem 5.3",
        rule="Confirmed if at w = 10,000 and -10,000 the 95 % interval of E S_d lies within a tenth of the uniform "
        "share 1/d of the closed form at every length; refuted if at none.",
        experiments=(BY_WEIGHT,),
        judge=judge_limits,
        quantity=f"E S_d times d at w = 10,000, d = {SHOWN} (closed form 1.992)",
    ),
)
