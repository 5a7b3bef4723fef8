"""When more thought does harm: skewed training, short prompts, and how to tell it without labels."""

from __future__ import annotations

from collections.abc import Sequence

from forecheck.papers.claim import Estimate, Measured, Outcome, Table
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import averaged, holds, mean_estimate, ratio_estimate, share_estimate, verdict_of
from forecheck.papers.plots import curves
from forecheck.papers.rows import select
from forecheck.papers.settings import table
from forecheck.papers.test_time_scaling.scaling_claims import ERROR, banded
from forecheck.papers.test_time_scaling.thinking import DETECTOR, SHORT, SKEWED
from forecheck.papers.test_time_scaling.transformer import TRANSFORMER

RIGHT = 0.95
THEIRS = (10, 20, 30)
"""Lengths of training in the paper's figures of aligned training."""
_FATES = ("diverged", "predicted", "converged", "cleared", "overthought", "overthought and predicted")


def bent(row: Row) -> bool | None:
    """Whether the mean error falls first and has risen at the end, each by its interval over repeats."""
    best = [min(means) for means in row["means"]]
    fall = ratio_estimate([means[0] for means in row["means"]], best)
    both = [holds(fall, above=1.0), holds(_rise(row), above=1.0)]
    return False if False in both else None if None in both else True


def _rise(row: Row) -> Estimate:
    """The last error over the best."""
    return ratio_estimate([means[-1] for means in row["means"]], [min(means) for means in row["means"]])


def judge_skewed(measured: Measured) -> Outcome:
    """A U-shape in either normalisation, and larger n worse."""
    held: list[bool | None] = []
    charts, cells, worse = [], [], []
    for scaled in (True, False):
        rows = sorted(select(measured["skewed"], scaled=scaled), key=lambda row: row["train"])
        shapes = [bent(row) for row in rows]
        held.append(True if True in shapes else None if None in shapes else False)
        ratio = ratio_estimate(*([means[-1] for means in row["means"]] for row in (rows[-1], rows[0])))
        held.append(holds(ratio, above=1.0))
        name = "trace d" if scaled else "as they are"
        for row, shape in zip(rows, shapes, strict=True):
            means = averaged(row["means"])
            best = min(range(len(means)), key=means.__getitem__)
            worse.append((name, row["train"], shape))
            cells.append(
                [
                    *(name, row["train"], row["unlimited top"]),
                    *(means[k - 1] for k in (1, 2, 5, 10, 20)),
                    *(best + 1, "yes" if shape else "no"),
                ]
            )
        title = f"Training on eigenvalues 1/i, {name}; isotropic test"
        drawn = [banded(f"n = {row['train']}", row["means"]) for row in rows]
        charts.append(curves(title, "steps of thought k", ERROR, drawn, log="y"))
    shaped = ", ".join(f"n = {n} ({name})" for name, n, shape in worse if shape) or "none"
    usual = [shape for _, n, shape in worse if n in THEIRS]
    largest = max(select(measured["skewed"], scaled=True), key=lambda row: row["train"])
    return Outcome(
        verdict_of(held),
        f"The error falls and then rises at {shaped}. It does where an eigenvalue of Sigma / Gamma is just about 2: "
        f"at smaller n it only falls, at larger n it rises from the first steps. Of the paper's n = {THEIRS} "
        f"{sum(shape is True for shape in usual)} of {len(usual)} do.",
        _rise(largest),
        Table(["eigenvalues", "n", "top eigenvalue", *(f"k = {k}" for k in (1, 2, 5, 10, 20)), "best k", "U"], cells),
        charts,
    )


def judge_short(measured: Measured) -> Outcome:
    """Short prompts: the mean error of aligned training rises again."""
    rows = measured["short"]
    shapes = [bent(row) for row in rows]
    shortest = min(rows, key=lambda row: row["prompt"])
    longest = max(rows, key=lambda row: row["prompt"])
    share = mean_estimate(shortest["share above 2"])
    return Outcome(
        verdict_of([bent(shortest), bent(select(rows, prompt=20)[0])]),
        f"Trained on the very task, prompts of {shortest['prompt']} examples make the mean error rise again: in "
        f"{share.value:.0%} of them thought diverges, though the median prompt still gains "
        f"({averaged(shortest['medians'])[-1]:.2f} after 20 steps). With {longest['prompt']} examples there is none "
        "of it.",
        share,
        Table(
            [
                *("m", "share diverging"),
                *(f"mean, k = {k}" for k in (1, 5, 20)),
                *(f"median, k = {k}" for k in (1, 5, 20)),
                "U in the mean",
            ],
            [
                [
                    *(row["prompt"], mean_estimate(row["share above 2"]).value),
                    *(averaged(row["means"])[k - 1] for k in (1, 5, 20)),
                    *(averaged(row["medians"])[k - 1] for k in (1, 5, 20)),
                    "yes" if shape else "no",
                ]
                for row, shape in zip(rows, shapes, strict=True)
            ],
        ),
        [
            _by_prompt("Mean error, aligned training", rows, "means"),
            _by_prompt("Median error, aligned training", rows, "medians"),
        ],
    )


def _by_prompt(title: str, rows: Sequence[Row], key: str) -> dict[str, object]:
    drawn = [banded(f"m = {row['prompt']}", row[key]) for row in rows]
    return curves(title, "steps of thought k", ERROR, drawn, log="y")


def judge_detector(measured: Measured) -> Outcome:
    """The share of prompts whose fate was predicted, among those that diverged and those that did not."""
    rows = measured["detector"]

    def total(key: str) -> int:
        return sum(row[key] for row in rows)

    diverged = share_estimate(total("predicted"), total("diverged"))
    converged = share_estimate(total("cleared"), total("converged"))
    right = share_estimate(total("predicted") + total("cleared"), total("diverged") + total("converged"))
    within = total("overthought and predicted") / max(total("overthought"), 1)
    return Outcome(
        verdict_of([holds(diverged, above=RIGHT), holds(converged, above=RIGHT)]),
        f"It was right for {right.value:.2%} of {total('diverged') + total('converged')} prompts, of which "
        f"{total('diverged')} diverged. Of those that had overthought within 20 steps it had predicted {within:.1%}; "
        f"{total('overthought and predicted') / max(total('alarms'), 1):.0%} of its alarms came true so soon.",
        right,
        Table(
            ["training", "n", "m", *_FATES],
            [[row["spectrum"], row["train"], row["prompt"], *(row[key] for key in _FATES)] for row in rows],
        ),
    )


def judge_transformer(measured: Measured) -> Outcome:
    """Thought helps a trained transformer on its task, and overshoots after skewed training."""
    rows = [row for row in measured["transformer"] if row["thoughts"] == 1]
    held, cells = [], []
    drawn = []
    for spectrum in ("flat", "skewed"):
        for train in sorted({row["train"] for row in rows}):
            group = select(rows, spectrum=spectrum, train=train)
            best = [min(row["errors"]) for row in group]
            gain = ratio_estimate(best, [row["errors"][0] for row in group])
            rise = ratio_estimate([row["errors"][-1] for row in group], best)
            held.append(holds(gain, below=1.0) if spectrum == "flat" else holds(rise, above=1.0))
            cells.append([spectrum, train, averaged([row["errors"] for row in group])[0], gain.value, rise.value])
    for row in measured["transformer"]:
        if row["seed"] == 0:
            training = "direct" if row["thoughts"] == 1 else f"{row['thoughts']} thoughts in training"
            drawn.append(banded(f"{row['spectrum']}, n = {row['train']}, {training}", [row["errors"]]))
    aligned = [row for row in rows if row["spectrum"] == "flat"]
    ours = ratio_estimate([min(row["errors"]) for row in aligned], [row["errors"][0] for row in aligned])
    return Outcome(
        verdict_of(held),
        f"Trained on isotropic prompts, the best number of thoughts leaves {ours.value:.2g} times the error of one.",
        ours,
        table("training | n | error at k = 1 | best over k = 1 | k = 20 over best", cells),
        [curves("A trained transformer", "steps of thought k", ERROR, drawn, log="y")],
    )


CLAIMS = claims(
    __name__,
    {
        "overthinking": Tested(judge_skewed, (SKEWED,)),
        "short-prompts": Tested(judge_short, (SHORT,)),
        "detector": Tested(judge_detector, (DETECTOR,)),
        "transformer": Tested(judge_transformer, (TRANSFORMER,)),
    },
    RIGHT=RIGHT,
)
