"""How the rows of the sign-split experiments are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from forecheck.papers.claim import Claim, Estimate, Measured, Outcome
from forecheck.papers.experiment import Experiment, Row
from forecheck.papers.judging import holds, mean_estimate

FAR = 3.0
"""Times the floor from which a risk counts as a failure."""
NEAR = 1.5
"""Times the floor up to which a fitted linear rule counts as being at it."""
FAILURE = (
    f"A network fails if its risk exceeds {FAR:g} times the floor, which is the risk of the true coefficients, and "
    "that of the fitted residual linear network on the same windows, both with 95 % intervals over repetitions"
)


def groups(rows: Iterable[Row], *names: str) -> list[tuple[tuple[Any, ...], list[Row]]]:
    """Rows of one setting each, in the order in which they were made."""

    def key(row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in names)

    return [(setting, list(same)) for setting, same in groupby(rows, key)]


def over_floor(rows: Sequence[Row], model: str, signs: str) -> Estimate:
    """A model's risk over the floor."""
    return mean_estimate([row[model][signs] / row["floor"] for row in rows])


def mean_risk(rows: Sequence[Row], model: str, signs: str) -> float:
    """A model's mean risk."""
    return sum(row[model][signs] for row in rows) / len(rows)


def fails(rows: Sequence[Row], signs: str, model: str = "attention") -> bool | None:
    """Whether a network fails on a test set by `FAILURE`; None if the intervals do not say."""
    more = mean_estimate([row[model][signs] - row["residual"][signs] for row in rows])
    return both(holds(over_floor(rows, model, signs), above=FAR), holds(more, above=0.0))


def both(*checks: bool | None) -> bool | None:
    """True if all are, False if one is, else None."""
    if False in checks:
        return False
    return None if None in checks else True


def opposite(check: bool | None) -> bool | None:
    """Not, if it is known."""
    return None if check is None else not check


def per_zero(rows: Sequence[Row], signs: str) -> Estimate:
    """Attention's risk over that of forecasting zero."""
    return mean_estimate([row["attention"][signs] / row["zero"][signs] for row in rows])


def claim(
    name: str,
    title: str,
    where: str,
    rule: str,
    experiment: Experiment,
    judge: Callable[[Measured], Outcome],
    quantity: str,
) -> Claim:
    """A claim that rests on one experiment."""
    return Claim(name, title, where, rule, (experiment,), judge, quantity)
