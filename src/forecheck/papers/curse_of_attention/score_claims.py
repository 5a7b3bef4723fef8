"""E5: what theorem 5.3 says of the attention to the last step."""

from __future__ import annotations

from typing import Any

from forecheck.papers.claim import Estimate, Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.score import BY_WEIGHT, TRAINED
from forecheck.papers.judging import averaged, holds, mean, mean_estimate, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.rows import grouped
from forecheck.papers.settings import BySetting, Column, Found, Rows, average, estimated, named, settings, span, table

CERTAIN = 0.9
NEAR = 0.1
SHOWN = 8
"""Steps d of the chart by weight, and its largest weight."""


def _excess(rows: Rows, k: int) -> Estimate:
    """How much more of the attention the last step gets than another one, at the k-th weight."""
    return mean_estimate([row["last"][k] - row["other"][k] for row in rows])


def judge_negative(measured: Measured) -> Outcome:
    """A negative weight gives the last step less than another one."""
    held, lines = [], []
    by_steps = {steps: rows for (steps,), rows in grouped(measured[BY_WEIGHT.name], "steps").items()}
    for steps, rows in by_steps.items():
        for k, weight in enumerate(rows[0]["weights"]):
            last = mean_estimate([row["last"][k] for row in rows])
            if weight < 0:
                held.append(holds(_excess(rows, k), below=0.0))
            lines.append([steps, weight, last.value, mean([row["other"][k] for row in rows]), steps * last.value])
    shown = by_steps[SHOWN]
    shares = [line[4] for line in lines if line[0] == SHOWN]
    places = [k for k, weight in enumerate(shown[0]["weights"]) if abs(weight) <= SHOWN]
    excesses = [_excess(shown, k) for k in places]
    value, low, high = ([getattr(each, end) for each in excesses] for end in ("value", "low", "high"))
    drawn = curve("neurons by weight", [shown[0]["weights"][k] for k in places], value, low, high)
    title = f"Attention to the last of {SHOWN} white steps, less that to another"
    return Outcome(
        verdict_of(held),
        f"Of {len(held)} negative weights and lengths {held.count(True)} give the last step less than another. With d "
        f"= {SHOWN} its share goes from {min(shares):.2f} times the uniform one at negative weights to "
        f"{max(shares):.2f} times at positive ones.",
        excesses[0],
        table("d | w | E S_d | E S_k | E S_d times d", lines),
        [curves(title, "weight w", "E S_d - E S_k", [drawn], levels=[("as much as another", 0.0)])],
    )


def judge_limits(measured: Measured) -> Outcome:
    """One-hot attention gives the last step what the closed forms say."""
    held, lines = [], []
    by_steps = {steps: rows for (steps,), rows in grouped(measured[BY_WEIGHT.name], "steps").items()}
    for steps, rows in by_steps.items():
        for k, key in ((0, "limit below"), (-1, "limit above")):
            off = mean_estimate([steps * (row["last"][k] - row[key]) for row in rows])
            held.append(holds(off, above=-NEAR, below=NEAR))
            share = mean_estimate([row["last"][k] for row in rows])
            lines.append([steps, rows[0]["weights"][k], share.value, rows[0][key], off.value])
    shown = by_steps[SHOWN]
    return Outcome(
        verdict_of(held),
        f"With d = {SHOWN} a weight of {shown[0]['weights'][-1]:g} gives the last step "
        f"{mean([row['last'][-1] for row in shown]):.3f} (closed form {shown[0]['limit above']:.3f}), its opposite "
        f"{mean([row['last'][0] for row in shown]):.4f} ({shown[0]['limit below']:.4f}).",
        mean_estimate([SHOWN * row["last"][-1] for row in shown]),
        table("d | w | E S_d | closed form | difference times d", lines),
    )


def _widest(found: Found) -> int:
    return max(range(len(found.groups)), key=lambda k: found.groups[k][0]["neurons"])


def _trained_charts(found: Found) -> list[dict[str, Any]]:
    shown, name = found.groups[_widest(found)], found.labels[_widest(found)]
    one = shown[0]
    means, points = [], []
    for sign, key in ((-1, "negative"), (1, "positive")):
        means.append(curve(f"a = {sign}", one["times"][1:], averaged([row[key][1:] for row in shown])))
        own = [k for k, output in enumerate(one["outputs"]) if output == sign]
        x, y = ([one[of][k] for k in own] for of in ("weights", "excess"))
        points.append(curve(f"a = {sign}", x, y, style="points"))
    levels = [("uniform", 1 / SHOWN)], [("as much as another", 0.0)]
    title = f"Mean attention to the last step while training ({name})"
    drawn = curves(f"Neurons after training ({name}, one draw)", "weight w", "E S_d - E S_k", points, levels=levels[1])
    return [curves(title, "step", "E S_d", means, log="x", levels=levels[0]), drawn]


def _ends(rows: Rows) -> list[float]:
    return [mean([row[key][k] for row in rows]) for key in ("negative", "positive") for k in (0, -1)]


def _trained(found: Found) -> str:
    return (
        f"Of the neurons with a = -1 {found['share']:span .3f} by setting give the last step no more than another at "
        f"the end of training, {found['start']:span .3f} at the start; on average they give it "
        f"{span([ends[1] for ends in found['ends']], '.3f')} at the end, the uniform share is 0.125."
    )


CLAIMS = claims(
    __name__,
    {
        "E5-negative": Tested(judge_negative, (BY_WEIGHT,)),
        "E5-trained": Tested(
            BySetting(
                settings(TRAINED, by=("form", "gamma", "neurons"), where=lambda row: row["gamma"] > 0),
                {
                    "name": named("{form} {gamma:g}, width {neurons}"),
                    "start": average("share at the start", lambda row: row["low"][0]),
                    "share": estimated("share at the end", lambda row: row["low"][-1], above=CERTAIN),
                    "ends": Column(
                        "E S_d, a = -1, start | E S_d, a = -1, end | E S_d, a = 1, start | E S_d, a = 1, end", _ends
                    ),
                },
                _trained,
                lambda found: found["share"][_widest(found)],
                _trained_charts,
            ),
            (TRAINED,),
        ),
        "E5-limits": Tested(judge_limits, (BY_WEIGHT,)),
    },
    SHOWN=SHOWN,
)
