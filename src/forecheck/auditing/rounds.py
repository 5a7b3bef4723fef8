"""Seeds until it is decided: arms are trained in rounds, those first that decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from forecheck.auditing.budget import Budget, Clock, work_of
from forecheck.auditing.ended import By, End
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.headline import arms_for_more_seeds, headline
from forecheck.auditing.plan import Plan, PlannedArm
from forecheck.auditing.setting import Family
from forecheck.statistics.sequential import spend
from forecheck.trials.means import Means
from forecheck.trials.store import Store

Gather = Callable[[Mapping[tuple[Family, str], int], float], Evidence]
"""Evidence of the arms with so many seeds each, at a level."""


@dataclass(frozen=True)
class Rounds:
    """How far the rounds went.

    Attributes:
        seeds: fits by family and label.
        level: of the last look.
        ended: why no further seeds were added.
    """

    seeds: Mapping[tuple[Family, str], int]
    level: float
    ended: End

    @property
    def stopped(self) -> str:
        """Why no further seeds were added, in words."""
        return _STOPPED[self.ended.by]


_STOPPED: dict[By, str] = {
    "given": "one trained model was given",
    "decided": "both questions are decided",
    "windows": "the seeds of the declared looks would not decide it",
    "time": "the time is spent",
    "looks": "all looks were made",
}


def train_in_rounds(
    planned: Plan,
    budget: Budget,
    splits: Sequence[str],
    means: Means,
    clock: Clock,
    gather: Gather,
) -> Rounds:
    """Train the raw model and its retrained arms with the seeds of the first look, then with more where that may help.

    The looks are declared beforehand and share the level of 5 % (`inference.sequential.spend`), so that stopping as
    soon as everything is decided keeps the error. More seeds go to the raw model and to the arms whose comparison is
    open; none are added if the spread between test windows alone leaves the questions open.

    Args:
        planned: its raw and retrained arms.
        budget: the looks.
        splits: of the folds, the first one first.
        means: engine and store.
        clock: says whether a further round can be afforded; the first one is always run.
        gather: gives the evidence so far.
    """
    arms = {(arm.family, arm.label): arm for arm in planned.of("raw", "retrained")}
    if planned.setting.external:
        means(arm.trials(1)[0] for arm in arms.values())
        return Rounds(dict.fromkeys(arms, 1), 0.05, End("given"))
    levels = spend(budget.looks)
    seeds = dict.fromkeys(arms, 0)
    open_arms, ended = list(arms), End("looks")
    for number, (look, level) in enumerate(zip(budget.looks, levels, strict=True)):
        for key in open_arms:
            seeds[key] = look
        means(trial for key in open_arms for split in splits for trial in arms[key].trials(look, split))
        found = headline(evidence := gather(seeds, level))
        if all(fact.holds is not None for fact in found.facts):
            ended = End("decided")
            break
        chosen = arms_for_more_seeds(found, evidence, budget.looks[-1])
        open_arms = [key for key, arm in arms.items() if ("raw" if arm.family == "raw" else arm.label) in chosen]
        if not open_arms:
            ended = End("windows")
            break
        if number + 1 < len(budget.looks):
            more = budget.looks[number + 1]
            work = _work([arms[key] for key in open_arms], splits, more, seeds, means.store)
            if not clock.affords(work):
                ended = End("time", clock.needs(work))
                break
    return Rounds(seeds, level, ended)


def _work(
    arms: Sequence[PlannedArm],
    splits: Sequence[str],
    seeds: int,
    had: Mapping[tuple[Family, str], int],
    store: Store,
) -> float:
    """Seconds that further seeds of some arms will take, by those that were run."""
    total = 0.0
    for arm in arms:
        for split in splits:
            known = [store.need(trial) for trial in arm.trials(had[arm.family, arm.label], split)]
            new = sum(trial not in store for trial in arm.trials(seeds, split))
            total += new * work_of(known) / len(known)
    return total
