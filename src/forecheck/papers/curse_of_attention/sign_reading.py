"""How the rows of the sign-split experiments are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecheck.papers.claim import Estimate
from forecheck.papers.experiment import Row
from forecheck.papers.judging import both, holds, mean, mean_estimate
from forecheck.papers.settings import Column

FAR = 3.0
"""Times the floor from which a risk counts as a failure."""
NEAR = 1.5
"""Times the floor up to which a fitted linear rule counts as being at it."""
FAILURE = (
    f"A network fails if its risk exceeds {FAR:g} times the floor, which is the risk of the true coefficients, and "
    "that of the fitted residual linear network on the same windows, both with 95 % intervals over repetitions"
)


def over_floor(rows: Sequence[Row], model: str, signs: str) -> Estimate:
    """A model's risk over the floor.

    Args:
        rows: repetitions of one setting.
        model: whose risk, `attention` or a reference such as `residual`.
        signs: of the test set, one of `sign_task.SETS`.
    """
    return mean_estimate([row[model][signs] / row["floor"] for row in rows])


def mean_risk(rows: Sequence[Row], model: str, signs: str) -> float:
    """A model's mean risk.

    Args:
        rows: repetitions of one setting.
        model: whose risk, `attention` or a reference such as `residual`.
        signs: of the test set, one of `sign_task.SETS`.
    """
    return mean([row[model][signs] for row in rows])


def fails(rows: Sequence[Row], signs: str, model: str = "attention") -> bool | None:
    """Whether a network fails on a test set by `FAILURE`; None if the intervals do not say.

    Args:
        rows: repetitions of one setting.
        signs: of the test set, one of `sign_task.SETS`.
        model: the network.
    """
    more = mean_estimate([row[model][signs] - row["residual"][signs] for row in rows])
    return both(holds(over_floor(rows, model, signs), above=FAR), holds(more, above=0.0))


def per_zero(rows: Sequence[Row], signs: str) -> Estimate:
    """Attention's risk over that of forecasting zero."""
    return mean_estimate([row["attention"][signs] / row["zero"][signs] for row in rows])


def risks(head: str, *of: tuple[str, str]) -> Column:
    """Mean risks of models on test sets, named in `head`."""
    return Column(head, lambda rows: [mean_risk(rows, model, signs) for model, signs in of])


def times_floor(head: str, model: str, signs: str, **bounds: Any) -> Column:
    """A model's risk over the floor on a test set.

    Args:
        head: name of its cells, see `Column`.
        model: whose risk, `attention` or a reference such as `residual`.
        signs: of the test set, one of `sign_task.SETS`.
        **bounds: `above`, `below` and `where` of `Column`.
    """
    return Column(head, lambda rows: over_floor(rows, model, signs), **bounds)
