"""`forecheck.reproduce`, and the list of papers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forecheck.papers.reports.reproduction import Reproduction
from forecheck.papers.run import list_papers
from forecheck.papers.run import reproduce as run_papers
from forecheck.trials.engines.pools import Workers
from forecheck.verbs.common import Shown, open_store, watching


def reproduce(
    papers: str | Sequence[str] = (),
    claims: Sequence[str] = (),
    budget: str = "quick",
    *,
    workers: Workers = None,
    store: Path | str | None = None,
    progress: Shown = False,
) -> Reproduction:
    """Test the claims of papers: each ends confirmed, refuted, uneven or not testable here, our number beside theirs.

    Args:
        papers: a name or several, see `forecheck.papers.catalogue.PAPERS`; none for all.
        claims: ids of claims, of one paper; none for all.
        budget: quick (all papers within a quarter of an hour on two cores) or full; or `finished`, which runs nothing
            and judges what is saved.
        workers: processes, None for one a core, 0 for none; or a Ray cluster, `forecheck.Ray("auto")`.
        store: folder of results; None for the user's cache.
        progress: True for a bar, or a function that is called with the share that is done and a word.

    Returns:
        A report: `.claims`, `.papers`, `.to_html(path)`, `.to_json(path)`, `.to_markdown(path)`.

    Raises:
        UsageError: if there is no such paper, claim or budget.
        TrialError: if an experiment fails; finished parts are saved.
    """
    names = (papers,) if isinstance(papers, str) else papers
    with watching(progress) as watcher:
        return Reproduction(
            run_papers(names, claims, budget, store=open_store(store), workers=workers, tell=watcher.part)
        )


def papers(store: Path | str | None = None) -> list[dict[str, Any]]:
    """Every paper with its claims and their last verdicts."""
    return list_papers(open_store(store))
