"""The audit: plan the trials, have them run, arrange the evidence, run the checks, and say what was found."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from forecheck.checks.budget import Budget
from forecheck.checks.catalogue import Selection, run_checks
from forecheck.checks.describe import arm_rows, attention_maps, examples
from forecheck.checks.evidence import LINEAR, NAIVE, Arm, Evidence
from forecheck.checks.protocol import Check
from forecheck.checks.remedies import compare_remedies, treatments
from forecheck.checks.setting import Family, Place, Setting, Want
from forecheck.checks.verdict import verdict
from forecheck.data.panel import Panel
from forecheck.data.windows import Experiment, prepare
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.given import Given
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.interventions.identity import identity_test
from forecheck.interventions.sites import Subject, attach
from forecheck.trials.backtest import check_margin
from forecheck.trials.describe import describe_protocol, environment, header
from forecheck.trials.engines.base import Run
from forecheck.trials.ledger import Ledger, Result
from forecheck.trials.selection import usable
from forecheck.trials.trial import GIVEN, Trial


@dataclass(frozen=True)
class Plan:
    """The trials of an audit, by arm and by measure.

    Attributes:
        setting: what was known when planning.
        checks: those that will look at the results.
        skipped: those that will not, with the reason.
        arms: family, label and a trial a seed.
        measures: name, label of the arm that is measured, and a trial a seed.
        treated: remedy, what attention is replaced by, and a trial a seed.
    """

    setting: Setting
    checks: tuple[Check, ...]
    skipped: tuple[dict[str, Any], ...]
    arms: tuple[tuple[Family, str, tuple[Trial, ...]], ...]
    measures: tuple[tuple[str, str, tuple[Trial, ...]], ...] = ()
    treated: tuple[tuple[str, str, tuple[Trial, ...]], ...] = ()

    @property
    def trials(self) -> list[Trial]:
        """All trials, the references first: they are done in seconds."""
        return [trial for *_, trials in (*self.arms, *self.measures, *self.treated) for trial in trials]


def plan(
    experiment: Experiment,
    model: str | Given,
    budget: Budget,
    options: Mapping[str, Mapping[str, Any]],
    period: int,
    selection: Selection | None = None,
    remedies: Sequence[str] = (),
) -> Plan:
    """Which trials an audit of `model` consists of: the raw model, the references, what the checks want, remedies.

    Raises:
        UsageError: if the model is unknown, has no attention, or cannot take a remedy, or an option is wrong.
    """
    test = experiment.test
    task = Task(test.lookback, test.horizon, test.channels, period)
    names = usable((*NAIVE, *LINEAR), period, test.lookback)
    setting = _setting(model, task, budget, options, experiment)
    if stray := set(options) - {setting.model, *names}:
        raise UsageError(f"options are set for {', '.join(sorted(stray))}, which this audit does not run")
    checks, skipped = (selection or Selection()).split(setting)
    forecaster = GIVEN if setting.given else setting.model

    def trial(name: str, config: Mapping[str, Any], seed: int = 0, **kw: Any) -> Trial:
        data, split = experiment.panel.fingerprint, experiment.split
        return Trial(data, split, test.lookback, test.horizon, name, dict(config), period, test.step, seed, **kw)

    seeds = range(1 if setting.given else budget.seeds)
    chosen = {name: asdict(registry.create(name, task, options.get(name, {})).config) for name in names}
    arms: list[tuple[Family, str, tuple[Trial, ...]]] = [
        ("reference", name, (trial(name, config),)) for name, config in chosen.items()
    ]
    arms.append(("raw", setting.model, tuple(trial(forecaster, setting.config, seed) for seed in seeds)))
    measures: dict[tuple[str, str], tuple[Trial, ...]] = {}
    wanted: dict[tuple[Family, str], Want] = {}
    for check in checks:
        for want in () if check.why_not(setting) else check.wants(setting):
            if want.measure is None:
                wanted.setdefault((want.family, want.label), want)
            elif want.label in chosen:
                measured = trial(want.label, chosen[want.label], measure=want.measure)
                measures[want.measure, want.label] = (measured,)
            else:
                measures[want.measure, setting.model] = tuple(
                    trial(forecaster, setting.config, seed, measure=want.measure) for seed in seeds
                )
    for (family, label), want in wanted.items():
        edit = want.edit.to_dict() if want.edit else None
        config = setting.config
        if want.options:
            config = asdict(registry.create(forecaster, task, {**config, **want.options}).config)
        arms.append(
            (family, label, tuple(trial(forecaster, config, seed, edit=edit, posthoc=want.posthoc) for seed in seeds))
        )
    return Plan(
        setting,
        tuple(checks),
        tuple(skipped),
        tuple(arms),
        tuple((name, label, trials) for (name, label), trials in measures.items()),
        tuple(
            (
                each.remedy,
                each.mode,
                tuple(
                    trial(forecaster, each.config, seed, edit=each.edit.to_dict() if each.edit else None)
                    for seed in seeds
                ),
            )
            for each in treatments(setting, remedies)
        ),
    )


def _setting(
    model: str | Given,
    task: Task,
    budget: Budget,
    options: Mapping[str, Mapping[str, Any]],
    experiment: Experiment,
) -> Setting:
    """What can be known of the model without training it; what cannot be built is refused before the work."""
    if isinstance(model, Given):
        name, config, subject = model.config.model, asdict(model.config), model.subject
    else:
        audited = registry.find(model)
        if not issubclass(audited, NeuralForecaster):
            raise UsageError(f"{model} has no attention to audit", "Audit patchtst, or compare models with backtest.")
        training = budget.options(audited, len(experiment.train), options.get(model, {}))
        forecaster = registry.create(model, task, training)
        assert isinstance(forecaster, NeuralForecaster)
        name, config, subject = model, asdict(forecaster.config), Subject.of(forecaster.module)
    example, _ = experiment.train.gather(slice(0, 2))
    with torch.no_grad(), attach(subject, example) as attached:
        places = tuple(Place(site.layer, site.path, site.heads, site.queries, site.keys) for site in attached.sites)
        why_not, identity = attached.why_not, None
        if places:
            test = identity_test(subject, attached, example)
            identity = test.worst
            if not test.passed:
                places = ()
                why_not = (
                    f"the {attached.adapter} adapter failed its identity test on this model: with nothing changed the "
                    f"forecast differs by {test.worst:.1e} of its size, so no edit through it can be believed"
                )
        native = attached.adapter == "native"
    return Setting(name, task, budget, config, places, why_not, isinstance(model, Given), native, identity)


def run_audit(
    panel: Panel,
    model: str | Given,
    lookback: int,
    horizon: int,
    budget: Budget,
    run: Run,
    ledger: Ledger,
    *,
    split: str | None = None,
    margin: float = 0.01,
    period: int | None = None,
    step: int = 1,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    selection: Selection | None = None,
    remedies: Sequence[str] = (),
) -> dict[str, Any]:
    """Audit the attention of a forecaster on a panel; returns the report as a plain dict.

    Args:
        panel: the data.
        model: name of a forecaster with attention, or a model that was trained elsewhere.
        lookback: L.
        horizon: H.
        budget: seeds, training and retrained arms.
        run: engine; runs the trials that are not in the ledger yet.
        ledger: where results are kept.
        split: notation of a split, or None for the panel's standard one.
        margin: relative difference of test MSE below which two forecasters count as equal.
        period: season, or None for that of the panel's frequency.
        step: rows between two forecast origins.
        options: by forecaster, options that differ from the defaults.
        selection: which checks to run; None for all that the budget has time for.
        remedies: names of remedies to put side by side (`forecasters.remedies`); they do not enter the verdict.
    """
    check_margin(margin)
    started = time.perf_counter()
    experiment = prepare(panel, lookback, horizon, split, step)
    planned = plan(experiment, model, budget, options or {}, period or panel.frequency.period, selection, remedies)
    known = sum(trial in ledger for trial in planned.trials)
    ledger.put_panel(panel)
    run(planned.trials, ledger)
    evidence = _evidence(experiment, planned, ledger, margin)
    protocol = describe_protocol(experiment, [len(planned.trials), known], time.perf_counter() - started)
    raw = evidence.raw.results[0]
    attention = raw.summary.get("attention", {})
    protocol |= {
        "model": planned.setting.model,
        "config": raw.trial.config,
        "budget": None if planned.setting.given else budget.name,
        "seeds": [result.trial.seed for result in evidence.raw.results],
        "margin": margin,
        "level": 0.95,
        "adapter": attention.get("adapter") or f"none: {planned.setting.why_not}",
    }
    return header("audit") | {
        "verdict": verdict(evidence),
        "findings": [finding.to_dict() for finding in run_checks(evidence, planned.checks)],
        "skipped": list(planned.skipped),
        "protocol": protocol,
        "sites": attention.get("sites", []),
        "arms": arm_rows(evidence),
        "horizon": {"curves": _curves(evidence)},
        "attention": attention_maps(evidence.raw),
        "examples": examples(evidence),
        "environment": environment(raw),
        **_remedies(evidence, planned, ledger),
    }


def _evidence(experiment: Experiment, planned: Plan, ledger: Ledger, margin: float) -> Evidence:
    """Results by arm; arms that could not be run on this model are named with the reason."""
    arms: list[Arm] = []
    measures: dict[tuple[str, str], tuple[Result, ...]] = {}
    why_not: dict[tuple[str, str], str] = {}
    for family, label, trials in planned.arms:
        results = tuple(ledger.need(trial) for trial in trials)
        if why := results[0].summary.get("why_not"):
            why_not[family, label] = str(why)
        else:
            arms.append(Arm(label, family, results))
    for name, label, trials in planned.measures:
        measures[name, label] = tuple(ledger.need(trial) for trial in trials)
    return Evidence(experiment, tuple(arms), planned.setting, margin, measures, why_not)


def _remedies(evidence: Evidence, planned: Plan, ledger: Ledger) -> dict[str, Any]:
    arms = {
        (name, mode): Arm(name, "remedy", tuple(ledger.need(trial) for trial in trials))
        for name, mode, trials in planned.treated
    }
    return {"remedies": compare_remedies(evidence, arms)} if arms else {}


def _curves(evidence: Evidence) -> list[dict[str, Any]]:
    """Loss by horizon step of the raw forecaster, its retrained arms and the best reference."""
    linear = evidence.best_reference(LINEAR)
    arms = [evidence.raw, *evidence.family("retrained"), *([linear] if linear else [])]
    return [
        {"label": arm.label, "family": arm.family, "mse": [round(float(v), 6) for v in arm.horizon_mse]} for arm in arms
    ]
