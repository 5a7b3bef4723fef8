"""Measures: what is computed once on a trained model and kept as a trial's result. No edits, no verdicts."""

from __future__ import annotations

from collections.abc import Callable

from forecheck.trials.measures.blackbox import blackbox
from forecheck.trials.measures.case import Case, Measured
from forecheck.trials.measures.explanation import explanation
from forecheck.trials.measures.gradient import gradient
from forecheck.trials.measures.representation import representation
from forecheck.trials.measures.signs import signs

MEASURES: dict[str, Callable[[Case], Measured]] = {
    "representation": representation,
    "explanation": explanation,
    "gradient": gradient,
    "signs": signs,
    "blackbox": blackbox,
}
"""By name; each gives a summary of JSON types, and arrays. The same case gives the same numbers."""

__all__ = ["MEASURES", "Case", "Measured"]
