"""The papers by name; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from forecheck.errors import UsageError
from forecheck.papers.claim import Claim, Paper
from forecheck.papers.experiment import BUDGETS

PAPERS = {
    "curse-of-attention": "forecheck.papers.curse_of_attention",
    "why-attention-fails": "forecheck.papers.why_attention_fails",
    "samovar": "forecheck.papers.samovar",
    "in-context": "forecheck.papers.in_context",
    "initialisation": "forecheck.papers.initialisation",
    "cross-attention": "forecheck.papers.cross_attention",
    "test-time-scaling": "forecheck.papers.test_time_scaling",
    "anomaly-metrics": "forecheck.papers.anomaly_metrics",
    "elsa": "forecheck.papers.elsa",
}
"""Modules with a `PAPER`."""


FINISHED = "finished"
"""No budget of its own: what is finished, of every claim the full budget if that is there, else the quick one."""


def find_paper(name: str) -> Paper:
    """A paper by name.

    Raises:
        UsageError: if there is none.
    """
    if name not in PAPERS:
        raise UsageError(f"no paper is called {name!r}", f"Papers: {', '.join(PAPERS)}.")
    paper = import_module(PAPERS[name]).PAPER
    assert isinstance(paper, Paper)
    return paper


def find_papers(names: Sequence[str] = ()) -> list[Paper]:
    """Papers by name, each once; all if none is named."""
    return [find_paper(name) for name in dict.fromkeys(names or PAPERS)]


def find_claims(paper: Paper, ids: Sequence[str] = ()) -> list[Claim]:
    """Claims of a paper by id, in the paper's order; all if none is named.

    Raises:
        UsageError: if there is no such claim.
    """
    known = {claim.id.lower(): claim for claim in paper.claims}
    if unknown := [name for name in ids if name.lower() not in known]:
        listed = ", ".join(claim.id for claim in paper.claims)
        raise UsageError(f"{paper.name} has no claim {unknown[0]!r}", f"Claims: {listed}.")
    wanted = {name.lower() for name in ids} or set(known)
    return [claim for key, claim in known.items() if key in wanted]


def check_budget(name: str) -> str:
    """The name of a budget, or `finished`.

    Raises:
        UsageError: if there is none of this name.
    """
    if name not in (known := (*BUDGETS, FINISHED)):
        raise UsageError(f"no budget is called {name!r}", f"Known: {', '.join(known)}.")
    return name
