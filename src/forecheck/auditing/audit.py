"""The audit: plan, search, train in rounds, run what explains, arrange the evidence, and say what was found."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from forecheck.auditing.budget import Budget, Clock
from forecheck.auditing.catalogue import Selection, run_checks
from forecheck.auditing.describe import arm_rows, attention_maps, examples, loss_curves
from forecheck.auditing.evidence import Arm, Evidence
from forecheck.auditing.harness import harness_line
from forecheck.auditing.plan import Plan, PlannedArm, choose_folds, plan, resolution
from forecheck.auditing.remedies import compare_remedies
from forecheck.auditing.rounds import Rounds, train_in_rounds
from forecheck.auditing.search import search
from forecheck.auditing.setting import Family
from forecheck.auditing.verdict import verdict
from forecheck.data.panel import Panel
from forecheck.data.splits import fold_splits
from forecheck.errors import UsageError
from forecheck.forecasters.external import External
from forecheck.trials.describe import describe_protocol, environment, header
from forecheck.trials.engines.base import Run
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.store import Result, Store
from forecheck.trials.trial import Trial


def run_audit(
    panel: Panel,
    model: str | External,
    protocol: Protocol,
    budget: Budget,
    means: Means,
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    selection: Selection | None = None,
    remedies: Sequence[str] = (),
) -> dict[str, Any]:
    """Audit the attention of a forecaster on a panel; returns the report as a plain dict.

    Raises:
        UsageError: if an option makes no sense; folds of a model that was trained elsewhere among them.

    Args:
        panel: the data.
        model: name of a forecaster with attention, or a model that was trained elsewhere.
        protocol: windows, with a lookback (`selection.with_lookback`), split, margin, folds. Without folds one, or
            more where that is cheap and one test part holds few independent blocks.
        budget: seeds, training, search and time.
        means: store and engine. Its watcher gets, before anything is trained, what the audit can resolve.
        options: by forecaster, options that differ from the defaults.
        selection: which checks to run; None for all that the budget has time for.
        remedies: names of remedies to put side by side (`forecasters.remedies`); they do not enter the verdict.
    """
    if protocol.folds is not None and protocol.folds > 1 and isinstance(model, External):
        raise UsageError(
            "a model that was trained elsewhere has one test part: it may have learnt from the rows before it",
            "Leave --folds out.",
        )
    started = time.perf_counter()
    clock, store, options = Clock(budget.time, means.parallel), means.store, options or {}
    whole = protocol.cut(panel)
    folds = choose_folds(whole, budget, model) if protocol.folds is None else protocol.folds
    splits = (
        fold_splits(panel, whole.split, folds, whole.test.lookback, protocol.horizon) if folds > 1 else [whole.split]
    )
    experiments = [*(protocol.cut(panel, split=each) for each in splits[:-1]), whole]
    # What is chosen is chosen on the first fold, whose validation part lies before every test part.
    planning = partial(plan, experiments[0], model, budget, options, protocol.season(panel), selection, remedies)
    planned = planning(device=means.device)
    store.put_panel(panel)
    counted = _Counted(means.run)
    means = replace(means, run=counted)
    references = planned.of("reference")
    means(trial for arm in references for each in splits for trial in arm.trials(split=each))
    simple, _ = _arms(references, splits, {}, store)
    resolvable = resolution(experiments, simple)
    for line in (*whole.notes, resolvable):
        means.watcher.say(line)
    chosen = dict(options.get(planned.setting.model, {}))
    bar = min(arm.chosen_by() for arm in simple)
    searched = search(planned, budget, means, clock, chosen=chosen, margin=protocol.margin, bar=bar, folds=folds)
    if searched.tuned:  # else it would be built, and its attention looked for, once more
        planned = planning(searched.tuned, device=means.device)

    def gather(seeds: Mapping[tuple[Family, str], int], level: float, *, complete: bool = False) -> Evidence:
        arms = planned.arms if complete else planned.of("reference", "raw", "retrained")
        known, why_not = _arms(arms, splits, seeds, store)
        measures, failed = _measures(planned, splits[-1], store) if complete else ({}, {})
        earlier = tuple(experiments[:-1])
        failed |= why_not
        return Evidence(whole, known, planned.setting, protocol.margin, measures, failed, earlier, searched, level)

    rounds = train_in_rounds(planned, budget, splits, means, clock, gather)
    means(_explaining(planned, splits))
    evidence = gather(rounds.seeds, rounds.level, complete=True)
    described = describe_protocol(whole, counted.counts, time.perf_counter() - started)
    raw = evidence.raw.results[0]
    return header("audit") | {
        "verdict": verdict(evidence, rounds) | {"resolution": resolvable},
        "findings": [finding.to_dict() for finding in run_checks(evidence, planned.checks)],
        "skipped": list(planned.skipped),
        "protocol": described | _protocol(evidence, planned, budget, rounds, splits),
        "sites": raw.summary.get("attention", {}).get("sites", []),
        "arms": arm_rows(evidence),
        "horizon": {"curves": loss_curves(evidence)},
        "attention": attention_maps(evidence.raw),
        "examples": examples(evidence),
        "environment": environment(raw),
        **_remedies(evidence, planned, splits[-1], store),
    }


class _Counted:
    """An engine that counts the different trials that it was asked for, and those that were in the store already."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[str, bool] = {}

    def __call__(self, trials: list[Trial], store: Store) -> None:
        """Run what is not in the store."""
        for trial in trials:
            self._known.setdefault(trial.address, trial in store)
        self._run(trials, store)

    @property
    def counts(self) -> list[int]:
        """All trials, and those that were known before."""
        return [len(self._known), sum(self._known.values())]


_ON_FOLDS = ("reference", "raw", "retrained", "post-hoc")
"""Families that are run on every fold; the others explain, for which the last one is enough."""


def _explaining(planned: Plan, splits: Sequence[str]) -> list[Trial]:
    """Everything that is run on the trained models, with the seeds of the first round."""
    trials: list[Trial] = []
    for arm in planned.arms:
        if arm.family not in ("reference", "raw", "retrained"):
            for split in splits if arm.family in _ON_FOLDS else splits[-1:]:
                trials += arm.trials(split=split)
    for arm in (*(arm for _, arm in planned.measures), *(arm for *_, arm in planned.treated)):
        trials += arm.trials(split=splits[-1])
    return trials


def _arms(
    planned: Sequence[PlannedArm], splits: Sequence[str], seeds: Mapping[tuple[Family, str], int], store: Store
) -> tuple[tuple[Arm, ...], dict[tuple[str, str], str]]:
    """Results by arm; arms that could not be run on this model are named with the reason."""
    arms: list[Arm] = []
    why_not: dict[tuple[str, str], str] = {}
    for arm in planned:
        key = (arm.family, arm.label)
        folds = [
            tuple(store.need(trial) for trial in arm.trials(seeds.get(key), split))
            for split in (splits if arm.family in _ON_FOLDS else splits[-1:])
        ]
        if why := folds[-1][0].summary.get("why_not"):
            why_not[key] = str(why)
        else:
            arms.append(Arm(arm.label, arm.family, folds[-1], tuple(folds[:-1])))
    return tuple(arms), why_not


def _measures(
    planned: Plan, split: str, store: Store
) -> tuple[dict[tuple[str, str], tuple[Result, ...]], dict[tuple[str, str], str]]:
    """Results by measure and arm; measures at which the model failed are named with the reason."""
    found: dict[tuple[str, str], tuple[Result, ...]] = {}
    failed: dict[tuple[str, str], str] = {}
    for name, arm in planned.measures:
        results = tuple(store.need(trial) for trial in arm.trials(split=split))
        if why := results[0].summary.get("why_not"):
            failed[f"measure {name}", arm.label] = str(why)
        else:
            found[name, arm.label] = results
    return found, failed


def _remedies(evidence: Evidence, planned: Plan, split: str, store: Store) -> dict[str, Any]:
    arms = {
        (name, mode): Arm(name, "remedy", tuple(store.need(trial) for trial in arm.trials(split=split)))
        for name, mode, arm in planned.treated
    }
    return {"remedies": compare_remedies(evidence, arms)} if arms else {}


def _protocol(
    evidence: Evidence, planned: Plan, budget: Budget, rounds: Rounds, splits: Sequence[str]
) -> dict[str, Any]:
    """How the audit went, as JSON types."""
    raw = evidence.raw.results[0]
    external = planned.setting.external
    attention = raw.summary.get("attention", {})
    return {
        "model": planned.setting.model,
        "config": raw.trial.config,
        "budget": None if external else budget.name,
        "seeds": [result.trial.seed for result in evidence.raw.results],
        "looks": None if external else list(budget.looks),
        "level_of_look": rounds.level,
        "stopped": rounds.stopped,
        "time": budget.time,
        "folds": len(splits),
        "splits": list(splits),
        "search": evidence.searched.rows(),
        "margin": evidence.margin,
        "level": 0.95,
        "adapter": attention.get("adapter") or f"none: {planned.setting.why_not}",
        "harness": harness_line(planned.setting),
    }
