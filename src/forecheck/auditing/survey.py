"""A survey: audits of several models on several sets side by side; what cannot be run is a cell with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from forecheck.errors import ForecheckError, TrialError, UsageError
from forecheck.statistics.multiple import holm
from forecheck.trials.describe import header

State = Literal["done", "cannot be run", "failed", "not run"]
Json = dict[str, Any]
Audit = Callable[[str, str], Mapping[str, Any]]
"""Gives the report of a model, by name, on a set, by name."""

LEVEL = 0.05
# Of a cell: what is taken of its verdict, and the hypothesis that must fall for an outcome to hold.
_VERDICT = ("worth", "outcome", "question", "effect", "interval", "margin", "reference", "sentence", "why", "advice")
_PROTOCOL = ("lookback", "horizon", "seeds", "seconds")
_SHARED = ("horizon", "margin", "level", "budget", "step")
_CLAIMS = {"helps": "greater", "hurts": "less", "no difference": "equivalent"}


@dataclass(frozen=True)
class Cell:
    """A model on a set.

    Attributes:
        model: name.
        data: name of the set.
        state: done; cannot be run (data, model and options do not fit); failed (a trial did); or not run.
        why: the reason, where it is not done.
        remedy: what the user can do about it.
        report: the audit's, where it is done.
    """

    model: str
    data: str
    state: State = "not run"
    why: str = ""
    remedy: str = ""
    report: Mapping[str, Any] | None = None


def run_cell(model: str, data: str, audit: Audit) -> Cell:
    """Audit one model on one set; an error that belongs to the cell becomes its reason.

    Args:
        model: name.
        data: name of the set.
        audit: runs the audit.
    """
    try:
        return Cell(model, data, "done", report=audit(model, data))
    except ForecheckError as error:
        return Cell(model, data, "cannot be run", error.message, error.remedy)
    except TrialError as error:  # below its first line there may be a traceback
        return Cell(model, data, "failed", str(error).partition("\n")[0])


def run_survey(
    models: Sequence[str], sets: Sequence[str], audit: Audit, callback: Callable[[Json], None] | None = None
) -> Json:
    """Audit every model on every set, model by model.

    Args:
        models: names, the rows of the survey.
        sets: names of the sets, its columns.
        audit: runs one audit.
        callback: called after every cell with the survey so far, in which what is to come is "not run".

    Returns:
        The survey as a plain dict, see `assemble`.

    Raises:
        UsageError: if there is nothing to audit, a name stands twice, or no cell at all can be run.
    """
    for what, names in (("model", models), ("data set", sets)):
        if not names:
            raise UsageError(f"a survey needs at least one {what}")
        if twice := next((name for name in names if list(names).count(name) > 1), None):
            raise UsageError(f"the {what} {twice!r} is named twice in one survey")
    cells: list[Cell] = []
    for model in models:
        for data in sets:
            cells.append(run_cell(model, data, audit))
            if callback is not None:
                callback(assemble(models, sets, cells))
    if all(cell.state == "cannot be run" for cell in cells):
        first = cells[0]
        others = f"; nor can the other {len(cells) - 1} cells of the survey be run" if len(cells) > 1 else ""
        raise UsageError(f"{first.why}{others}", first.remedy)
    return assemble(models, sets, cells)


def assemble(models: Sequence[str], sets: Sequence[str], cells: Sequence[Cell]) -> Json:
    r"""Cells as one report of the kind "survey".

    Whether what a cell says of attention also holds among all cells is tested by Holm's step-down method over the
    hypotheses of all cells, three a cell (the loss without attention, relative to the model's, by margin :math:`m`):

    .. math:: H_>: \delta \le m, \qquad H_<: \delta \ge -m, \qquad H_=: |\delta| \ge m

    Args:
        models: names, the rows.
        sets: names of the sets, the columns.
        cells: those that are there; all others are "not run".

    Returns:
        `models`, `sets`, `protocol` (what all audits share), `environment` and `cells`, model by model: `model`, `set`,
        `state`, `why`, the verdict's `worth`, `outcome`, `effect`, `interval`, `reference` and the like, `holds` (True
        if the outcome also holds among all cells, None where the audit gave no p-values) and the whole `report`.

    Source: Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6:65.
    """
    there = {(cell.model, cell.data): cell for cell in cells}
    rows = [_row(there.get((model, data), Cell(model, data))) for model in models for data in sets]
    _mark(rows)
    done = next((cell.report for cell in cells if cell.report is not None), {})
    return header("survey") | {
        "models": list(models),
        "sets": list(sets),
        "protocol": {name: done.get("protocol", {}).get(name) for name in _SHARED},
        "cells": rows,
        "environment": done.get("environment", {}),
    }


def _row(cell: Cell) -> Json:
    report = cell.report or {}
    verdict, protocol = report.get("verdict", {}), report.get("protocol", {})
    raw: Json = next((arm for arm in report.get("arms", []) if arm.get("family") == "raw"), {})
    row = {"model": cell.model, "set": cell.data, "state": cell.state}
    row |= {name: verdict.get(name) for name in _VERDICT}
    if cell.state != "done":
        row |= {"why": cell.why, "advice": cell.remedy}
    row |= {name: protocol.get(name) for name in _PROTOCOL}
    return row | {"mse": raw.get("mse"), "holds": None, "report": cell.report}


def _mark(rows: Sequence[Json]) -> None:
    """Say of every cell with p-values whether its outcome holds among all cells."""
    known = [(row, p) for row in rows if (p := p_values(row["report"] or {})) is not None]
    adjusted = holm([value for _, p in known for value in p.values()])
    for k, (row, p) in enumerate(known):
        of_row = dict(zip(p, adjusted[3 * k : 3 * k + 3], strict=True))
        claim = _CLAIMS.get(row["outcome"])
        row["holds"] = claim is not None and of_row[claim] <= LEVEL


def p_values(report: Mapping[str, Any]) -> dict[str, float] | None:
    """Of the audit's question, the p-values of helps (`greater`), hurts (`less`) and no difference (`equivalent`).

    Attention helps if *every* replacement is worse, so that the largest p-value counts; it hurts, or makes no
    difference, if *some* replacement is better, or as good: the smallest of the p-values that the audit adjusted over
    its replacements. An audit that looked several times at its data has them multiplied by the number of looks it
    declared, which holds however its error was spent among them.

    Returns:
        None if no replacement was tested.
    """
    family = "retrained" if report.get("verdict", {}).get("question") == "architecture" else "post-hoc"
    tested = [finding.get("p_values") for finding in report.get("findings", []) if finding.get("family") == family]
    found = [p for p in tested if p]
    if not found:
        return None
    looks = max(1, len(report.get("protocol", {}).get("looks") or ()))
    choose: dict[str, Callable[..., float]] = {"greater": max, "less": min, "equivalent": min}
    return {name: min(1.0, looks * chosen(p[name] for p in found)) for name, chosen in choose.items()}
