"""Papers are run: the parts that are not finished yet, then the judges."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from forecheck.errors import UsageError
from forecheck.papers.catalogue import FINISHED, check_budget, find_claims, find_papers
from forecheck.papers.claim import Claim, Outcome, Paper, Verdict
from forecheck.papers.experiment import FULL, QUICK, Part, Row
from forecheck.papers.part import run_part
from forecheck.papers.results import get_part, get_verdict, part_key, part_seconds, put_verdict
from forecheck.trials.describe import header, machine
from forecheck.trials.engines.pools import AnyPool, Workers, pool_on
from forecheck.trials.record import as_plain
from forecheck.trials.store import Store

_SHOWN = ("id", "title", "where", "claimed_by", "rule", "quantity", "published")
_UNDECIDED = "The intervals do not decide it; --budget full has more seeds."
Tell = Callable[[str, float, int], None]
"""Progress of a paper: its name, parts done (with what is done of those that are running), parts in all."""


def reproduce(
    papers: Sequence[str] = (),
    claims: Sequence[str] = (),
    budget: str = "quick",
    *,
    store: Store | None = None,
    workers: Workers = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Test the claims of papers.

    Every part of an experiment is saved in the store when it is finished; what was stopped goes on from there.

    Args:
        papers: names, see `forecheck.papers.catalogue.PAPERS`; none for all.
        claims: ids of claims, of one paper; none for all.
        budget: quick or full; or `finished`, which runs nothing and judges what is in the store.
        store: of results; the user's cache by default.
        workers: processes, None for one a core, 0 for none; or a Ray cluster.
        tell: called as tasks finish.

    Returns:
        By paper and claim the outcome, as JSON types: see `forecheck.reports`.

    Raises:
        UsageError: if there is no such paper, claim or budget.
        TrialError: if an experiment fails; finished parts are saved.
    """
    check_budget(budget)
    if claims and len(papers) != 1:
        raise UsageError("a claim belongs to a paper", "Name one paper beside the claim.")
    started = time.perf_counter()
    store = store or Store()
    tasks = [_Task(paper, find_claims(paper, claims), budget, store) for paper in find_papers(list(papers))]
    _run([task for task in tasks if task.left], store, workers, tell or (lambda *_: None))
    described = [task.judged() for task in tasks]
    outcomes = [(claim["claimed_by"], claim["verdict"]) for paper in described for claim in paper["claims"]]
    found = {
        **header("reproduction"),
        "budget": budget,
        "counts": {str(verdict): outcomes.count(("paper", verdict)) for verdict in Verdict},
        "counts_of_ours": {str(verdict): outcomes.count(("us", verdict)) for verdict in Verdict},
        "papers": described,
        "environment": machine(),
        "seconds": _worked(tasks) if budget == FINISHED else round(time.perf_counter() - started, 1),
    }
    # Judges hand over tuples and numpy's numbers.
    plain: dict[str, Any] = json.loads(json.dumps(found, default=as_plain))
    return plain


def _worked(tasks: Sequence[_Task]) -> float:
    """Seconds of all parts that are judged."""
    parts = {
        part_key(task.paper.name, part).address: part_seconds(task.store, task.paper.name, part)
        for task in tasks
        for claim in task.claims
        for each in claim.experiments
        for part in each.parts(task.budget_of(claim) or QUICK)
    }
    return round(sum(parts.values()), 1)


def list_papers(store: Store | None = None) -> list[dict[str, Any]]:
    """Every paper with its claims; a claim that was tested has its last verdict, number and budget under `last`."""
    store = store or Store()
    return [
        {
            "name": paper.name,
            "title": paper.title,
            "source": paper.source,
            "claims": [
                {
                    "id": claim.id,
                    "title": claim.title,
                    "where": claim.where,
                    "claimed_by": claim.claimed_by,
                    "last": get_verdict(store, paper.name, claim.id),
                }
                for claim in paper.claims
            ],
        }
        for paper in find_papers()
    ]


@dataclass
class _Task:
    """A paper, the claims that are wanted, and the parts that are not finished."""

    paper: Paper
    claims: Sequence[Claim]
    budget: str
    store: Store
    parts: dict[str, Part] = field(init=False)
    left: dict[str, Part] = field(init=False)
    obstacles: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        run = () if self.budget == FINISHED else self.claims
        wanted = [part for claim in run for each in claim.experiments for part in each.parts(self.budget)]
        self.parts = {part_key(self.paper.name, part).address: part for part in wanted}
        self.left = {address: part for address, part in self.parts.items() if self._row(part) is None}

    @property
    def finished(self) -> int:
        """Parts that are finished."""
        return len(self.parts) - len(self.left)

    def done(self, part: Part, obstacle: str) -> None:
        """A part was run, or cannot be."""
        if obstacle:
            self.obstacles[part.experiment.name] = obstacle
        self.left = {address: each for address, each in self.left.items() if each is not part}

    def judged(self) -> dict[str, Any]:
        """The paper with the outcomes of its claims, saved as the last ones."""
        described = []
        for claim in self.claims:
            budget = self.budget_of(claim)
            described.append(_described(claim, self._outcome(claim, budget)) | {"budget": budget})
        kept = ("verdict", "found", "ours", "budget")
        if self.budget != FINISHED:
            for each in described:
                put_verdict(self.store, self.paper.name, each["id"], {key: each[key] for key in kept})
        about = {name: getattr(self.paper, name) for name in ("name", "title", "authors", "source", "about", "notes")}
        return about | {"claims": described}

    def budget_of(self, claim: Claim) -> str:
        """Whose numbers are judged; empty if none is whole."""
        if self.budget != FINISHED:
            return self.budget
        for budget in (FULL, QUICK):
            parts = [each.parts(budget) for each in claim.experiments]
            if all(parts) and all(self._row(part) for some in parts for part in some):
                return budget
        return ""

    def _row(self, part: Part) -> Row | None:
        return get_part(self.store, self.paper.name, part)

    def _outcome(self, claim: Claim, budget: str) -> Outcome:
        if claim.experiments and not budget:
            last = get_verdict(self.store, self.paper.name, claim.id) or {}
            # What it said when it was last tried, such as that there is no GPU.
            why = last.get("found") if last.get("verdict") == Verdict.UNTESTABLE else None
            return Outcome(Verdict.UNTESTABLE, why or "not run yet")
        measured: dict[str, list[Row]] = {}
        for experiment in claim.experiments:
            if experiment.name in self.obstacles:
                return Outcome(Verdict.UNTESTABLE, self.obstacles[experiment.name])
            rows = [self._row(part) for part in experiment.parts(budget)]
            measured[experiment.name] = [row for row in rows if row is not None]
        if not all(measured.values()):
            return Outcome(Verdict.UNTESTABLE, f"not run: it takes --budget {FULL}")
        outcome = claim.judge(measured)
        found = [outcome.found]
        if claim.experiments and outcome.verdict is Verdict.UNTESTABLE and budget != FULL:
            found.append(_UNDECIDED)
        if self.budget == FINISHED and budget == QUICK:
            found.append("By the quick budget.")
        return replace(outcome, found=" ".join(found))


class _Parts:
    """Parts as jobs."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._running: dict[tuple[str, str], float] = {}

    def message(self, job: tuple[_Task, Part]) -> dict[str, Any]:
        task, part = job
        return {"paper": task.paper.name, "experiment": part.experiment.name, "settings": dict(part.settings)}

    def label(self, job: tuple[_Task, Part]) -> str:
        return f"{job[0].paper.name}, {job[1].label}"

    def ready(self, job: tuple[_Task, Part]) -> bool:
        return True

    def progressed(self, job: tuple[_Task, Part], fraction: float, word: str) -> None:
        task, part = job
        self._running[task.paper.name, part.label] = min(fraction, 1.0)
        begun = sum(share for (name, _), share in self._running.items() if name == task.paper.name)
        self._tell(task.paper.name, task.finished + begun, len(task.parts))

    def finished(self, job: tuple[_Task, Part], answer: Any) -> None:
        task, part = job
        self._running.pop((task.paper.name, part.label), None)
        task.done(part, answer)
        self._tell(task.paper.name, task.finished, len(task.parts))
        if not task.left:
            task.judged()  # and its verdicts are saved, whatever becomes of the other papers


def _run(tasks: Sequence[_Task], store: Store, workers: Workers, tell: Tell) -> None:
    """Run what is left of all papers."""
    jobs = _Parts(tell)
    for task in tasks:
        tell(task.paper.name, task.finished, len(task.parts))
    queue = [(task, part) for task in tasks for part in task.left.values()]
    if workers != 0:
        pool: AnyPool[tuple[_Task, Part]] = pool_on(store, "forecheck.papers.worker", workers)
        with pool:
            pool.run(queue, jobs)
        return
    for task, part in queue:
        progress = partial(jobs.progressed, (task, part))
        jobs.finished((task, part), run_part(task.paper.name, part, store, progress))


def _described(claim: Claim, outcome: Outcome) -> dict[str, Any]:
    """A claim and its outcome as JSON types."""
    about = {name: getattr(claim, name) for name in _SHOWN}
    # Python's percent format has no space before the sign; reports do.
    said = {"verdict": str(outcome.verdict), "found": re.sub(r"(?<=\d)%", " %", outcome.found)}
    return about | asdict(outcome) | said
