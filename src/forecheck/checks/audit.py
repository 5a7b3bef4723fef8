"""The audit: plan the trials, have them run, arrange the evidence, run the checks, and say what was found."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from forecheck.checks.budget import Budget
from forecheck.checks.catalogue import run_checks
from forecheck.checks.describe import arm_rows, attention_maps, examples
from forecheck.checks.evidence import LINEAR, NAIVE, Arm, Evidence, Family
from forecheck.checks.verdict import verdict
from forecheck.data.panel import Panel
from forecheck.data.windows import Experiment, prepare
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.interventions.replace import POSTHOC_MODES, Mode, Replace
from forecheck.trials.backtest import check_margin
from forecheck.trials.describe import describe_protocol, environment, header
from forecheck.trials.engines.base import Run
from forecheck.trials.ledger import Ledger
from forecheck.trials.selection import usable
from forecheck.trials.trial import Trial


@dataclass(frozen=True)
class Plan:
    """The trials of an audit, by arm."""

    arms: tuple[tuple[Family, str, tuple[Trial, ...]], ...]

    @property
    def trials(self) -> list[Trial]:
        """All trials, the references first: they are done in seconds."""
        return [trial for _, _, trials in self.arms for trial in trials]


def plan(
    experiment: Experiment,
    model: str,
    budget: Budget,
    options: Mapping[str, Mapping[str, Any]],
    period: int,
    posthoc: tuple[Mode, ...] = POSTHOC_MODES,
) -> Plan:
    """Which trials an audit of `model` consists of.

    Raises:
        UsageError: if the model is unknown, has no attention, or an option is wrong.
    """
    audited = registry.find(model)
    if not issubclass(audited, NeuralForecaster):
        raise UsageError(f"{model} has no attention to audit", "Audit patchtst, or compare models with backtest.")
    test = experiment.test
    task = Task(test.lookback, test.horizon, test.channels, period)
    names = usable((*NAIVE, *LINEAR), period, test.lookback)
    if stray := set(options) - {model, *names}:
        raise UsageError(f"options are set for {', '.join(sorted(stray))}, which this audit does not run")
    training = budget.options(audited, len(experiment.train), options.get(model, {}))
    # Built once here, so that what cannot be built is refused before the work.
    config = asdict(registry.create(model, task, training).config)

    def trial(name: str, config: dict[str, Any], seed: int = 0, edit: Replace | None = None, **kw: Any) -> Trial:
        described = edit.to_dict() if edit else None
        data, split = experiment.panel.fingerprint, experiment.split
        return Trial(data, split, test.lookback, test.horizon, name, config, period, test.step, seed, described, **kw)

    seeds = range(budget.seeds)
    arms: list[tuple[Family, str, tuple[Trial, ...]]] = []
    for name in names:
        chosen = asdict(registry.create(name, task, options.get(name, {})).config)
        arms.append(("reference", name, (trial(name, chosen),)))
    arms.append(("raw", model, tuple(trial(model, config, seed) for seed in seeds)))
    arms += [
        ("retrained", mode, tuple(trial(model, config, seed, Replace(mode)) for seed in seeds))
        for mode in budget.retrained
    ]
    arms += [
        ("post-hoc", mode, tuple(trial(model, config, seed, Replace(mode), posthoc=True) for seed in seeds))
        for mode in posthoc
    ]
    return Plan(tuple(arms))


def run_audit(
    panel: Panel,
    model: str,
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
) -> dict[str, Any]:
    """Audit the attention of a forecaster on a panel; returns the report as a plain dict.

    Args:
        panel: the data.
        model: name of a forecaster with attention.
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
    """
    check_margin(margin)
    started = time.perf_counter()
    experiment = prepare(panel, lookback, horizon, split, step)
    planned = plan(experiment, model, budget, options or {}, period or panel.frequency.period)
    known = sum(trial in ledger for trial in planned.trials)
    ledger.put_panel(panel)
    run(planned.trials, ledger)
    evidence = Evidence(experiment, tuple(_arm(arm, ledger) for arm in planned.arms), margin)
    protocol = describe_protocol(experiment, [len(planned.trials), known], time.perf_counter() - started)
    raw = evidence.raw.results[0]
    protocol |= {
        "model": model,
        "config": raw.trial.config,
        "budget": budget.name,
        "seeds": [result.trial.seed for result in evidence.raw.results],
        "margin": margin,
        "level": 0.95,
        "adapter": raw.summary.get("attention", {}).get("adapter", ""),
    }
    return header("audit") | {
        "verdict": verdict(evidence),
        "findings": [finding.to_dict() for finding in run_checks(evidence)],
        "protocol": protocol,
        "arms": arm_rows(evidence),
        "horizon": {"curves": _curves(evidence)},
        "attention": attention_maps(evidence.raw),
        "examples": examples(evidence),
        "environment": environment(raw),
    }


def _arm(planned: tuple[Family, str, tuple[Trial, ...]], ledger: Ledger) -> Arm:
    family, label, trials = planned
    return Arm(label, family, tuple(ledger.need(trial) for trial in trials))


def _curves(evidence: Evidence) -> list[dict[str, Any]]:
    """Loss by horizon step of the raw forecaster, its retrained arms and the best reference."""
    linear = evidence.best_reference(LINEAR)
    arms = [evidence.raw, *evidence.family("retrained"), *([linear] if linear else [])]
    return [
        {"label": arm.label, "family": arm.family, "mse": [round(float(v), 6) for v in arm.horizon_mse]} for arm in arms
    ]
