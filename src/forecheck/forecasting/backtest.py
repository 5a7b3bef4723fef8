"""Backtest: named models on the standard test part, with the same statistics as the audit."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.data.panel import Panel
from forecheck.data.windows import Experiment
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.refit import can_refit
from forecheck.forecasting.beside import check_backtested
from forecheck.forecasting.candidates import CANDIDATES
from forecheck.forecasting.selection import own_lookbacks, simplest_unbeaten, usable
from forecheck.forecasting.windows import shown_windows
from forecheck.peers.find import COMBINATION, OURS, create_peer, is_peer, release_of
from forecheck.statistics.inference import AS_FORECASTER, Comparison, compare
from forecheck.statistics.metrics import loss_by_time
from forecheck.trials.by_origin import RELEASE, assignment, failed
from forecheck.trials.describe import describe_protocol, environment, header
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.store import Result
from forecheck.trials.trial import Trial

_ROUNDING = 1e-12
"""Standardised MSE under which a forecast in float32 is exact; nothing is a share of less."""

_DRAWN = 4
"""Models whose forecasts of the examples are shown."""

Compare = Callable[[list[tuple[str, str]]], list[Comparison]]


def plan(
    experiment: Experiment,
    models: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    seeds: int,
    period: int,
    lookbacks: Mapping[str, int] | None = None,
    refit: int = 0,
    device: str = "cpu",
) -> dict[str, list[Trial]]:
    """Trials by model; models that are not trained by gradient descent need one seed only.

    Lookbacks are by model, where they are not that of the experiment. With `refit` closed forms are refitted. Networks
    are run on the device.

    Args:
        experiment: the panel, cut into windows.
        models: names of forecasters or peers.
        options: by model, options that differ from the defaults.
        seeds: fits of every model that is trained by gradient descent.
        period: steps a season.
        lookbacks: by model, where they are not that of the experiment.
        refit: rows of the test part between two refits of closed forms; 0 for none.

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
    for name in models:
        if is_peer(name):
            planned[name] = _plan_peer(e, name, options.get(name, {}), seeds, period)
            continue
        lookback = test.lookback if lookbacks is None else lookbacks[name]
        task = Task(lookback, test.horizon, test.channels, period)
        # Built once here, so that what cannot be built is refused before any work is done.
        forecaster = registry.create(name, task, options.get(name, {}))
        config = asdict(forecaster.config)
        common = (e.panel.fingerprint, e.split, lookback, test.horizon, name, config, period, test.step)
        rolling = refit if can_refit(forecaster) else 0
        where = device if forecaster.moves else "cpu"
        several = range(seeds if forecaster.trained else 1)
        planned[name] = [Trial(*common, seed, refit=rolling, device=where) for seed in several]
    return planned


def _plan_peer(e: Experiment, name: str, options: Mapping[str, Any], seeds: int, period: int) -> list[Trial]:
    """Trials of a peer: it sees all rows before an origin, so that its lookback only says which windows are scored."""
    peer = create_peer(name, assignment(e.test.horizon, period, 0, e), options)
    common = (e.panel.fingerprint, e.split, e.test.lookback, e.test.horizon, name)
    config = {RELEASE: release_of(name), **options}
    return [Trial(*common, config, period, e.test.step, seed) for seed in range(seeds if peer.trained else 1)]


def run_backtest(
    panel: Panel,
    models: Sequence[str] | None,
    protocol: Protocol,
    means: Means,
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    seeds: int = 1,
    refit: int | None = None,
) -> dict[str, Any]:
    """Score models on all test windows and compare every pair; returns the report as a plain dict.

    Without models, those that `auto` chooses from. Without a lookback every model has its own
    (`selection.own_lookbacks`); validation and test windows are the same. With `refit` closed forms
    are refitted after so many rows of the test part, on all rows before (`forecheck.trials.rolling`).

    Names `library:model`, and `combination`, are peers (`forecheck.peers`): they forecast from all rows before an
    origin, on the same windows.

    With more than one seed the pairwise verdicts are about the models, else about these fits.

    Args:
        panel: the data.
        models: names of forecasters or peers; None for those that `auto` chooses from.
        protocol: windows, split and margin; without a lookback every model has its own.
        means: store, engine, and the watcher of progress.
        options: by model, options that differ from the defaults.
        seeds: fits of every model that is trained by gradient descent.
        refit: rows of the test part between two refits of closed forms; None for none.

    Raises:
        DataError, UsageError: see `prepare` and `plan`.
    """
    if refit is not None and refit < 1:
        raise UsageError(f"refits are a positive number of rows apart, got {refit}")
    started = time.perf_counter()
    period, margin, store = protocol.season(panel), protocol.margin, means.store
    asked = CANDIDATES if models is None else models
    check_backtested(panel, asked)
    windowed = [name for name in asked if not is_peer(name)]
    own = own_lookbacks(panel, protocol.horizon, windowed, protocol.lookback, protocol.split)
    if models is None:
        models = usable(CANDIDATES, period, own["seasonal"])
        own = {name: own[name] for name in models}
    experiment = protocol.cut(panel, max(own.values(), default=protocol.lookback or 1))
    planned = plan(experiment, models, options or {}, seeds, period, own, refit or 0, means.device)
    trials = [trial for group in planned.values() for trial in group]
    known = sum(trial in store for trial in trials)
    store.put_panel(panel)
    means(trials)
    results = {name: [store.need(trial) for trial in group] for name, group in planned.items()}
    losses = {name: _losses(experiment, group) for name, group in results.items()}
    compared = partial(_compare, losses, overlap=experiment.test.overlap, margin=margin)
    rows = [_row(name, group) for name, group in results.items()]
    winner = simplest_unbeaten({row["model"]: row["validation_mse"] for row in rows}, margin)
    described = describe_protocol(experiment, [len(trials), known], time.perf_counter() - started)
    described["notes"] += _peer_notes(results, experiment)
    if panel.covariates is not None:
        described["beside"] = panel.covariates.asked
    if period != panel.frequency.period:
        described["period"] = period
    return header("backtest") | {
        "protocol": _with_lookbacks(described, own)
        | {"refit": refit, "margin": margin, "level": 0.95, "seeds": list(range(seeds))}
        | {"chosen": {name: dict(each) for name, each in (options or {}).items() if each}},
        "table": _leaderboard(rows, winner, compared),
        "pairs": _pairs(list(itertools.combinations(results, 2)), compared),
        "examples": [] if refit else _examples(rows, winner, results, own, protocol, experiment),
        "horizon": {"curves": [_curve(name, group) for name, group in results.items()]},
        "winner": {
            "model": winner,
            "rule": f"the simplest model whose validation loss is within {100 * margin:g} % of the best",
        },
        "environment": environment(next(iter(results.values()))[0]),
    }


def _examples(
    rows: list[dict[str, Any]],
    winner: str,
    results: Mapping[str, list[Result]],
    own: Mapping[str, int],
    protocol: Protocol,
    experiment: Experiment,
) -> list[dict[str, Any]]:
    """Forecasts of a few test windows by the chosen model and the best of the others."""
    ranked = sorted(rows, key=lambda row: (row["model"] != winner, row["mse"]))
    names = [row["model"] for row in ranked if (results[row["model"]][0].folder / "model").is_dir()][:_DRAWN]
    if not names:
        return []
    cut = {own[name]: protocol.cut(experiment.panel, own[name]) for name in names}
    return shown_windows({name: cut[own[name]] for name in names}, {name: results[name][0] for name in names})


def _peer_notes(results: Mapping[str, list[Result]], experiment: Experiment) -> list[str]:
    """What a reader must know of peers: what they see, and which series they could not forecast."""
    peers = [name for name in results if is_peer(name)]
    if not peers:
        return []
    whole = [name for name in peers if name in OURS]
    fitted = [name for name in peers if name not in OURS]
    notes = [f"{', '.join(whole)}: made anew at every origin, from all rows before it"] * bool(whole)
    if fitted:
        notes.append(f"{', '.join(fitted)}: fitted on the training rows, forecasts from all rows before every origin")
    notes = [*_known_notes(results, experiment), *notes]
    channels = int(experiment.scaler.known.sum()) * len(experiment.panel.channels)
    failures = [failed(name, results[name][0].summary["failures"], channels) for name in peers]
    return [note for note in failures if note] + notes  # what went wrong comes first: terminals clip the rest


def _known_notes(results: Mapping[str, list[Result]], experiment: Experiment) -> list[str]:
    """Who uses known columns, and how often it did."""
    if experiment.panel.covariates is None:
        return []
    summary, said = results[COMBINATION][0].summary, []
    for part, kind in (("known", "known columns have their true values"), ("past", "past columns end at the origin")):
        if part in summary:
            used, places = summary[part]
            said.append(f"{kind}; {COMBINATION} used them at {used} of {places} origins")
    others = [name for name in results if name != COMBINATION]
    return [*said, *[f"{', '.join(others)} see the channels alone"] * bool(others)]


def _with_lookbacks(protocol: dict[str, Any], lookbacks: Mapping[str, int]) -> dict[str, Any]:
    """The protocol with the models' lookbacks where they differ; then they have different training windows too."""
    if not lookbacks:
        return protocol | {"lookback": None}
    if len(set(lookbacks.values())) == 1:
        return protocol
    borders = [border | ({"windows": None} if border["part"] == "train" else {}) for border in protocol["borders"]]
    return protocol | {"lookback": None, "lookbacks": dict(lookbacks), "borders": borders}


def _leaderboard(rows: list[dict[str, Any]], chosen: str, compared: Compare) -> list[dict[str, Any]]:
    """The rows with their rank by test MSE, and each against the model that validation chose; Holm over the models.

    The best on the test part would be no reference: it is picked by the very losses that are tested.
    """
    ranked = [row["model"] for row in sorted(rows, key=lambda row: row["mse"])]
    others = [name for name in ranked if name != chosen]
    found = dict(zip(others, compared([(chosen, name) for name in others]), strict=True))
    return [
        row
        | {
            "rank": ranked.index(row["model"]) + 1,
            "chosen": row["model"] == chosen,
            "against_chosen": _comparison(found[row["model"]]) if row["model"] in found else None,
        }
        for row in rows
    ]


def _row(name: str, results: list[Result]) -> dict[str, Any]:
    keys = ("mse", "mae", "mse_real", "mae_real", "validation_mse")
    means = {key: float(np.mean([result.summary[key] for result in results])) for key in keys}
    return (
        {"model": name}
        | means
        | {
            "seconds": float(np.mean([result.summary["fit"]["seconds"] for result in results])),
            "parameters": results[0].summary["fit"]["parameters"],
            "lookback": None if is_peer(name) else results[0].trial.lookback,
            "refits": results[0].summary.get("refits"),
            "seeds": len(results),
            "options": results[0].trial.config,
        }
    )


def _curve(name: str, results: list[Result]) -> dict[str, Any]:
    curve = np.mean([result.arrays["horizon_mse"] for result in results], axis=0)
    mse = [round(float(value), 6) if np.isfinite(value) else None for value in curve]  # a step may never be observed
    return {"label": name, "family": "model", "mse": mse}


def _losses(experiment: Experiment, results: list[Result]) -> Float[np.ndarray, "seed time"]:
    times = experiment.panel.time[experiment.test.origins]
    return np.stack([loss_by_time(result.arrays["mse"], times) for result in results])


def _pairs(pairs: list[tuple[str, str]], compared: Compare) -> list[dict[str, Any]]:
    """Comparisons of pairs (reference, model); Holm over all of them."""
    return [
        {"model": model, "reference": reference} | _comparison(c)
        for (reference, model), c in zip(pairs, compared(pairs), strict=True)
    ]


def _comparison(c: Comparison) -> dict[str, Any]:
    return {
        "outcome": AS_FORECASTER[c.outcome],
        "effect": c.effect,
        "interval": list(c.interval),
        "smallest_margin": c.smallest_margin,
        "p_values": {"greater": c.p_greater, "less": c.p_less, "equivalent": c.p_equivalent},
        "why": c.reason,
    }


def _compare(
    losses: Mapping[str, Float[np.ndarray, "_ time"]], pairs: list[tuple[str, str]], overlap: int, margin: float
) -> list[Comparison]:
    """One family of comparisons of a reference and a model each."""
    if not pairs:
        return []
    # Every pair has its own reference loss: differences are scaled before they are compared.
    differences = []
    for reference, model in pairs:
        a, b = losses[model], losses[reference]
        shape = (max(len(a), len(b)), a.shape[1])
        difference = np.broadcast_to(a, shape) - np.broadcast_to(b, shape)
        differences.append(difference / max(b.mean(), _ROUNDING))
    return compare(differences, 1.0, overlap, margin=margin, over_seeds="if several")
