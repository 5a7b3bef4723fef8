"""The words of claims, from the table `claims.toml` of their paper, beside what judges them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from forecheck.papers.claim import Claim, Measured, Outcome
from forecheck.papers.experiment import Experiment


@dataclass(frozen=True)
class Tested:
    """How a claim is tested: what is judged, and by what; no experiments if it is not testable here at all."""

    judge: Callable[[Measured], Outcome]
    experiments: Sequence[Experiment] = ()


def claims(module: str, tests: Mapping[str, Tested], **bounds: Any) -> tuple[Claim, ...]:
    """The claims that a module judges, in the order of the paper's table.

    Args:
        module: its name; the table `claims.toml` lies beside it. A row has the fields of `Claim` under its id, `rule`
            and others with the bounds in braces: `above {RARE:.1%}`.
        tests: by id, how each is tested.
        bounds: the numbers that stand in braces, so that a rule and its judge cannot differ.

    Raises:
        KeyError: if a claim is not in the table, or one of its numbers is not given.
    """
    rows = _table(module.rpartition(".")[0])
    if missing := tests.keys() - rows.keys():
        raise KeyError(f"no claim in the table is called {', '.join(sorted(missing))}")
    return tuple(
        Claim(id=name, judge=tests[name].judge, experiments=tests[name].experiments, **_worded(row, bounds))
        for name, row in rows.items()
        if name in tests
    )


def in_order(module: str, *parts: Sequence[Claim]) -> tuple[Claim, ...]:
    """The claims of all modules of a paper, in the order of its table.

    Args:
        module: name of a module of the paper.
        parts: the claims of its modules.

    Raises:
        ValueError: if some of the table's claims are judged by no module.
    """
    known = {claim.id: claim for part in parts for claim in part}
    rows = _table(module.rpartition(".")[0])
    if missing := rows.keys() - known.keys():
        raise ValueError(f"claims without a judge: {', '.join(sorted(missing))}")
    return tuple(known[name] for name in rows)


def _worded(row: Mapping[str, Any], bounds: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.format(**bounds) if isinstance(value, str) else value for key, value in row.items()}


@cache
def _table(package: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(package).joinpath("claims.toml").read_text(encoding="utf-8"))
