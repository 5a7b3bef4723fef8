"""E0: the paper's formulas against differences."""

from __future__ import annotations

from dataclasses import replace

from forecheck.papers.claim import Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.curse_of_attention.gradients import MATRIX, SCALAR
from forecheck.papers.settings import equality, read

CLOSE = 1e-6
_FOUND = "The formula and central differences of the network written out differ by {worst:.1e} at most."
_SCALAR, _VECTOR = (" | ".join(experiment.quick[0]) for experiment in (SCALAR, MATRIX))
_PLUS = "gradient with a plus"


def _judge_gradient(measured: Measured) -> Outcome:
    """Also says how far the sign of the lemmas is off."""
    found = equality(SCALAR, "gradient", CLOSE, _FOUND, f"{_SCALAR} | gradient | {_PLUS}")(measured)
    least = min(read(measured[SCALAR.name], _PLUS))
    more = f" With the plus sign that lemmas G.1 and G.2 print it is wrong by {least:.0%} at least."
    return replace(found, found=found.found + more)


CLAIMS = claims(
    __name__,
    {
        "E0-gradient": Tested(_judge_gradient, (SCALAR,)),
        "E0-kernel": Tested(equality(SCALAR, "kernel", CLOSE, _FOUND, f"{_SCALAR} | kernel"), (SCALAR,)),
        "E0-matrix": Tested(equality(MATRIX, "score matrix", CLOSE, _FOUND, f"{_VECTOR} | score matrix"), (MATRIX,)),
    },
    CLOSE=CLOSE,
)
