"""What the paper says of layers, paths and coefficients, and how our numbers are judged."""

from __future__ import annotations

from forecheck.papers.claim import Estimate, Measured, Outcome, Table, Verdict
from forecheck.papers.claims import Tested, claims
from forecheck.papers.judging import holds, mean_estimate, verdict_of
from forecheck.papers.plots import bars, curve, curves
from forecheck.papers.samovar.exact import FORMS, LAYER, PARTS, PICTURES, STACK, SUPERPOSITION
from forecheck.papers.samovar.growth import GROWTH
from forecheck.papers.settings import equality, table

EXACT = 1e-10
"""Relative difference that is rounding in double precision."""
CHECKS = {
    "closed form": "closed form of a path against the product of its layers",
    "sum of paths": "sum of paths against the recurrence",
    "horner": "Horner's scheme against the recurrence",
    "derivative": "derivative at fixed q and v against the recurrence",
    "output": "coefficients times observations against the stack",
}
READINGS = ("scalars on the identity", "no repeated tokens", "values of the top layer")


def judge_stack(measured: Measured) -> Outcome:
    """Number, form and sum of paths, and all ways to the coefficients."""
    rows = measured["stack"]
    miscounted = sum(row["miscounted"] for row in rows)
    worst = {check: max(row[check] for row in rows) for check in CHECKS}
    largest = max(worst.values())
    deepest = max(rows, key=lambda row: row["layers"])
    return Outcome(
        verdict_of([not miscounted and largest < EXACT]),
        f"{miscounted} counts of paths differ from the binomial; paths one by one ({deepest['paths']} of them with "
        f"{deepest['layers']} layers and {deepest['tokens']} tokens), recurrence, Horner's scheme and derivative "
        f"agree to {largest:.1e}.",
        Estimate(largest),
        table("check | largest relative difference", [[CHECKS[check], worst[check]] for check in CHECKS]),
    )


def judge_pictures(measured: Measured) -> Outcome:
    """Whether what the pictures draw sums to the coefficients."""
    rows = [row for row in measured["pictures"] if row["layers"] > 1]
    depths = sorted({row["layers"] for row in measured["pictures"]})
    held: list[bool | None] = []
    cells = []
    for depth in depths:
        group = [row for row in measured["pictures"] if row["layers"] == depth]
        correlation = mean_estimate([row["correlation with the trace"] for row in group])
        errors = [mean_estimate([row[reading] for row in group]).value for reading in READINGS]
        cells.append([depth, *errors, correlation.value])
        if depth > 1:
            held.append(True if holds(correlation, above=0.99) else False if holds(correlation, below=0.9) else None)
    overall = mean_estimate([row["correlation with the trace"] for row in rows])
    return Outcome(
        verdict_of(held),
        "The scalar weights of paths are the trace of the coefficients with one layer; with two and three their sums "
        f"correlate with it by {overall.value:.2f} (mean), and leaving out repeated tokens misses {cells[-1][2]:.0%} "
        f"of the coefficients at {depths[-1]} layers.",
        overall,
        Table(["layers", *READINGS, "correlation with the trace"], cells),
        [
            bars(
                "Readings of path pictures against the exact coefficients",
                "relative error",
                [f"{depth} layers" for depth in depths],
                [(reading, [row[1 + k] for row in cells]) for k, reading in enumerate(READINGS)],
            )
        ],
    )


def judge_superposition(measured: Measured) -> Outcome:
    """SAMoVAR is linear in its observations at fixed queries and values, and LinTrans is not."""
    rows = measured["superposition"]
    errors = {form: [row["error"] for row in rows if row["form"] == form] for form in FORMS}
    aligned, ordinary = max(errors["SAMoVAR"]), min(errors["LinTrans"])
    if ordinary < EXACT or aligned >= EXACT:
        verdict = Verdict.REFUTED
    else:
        verdict = Verdict.CONFIRMED if ordinary > 0.01 else Verdict.UNEVEN
    means = {form: mean_estimate(values) for form, values in errors.items()}
    bare = max(errors[FORMS[-1]])
    return Outcome(
        verdict,
        f"At fixed queries and values superposition misses {means['LinTrans'].value:.2f} of LinTrans' output and "
        f"{aligned:.0e} of SAMoVAR's. Without MLP and norms LinTrans is exact too ({bare:.0e}), shortcuts and all: "
        "these two, not the shortcuts, take the coefficients away.",
        means["LinTrans"],
        table(
            "stack | mean error | smallest | largest", [[f, means[f].value, min(e), max(e)] for f, e in errors.items()]
        ),
    )


def judge_growth(measured: Measured) -> Outcome:
    """Growth of outputs a layer, and size of the factors."""
    rows = [row for row in measured["growth"] if row["scale"] == "none"]
    widths = sorted({row["head width"] for row in rows})
    held: list[bool | None] = []
    cells, drawn = [], []
    for scale in sorted({row["scale"] for row in measured["growth"]}):
        for width in widths:
            group = [row for row in measured["growth"] if row["scale"] == scale and row["head width"] == width]
            outputs = [
                mean_estimate([row["outputs"][k] for row in group]).value for k in range(len(group[0]["outputs"]))
            ]
            factor = mean_estimate([max(row["factors"]) for row in group])
            ratio = mean_estimate([(row["outputs"][-1] / row["observations"]) ** (1 / len(outputs)) for row in group])
            shortcut = mean_estimate([row["shortcut"] for row in group]).value
            cells.append([scale, width, *outputs, factor.value, ratio.value, shortcut])
            name = f"d = {width}" if scale == "none" else f"d = {width}, queries over d"
            drawn.append(
                curve(name, range(1, len(outputs) + 1), outputs, style="line" if scale == "none" else "dashed")
            )
            if scale == "none":
                kept = holds(factor, above=0.5, below=2.0)
                held.append(kept if kept is not True else holds(ratio, below=2.0))
    narrow = [row for row in rows if row["head width"] == widths[0]]
    deepest = mean_estimate([row["outputs"][-1] for row in narrow])
    unscaled = [row for row in cells if row[0] == "none"]
    outputs = unscaled[0][2:5]
    return Outcome(
        verdict_of(held),
        "At the start, on random walks, the outputs of three layers have RMS "
        f"{', '.join(f'{o:.3g}' for o in outputs)} with heads of {widths[0]} features (observations: 1), and grow "
        f"faster with wider heads; a path's factors have RMS {unscaled[0][5]:.2g} to {unscaled[-1][5]:.2g}.",
        deepest,
        table("scale | head width | layer 1 | layer 2 | layer 3 | factors | growth a layer | shortcut's share", cells),
        [
            curves(
                "Outputs at the start, by layer",
                "layer",
                "RMS (observations have 1)",
                drawn,
                log="y",
                levels=[("observations", 1.0)],
            )
        ],
    )


judge_layer = equality(
    LAYER,
    "difference",
    EXACT,
    "The layer and the sum over lags differ by {worst:.1e} of the output at most.",
    "tokens | head width | difference",
    "tokens | width | difference",
)
judge_parts = equality(
    PARTS,
    lambda row: max(row["by token"], row["by layer"]),
    EXACT,
    "Parts by source token and by layer, each summed, differ from the forecast by {worst:.1e} of it at most.",
    "shortcut | layers | by token | by layer",
    "structure | layers | by token | by layer",
)

CLAIMS = claims(
    __name__,
    {
        "layer": Tested(judge_layer, (LAYER,)),
        "paths": Tested(judge_stack, (STACK,)),
        "parts": Tested(judge_parts, (PARTS,)),
        "pictures": Tested(judge_pictures, (PICTURES,)),
        "misalignment": Tested(judge_superposition, (SUPERPOSITION,)),
        "growth": Tested(judge_growth, (GROWTH,)),
    },
)
