"""Measures: what is computed once on a trained model and saved as a trial's result. No edits, no verdicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

from forecheck.probes.case import Case, Measured

_NAMES = ("representation", "explanation", "gradient", "signs", "blackbox", "pruning", "head_ranks")


def _measure(name: str, case: Case) -> Measured:
    """By the function of this name in the module of this name, so that a result rests on no other measure's code."""
    measured: Measured = getattr(import_module(f"forecheck.probes.{name}"), name)(case)
    return measured


MEASURES: dict[str, Callable[[Case], Measured]] = {name: partial(_measure, name) for name in _NAMES}
"""By name; each gives a summary of JSON types, and arrays. The same case gives the same numbers."""

__all__ = ["MEASURES", "Case", "Measured"]
