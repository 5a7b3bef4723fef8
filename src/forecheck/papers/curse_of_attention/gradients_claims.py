"""E0: the paper's formulas against differences."""

from __future__ import annotations

from collections.abc import Callable

from forecheck.papers.claim import Claim, Estimate, Measured, Outcome, Table, Verdict
from forecheck.papers.curse_of_attention.gradients import MATRIX, SCALAR
from forecheck.papers.experiment import Experiment

CLOSE = 1e-6
_RULE = f"Confirmed if the largest relative distance to central differences is below {CLOSE:g}, over sizes and draws."


def judge_formula(experiment: Experiment, key: str, also: str = "") -> Callable[[Measured], Outcome]:
    """A judge of one formula."""

    def judge(measured: Measured) -> Outcome:
        rows = measured[experiment.name]
        worst = max(row[key] for row in rows)
        found = f"The formula and central differences of the network written out differ by {worst:.1e} at most."
        keys = [key, *([also] if also else [])]
        if also:
            least = min(row[also] for row in rows)
            found += f" With the plus sign that lemmas G.1 and G.2 print it is wrong by {least:.0%} at least."
        sizes = list(experiment.quick[0])
        return Outcome(
            Verdict.CONFIRMED if worst < CLOSE else Verdict.REFUTED,
            found,
            Estimate(worst),
            Table([*sizes, *keys], [[row[name] for name in (*sizes, *keys)] for row in rows]),
        )

    return judge


CLAIMS = (
    Claim(
        id="E0-gradient",
        title="The loss has the gradient dL/dw_r = m^-1/2 a_r sum_i (F_i - y_i) x_{i,d} Var_S(x_i).",
        where="section 4.2, lemma E.5; the sign of the square is wrong in lemmas G.1 and G.2",
        rule=_RULE,
        experiments=(SCALAR,),
        judge=judge_formula(SCALAR, "gradient", "gradient with a plus"),
        quantity="largest relative distance",
    ),
    Claim(
        id="E0-kernel",
        title="The tangent kernel is H_ij = (1/m) x_{i,d} x_{j,d} sum_r v_{i,r} v_{j,r} with variances v.",
        where="section 5.1, appendix F",
        rule=_RULE,
        experiments=(SCALAR,),
        judge=judge_formula(SCALAR, "kernel"),
        quantity="largest relative distance",
    ),
    Claim(
        id="E0-matrix",
        title="On vectors dL/dW = X' (S o (G W_V' X' - (Attn o G) 1 1')) X.",
        where="section 7.1",
        rule=_RULE,
        experiments=(MATRIX,),
        judge=judge_formula(MATRIX, "score matrix"),
        quantity="largest relative distance",
    ),
)
