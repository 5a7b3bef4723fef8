"""How our numbers on pruning are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from forecheck.papers.claim import Estimate, Measured, Outcome, Table, Verdict, untestable
from forecheck.papers.claims import Tested, claims
from forecheck.papers.elsa.forecasters import PRUNED, WAYS
from forecheck.papers.elsa.memory import MEMORY
from forecheck.papers.elsa.regression import REGRESSION
from forecheck.papers.experiment import Row
from forecheck.papers.judging import all_or_none, holds, mean, ratio_estimate, verdict_of
from forecheck.papers.plots import bars
from forecheck.papers.rows import grouped

CLOSE, MET = 0.02, 0.05
SAVED, MOST = 0.5, 0.6
Of = Callable[[Row], float]


def judge_surrogate_free(measured: Measured) -> Outcome:
    """ELSA against masks that are made at once."""
    return _compared(measured, lambda row: row["plain"], lambda row: min(row["magnitude"], row["wanda"]), 1.0)


def judge_same_steps(measured: Measured) -> Outcome:
    """Gradual magnitude against ELSA."""
    return _compared(measured, lambda row: row["gradual"], lambda row: min(row["plain"], row["aware"]), 1 + CLOSE)


def judge_aware(measured: Measured) -> Outcome:
    """One projection against the other."""
    return _compared(measured, lambda row: row["aware"], lambda row: row["plain"], 1.0)


def judge_low_memory(measured: Measured) -> Outcome:
    """Few bits against all, for both projections."""
    parts = [_low(measured, projection) for projection in ("plain", "aware")]
    verdicts = {part.verdict for part in parts}
    return Outcome(
        verdicts.pop() if len(verdicts) == 1 else Verdict.UNEVEN,
        f"Plain: {parts[0].found} Aware: {parts[1].found}",
        parts[0].ours,
        parts[0].table,
        parts[0].charts,
    )


def judge_memory(measured: Measured) -> Outcome:
    """Bytes of a forecaster's tensors."""
    (row,) = measured["memory"]
    saved = 1 - row["low"] / row["whole"]
    return Outcome(
        Verdict.CONFIRMED if SAVED <= saved <= MOST else Verdict.REFUTED,
        f"{row['whole'] / row['weights']:.2f} bytes a weight in FP32, {row['low'] / row['weights']:.2f} in few bits "
        f"with moments of eight bits, {row['copies'] / row['weights']:.2f} with z and u in few bits alone.",
        Estimate(saved),
    )


def judge_met(measured: Measured) -> Outcome:
    """How far from sparse ones the weights were before the last cut."""
    groups = _settings(measured)
    plain = {name: [row["residuals"]["plain"] for row in rows] for name, rows in groups.items()}
    aware = [row["residuals"]["aware"] for rows in groups.values() for row in rows]
    worst = max(max(each) for each in plain.values())
    return Outcome(
        verdict_of([all_or_none([value < MET for value in each]) for each in plain.values()]),
        f"The last relative residual is {worst:.3f} at most with the plain projection, {max(aware):.3f} with aware.",
        Estimate(worst),
        Table(
            ["setting", *next(iter(groups.values()))[0]["residuals"]],
            [
                [name, *(max(row["residuals"][way] for row in rows) for way in rows[0]["residuals"])]
                for name, rows in groups.items()
            ],
        ),
    )


def judge_convex(measured: Measured) -> Outcome:
    """Whether the ends of sparse regressions are stationary."""
    rows = measured["regression"]
    groups = grouped([row for row in rows if row["projection"] == "plain"], "correlation", "strength")
    aware = [_stationary(row) for row in rows if row["projection"] == "aware"]
    ended = {key: [_stationary(row) for row in group] for key, group in groups.items()}
    plain = [each for group in ended.values() for each in group]
    columns = ["correlation", "lambda", "stationary", "residual", "gradient", "gap"]
    cells = [
        [*key, sum(ended[key]), *(mean([row[name] for row in group]) for name in columns[3:])]
        for key, group in groups.items()
    ]
    ends = ", ".join(
        f"{sum(sum(each) for key, each in ended.items() if key[1] == strength)} at lambda {strength:g}"
        for strength in sorted({key[1] for key in groups})
    )
    return Outcome(
        verdict_of([all_or_none(each) for each in ended.values()]),
        f"{sum(plain)} of {len(plain)} draws end at a stationary point ({ends}), {sum(aware)} of {len(aware)} with the "
        "aware projection, which the theorem does not have. A small lambda leaves no support stationary, a large one "
        "takes more steps.",
        Estimate(sum(plain) / len(plain)),
        Table(columns, cells),
    )


def judge_support(measured: Measured) -> Outcome:
    """The true support of sparse regressions."""
    rows = measured["regression"]
    least = min(row["support"] for row in rows)
    whole = sum(row["support"] == 1 for row in rows)
    return Outcome(
        Verdict.CONFIRMED if whole == len(rows) else Verdict.UNEVEN if whole else Verdict.REFUTED,
        f"{whole} of {len(rows)} draws find all of it; so do the largest weights of least squares in "
        f"{sum(row['one shot'] == 1 for row in rows)}.",
        Estimate(least),
    )


def _low(measured: Measured, projection: str) -> Outcome:
    return _compared(measured, lambda row: row[f"{projection}, low"], lambda row: row[projection], 1 + CLOSE)


def _stationary(row: Row) -> bool:
    return row["residual"] < MET and row["gradient"] < MET and row["gap"] < 1


def _settings(measured: Measured) -> dict[str, Sequence[Row]]:
    groups = grouped(measured["pruned"], "data", "width", "sparsity")
    return {
        f"{data}, {f'{width} wide' if width else 'linear'}, {100 * sparsity:g} %": rows
        for (data, width, sparsity), rows in groups.items()
    }


def _compared(measured: Measured, of: Of, reference: Of, below: float) -> Outcome:
    """Ratios of test MSE in every setting, held below a bound."""
    groups = _settings(measured)
    ratios = {
        name: ratio_estimate([of(row) for row in rows], [reference(row) for row in rows])
        for name, rows in groups.items()
    }
    words = "; ".join(f"{each.value:.2f} ({name})" for name, each in ratios.items())
    names = ["dense", "dense, trained", *WAYS]
    cells = [
        [name, *(mean([row[way] for row in rows]) for way in names), *vars(ratios[name]).values()]
        for name, rows in groups.items()
    ]
    chart = bars(
        "Test MSE over that of the dense start",
        "ratio",
        list(groups),
        [
            (way, [mean([row[way] for row in rows]) / mean([row["dense"] for row in rows]) for rows in groups.values()])
            for way in ("magnitude, trained", "gradual", "plain", "aware")
        ],
    )
    return Outcome(
        verdict_of([holds(each, below=below) for each in ratios.values()]),
        f"The ratio of test MSE is {words}.",
        next(iter(ratios.values())),
        Table(["setting", *names, "ratio", "low", "high"], cells),
        [chart],
    )


_LANGUAGE = untestable("A language model; no pretrained weights and no GPU are at hand.")
CLAIMS = claims(
    __name__,
    {
        "surrogate-free": Tested(judge_surrogate_free, (PRUNED,)),
        "same-steps": Tested(judge_same_steps, (PRUNED,)),
        "aware": Tested(judge_aware, (PRUNED,)),
        "low-memory": Tested(judge_low_memory, (PRUNED,)),
        "memory": Tested(judge_memory, (MEMORY,)),
        "met": Tested(judge_met, (PRUNED,)),
        "convex": Tested(judge_convex, (REGRESSION,)),
        "support": Tested(judge_support, (REGRESSION,)),
        "llama": Tested(_LANGUAGE),
        "extreme": Tested(_LANGUAGE),
        "speed": Tested(_LANGUAGE),
        "scale": Tested(_LANGUAGE),
    },
    CLOSE=CLOSE,
    MET=MET,
    SAVED=SAVED,
    MOST=MOST,
)
