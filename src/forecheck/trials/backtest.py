"""Backtest: named models on the standard test part, with the same statistics as the audit."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.data.panel import Panel
from forecheck.data.windows import Experiment, prepare
from forecheck.errors import UsageError
from forecheck.evaluation.inference import AS_FORECASTER, compare
from forecheck.evaluation.metrics import loss_by_time
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.trials.describe import describe_protocol, environment, header
from forecheck.trials.engines.base import Run
from forecheck.trials.ledger import Ledger, Result
from forecheck.trials.selection import simplest_unbeaten
from forecheck.trials.trial import Trial


def plan(
    experiment: Experiment,
    models: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    seeds: int,
    period: int,
) -> dict[str, list[Trial]]:
    """Trials by model; models that are not trained by gradient descent need one seed only.

    Raises:
        UsageError: if a model or option is unknown, named twice, or options are given for a model that is not run; or
            if a model cannot be built for this task.
    """
    if not models or len(set(models)) < len(models):
        raise UsageError(f"models must be named, each once, got {', '.join(models) or 'none'}")
    if stray := set(options) - set(models):
        raise UsageError(f"options are set for {', '.join(sorted(stray))}, which is not among the models")
    if seeds < 1 or period < 1:
        raise UsageError(f"seeds and period must be positive, got {seeds} and {period}")
    planned = {}
    e, test = experiment, experiment.test
    task = Task(test.lookback, test.horizon, test.channels, period)
    for name in models:
        # Built once here, so that what cannot be built is told before any work is done.
        forecaster = registry.create(name, task, options.get(name, {}))
        config = asdict(forecaster.config)
        planned[name] = [
            Trial(e.panel.fingerprint, e.split, test.lookback, test.horizon, name, config, period, test.step, seed)
            for seed in range(seeds if forecaster.trained else 1)
        ]
    return planned


def check_margin(margin: float) -> None:
    """Refuse a margin that is no share.

    Raises:
        UsageError: if it does not lie between 0 and 1.
    """
    if not 0 < margin < 1:
        raise UsageError(f"the margin must lie between 0 and 1 (0.01 is 1 %), got {margin:g}")


def run_backtest(
    panel: Panel,
    models: Sequence[str],
    lookback: int,
    horizon: int,
    run: Run,
    ledger: Ledger,
    *,
    split: str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    seeds: int = 1,
    margin: float = 0.01,
    period: int | None = None,
    step: int = 1,
) -> dict[str, Any]:
    """Score models on all test windows and compare every pair; returns the report as a plain dict.

    With more than one seed the pairwise verdicts are about the models, else about these fits.

    Raises:
        DataError, UsageError: see `prepare` and `plan`.
    """
    check_margin(margin)
    started = time.perf_counter()
    experiment = prepare(panel, lookback, horizon, split, step)
    planned = plan(experiment, models, options or {}, seeds, panel.frequency.period if period is None else period)
    trials = [trial for group in planned.values() for trial in group]
    known = sum(trial in ledger for trial in trials)
    ledger.put_panel(panel)
    run(trials, ledger)
    results = {name: [ledger.need(trial) for trial in group] for name, group in planned.items()}
    table = [_row(name, group) for name, group in results.items()]
    winner = simplest_unbeaten({row["model"]: row["validation_mse"] for row in table}, margin)
    protocol = describe_protocol(experiment, [len(trials), known], time.perf_counter() - started)
    return header("backtest") | {
        "protocol": protocol | {"margin": margin, "level": 0.95, "seeds": list(range(seeds))},
        "table": table,
        "pairs": _pairs(experiment, results, margin),
        "horizon": {"curves": [_curve(name, group) for name, group in results.items()]},
        "winner": {
            "model": winner,
            "rule": f"the simplest model whose validation loss is within {100 * margin:g} % of the best",
        },
        "environment": environment(next(iter(results.values()))[0]),
    }


def _row(name: str, results: list[Result]) -> dict[str, Any]:
    keys = ("mse", "mae", "mse_real", "mae_real", "validation_mse")
    means = {key: float(np.mean([result.summary[key] for result in results])) for key in keys}
    return (
        {"model": name}
        | means
        | {
            "seconds": float(np.mean([result.summary["fit"]["seconds"] for result in results])),
            "parameters": results[0].summary["fit"]["parameters"],
            "seeds": len(results),
            "options": results[0].trial.config,
        }
    )


def _curve(name: str, results: list[Result]) -> dict[str, Any]:
    curve = np.mean([result.arrays["horizon_mse"] for result in results], axis=0)
    return {"label": name, "family": "model", "mse": [round(float(value), 6) for value in curve]}


def _losses(experiment: Experiment, results: list[Result]) -> Float[np.ndarray, "seed time"]:
    times = experiment.panel.time[experiment.test.origins]
    return np.stack([loss_by_time(result.arrays["mse"], times) for result in results])


def _pairs(experiment: Experiment, results: Mapping[str, list[Result]], margin: float) -> list[dict[str, Any]]:
    """Every pair of models; Holm over all pairs."""
    losses = {name: _losses(experiment, group) for name, group in results.items()}
    pairs = list(itertools.combinations(losses, 2))
    if not pairs:
        return []
    # One family, but every pair has its own reference loss: differences are scaled before they are compared.
    differences = []
    for reference, model in pairs:
        a, b = losses[model], losses[reference]
        seeds = max(len(a), len(b))
        shape = (seeds, a.shape[1])
        differences.append((np.broadcast_to(a, shape) - np.broadcast_to(b, shape)) / b.mean())
    compared = compare(differences, 1.0, experiment.test.overlap, margin=margin, over_seeds="if several")
    return [
        {
            "model": model,
            "reference": reference,
            "outcome": AS_FORECASTER[c.outcome],
            "effect": c.effect,
            "interval": list(c.interval),
            "smallest_margin": c.smallest_margin,
            "p": min(c.p_greater, c.p_less, c.p_equivalent),
            "why": c.reason,
        }
        for (reference, model), c in zip(pairs, compared, strict=True)
    ]
