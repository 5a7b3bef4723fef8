"""The negative control: raw against raw. Fits that differ by their seeds alone stand in for the replaced arm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from forecheck.auditing.budget import Budget, find_budget
from forecheck.auditing.evidence import Arm, Evidence
from forecheck.auditing.setting import Setting
from forecheck.auditing.verdict import verdict
from forecheck.calibration.context import Context
from forecheck.calibration.result import Check, Part, Table, percent
from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.windows import Experiment, Windows, prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.trials.score import score
from forecheck.trials.store import Result
from forecheck.trials.trial import Trial

LOOKBACK, HORIZON, PERIOD = 48, 12, 24
TRAIN, VALIDATION, TEST, FRESH = 1440, 240, 720, 9600
TINY: dict[str, Any] = {
    "patch": 8,
    "stride": 8,
    "width": 8,
    "heads": 2,
    "hidden": 16,
    "layers": 1,
    "dropout": 0.1,
    "epochs": 4,
    "batch": 64,
    "lr": 3e-3,
    "schedule": "onecycle",
}
WIDE = 0.05
"""A second margin, which three seeds of so small a model can decide."""
OUTCOMES = ("helps", "hurts", "no difference", "undecided")
_ALLOWED = 0.05
_REAL = "ETTh1"


def season_panel(seed: int) -> Panel:
    """A season with a random phase and AR(0.7) noise: training, validation and test part, and fresh rows after them."""
    from scipy.signal import lfilter

    rng = np.random.default_rng((7, seed))
    rows = TRAIN + VALIDATION + TEST + FRESH
    season = np.sin(2 * np.pi * (np.arange(rows) / PERIOD + rng.random()))
    noise = lfilter([1.0], [1.0, -0.7], rng.standard_normal(rows + 100))[100:]
    values = (season + 0.5 * noise)[:, None]
    split = f"{TRAIN}+{VALIDATION}+{TEST}"
    time = np.arange(rows, dtype=np.int64)
    return Panel(values, np.array([0, rows]), time, ("0",), ("y",), Frequency("step"), f"season {seed}", split)


def fits(experiment: Experiment, options: dict[str, Any], seeds: Sequence[int], period: int = PERIOD) -> list[Trial]:
    """PatchTST with `options` on an experiment, a trial a seed.

    Args:
        experiment: the panel, cut into windows.
        options: of PatchTST, that differ from the defaults.
        seeds: of the trials.
        period: steps a season.
    """
    test = experiment.test
    task = Task(test.lookback, test.horizon, test.channels, period)
    config = asdict(registry.create("patchtst", task, options).config)
    data, split = experiment.panel.fingerprint, experiment.split
    return [
        Trial(data, split, test.lookback, test.horizon, "patchtst", config, period, test.step, seed) for seed in seeds
    ]


def season_experiment(seed: int) -> Experiment:
    """One repetition's data."""
    return prepare(season_panel(seed), LOOKBACK, HORIZON)


def compare_fits(
    experiment: Experiment, raw: Sequence[Result], other: Sequence[Result], margin: float = 0.01
) -> dict[str, Any]:
    """The audit's verdict on two sets of fits: by question its outcome, effect and interval.

    Args:
        experiment: the panel, cut into windows.
        raw: results of the fits that count as the raw model.
        other: results of the others, seed by seed.
        margin: relative difference of test MSE below which two forecasters count as equal.
    """
    arms = (
        Arm("patchtst", "raw", tuple(raw)),
        Arm("other fits", "retrained", tuple(other)),
        Arm("other fits", "post-hoc", tuple(other)),
    )
    test, config = experiment.test, raw[0].trial.config
    task = Task(test.lookback, test.horizon, test.channels, raw[0].trial.period)
    setting = Setting("patchtst", task, Budget("calibration", (len(raw),), slow=False, training={}), config)
    found = verdict(Evidence(experiment, arms, setting, margin))
    keys = ("outcome", "effect", "interval", "margin")
    return {question: {key: found[question][key] for key in keys} for question in ("architecture", "checkpoint")}


def _true_effect(experiment: Experiment, raw: Sequence[Result], other: Sequence[Result]) -> float:
    """The relative difference of these very fits on fresh windows after the test part, none of which overlap."""
    rows = experiment.test.values
    origins = np.arange(TRAIN + VALIDATION + TEST + LOOKBACK, len(rows) - HORIZON + 1, HORIZON)
    windows = Windows(rows, LOOKBACK, HORIZON, origins, HORIZON)
    losses = [
        np.mean([score(registry.load(result.folder / "model"), windows).mse.mean() for result in results])
        for results in (raw, other)
    ]
    return float(losses[1] / losses[0] - 1)


def run_negative(context: Context) -> Part:
    """Fresh panels, two times three seeds each: how often is a difference found that is not there?"""
    experiments = [season_experiment(index) for index in range(context.scale.negative)]
    # No two repetitions share a seed: the same initial weights would make all of them err to the same side.
    planned = [fits(one, TINY, range(6 * index, 6 * index + 6)) for index, one in enumerate(experiments)]
    for experiment in experiments:
        context.means.store.put_panel(experiment.panel)
    context.means([trial for trials in planned for trial in trials])
    found = []
    for index, (experiment, trials) in enumerate(zip(experiments, planned, strict=True)):
        context.report("negative", index, len(planned))
        results = [context.means.store.need(trial) for trial in trials]
        key = {"part": "negative", "wide": WIDE, "trials": [trial.address for trial in trials]}
        found.append(context.once(key, partial(_repetition, experiment, results)))
    context.report("negative", len(planned), len(planned))
    return describe(found)


def _repetition(experiment: Experiment, results: list[Result]) -> dict[str, Any]:
    raw, other = results[:3], results[3:]
    wide = compare_fits(experiment, raw, other, WIDE)["architecture"]
    return compare_fits(experiment, raw, other) | {"wide": wide, "truth": _true_effect(experiment, raw, other)}


def describe(found: list[dict[str, Any]]) -> Part:
    """Checks and tables of the repetitions."""
    count = len(found)
    said = Counter(one["architecture"]["outcome"] for one in found)
    wide = Counter(one["wide"]["outcome"] for one in found)
    wrong = sum(_beyond_truth(one["checkpoint"], one["truth"]) for one in found)
    covered = sum(one["architecture"]["interval"][0] <= 0 <= one["architecture"]["interval"][1] for one in found)
    checks = [
        Check.share("helps or hurts, asked of the architecture", said["helps"] + said["hurts"], count, _ALLOWED),
        Check.share(f"likewise, at a margin of {100 * WIDE:g} %", wide["helps"] + wide["hurts"], count, _ALLOWED),
        Check.share("helps or hurts beyond the truth, asked of these fits", wrong, count, _ALLOWED),
        Check.share("the 95 % interval of the architecture holds zero", covered, count, 0.925, above=True),
    ]
    rows = []
    questions = {
        "architecture": "architecture",
        "wide": f"architecture, margin {100 * WIDE:g} %",
        "checkpoint": "these fits",
    }
    for question, name in questions.items():
        words = Counter(one[question]["outcome"] for one in found)
        effects = np.array([one[question]["effect"] for one in found])
        rows.append([name, *(percent(words[word] / count) for word in OUTCOMES), f"{100 * effects.std():.2f} %"])
    table = Table("What the verdict says", ("question", *OUTCOMES, "spread of effects"), rows, _NOTE)
    return Part("negative", "Negative control: raw against raw", _ABOUT, checks, [table])


def _beyond_truth(said: dict[str, Any], truth: float) -> bool:
    """Whether a verdict says beyond the margin where fresh data do not."""
    if said["outcome"] == "helps":
        return truth <= said["margin"]
    return said["outcome"] == "hurts" and truth >= -said["margin"]


_ABOUT = (
    "Every repetition makes a fresh panel (a season with a random phase and AR(0.7) noise; "
    f"{TRAIN}+{VALIDATION}+{TEST} rows, {LOOKBACK} to {HORIZON}), trains a small PatchTST with six seeds and hands the "
    "second three to the verdict as if they were a retrained arm. Of the architecture nothing but zero is true. Two "
    "sets of checkpoints do differ, a little; what the verdict says of them is false if it lies beyond the margin "
    "and the same fits do not differ by so much on 800 fresh windows."
)
_NOTE = (
    "The spread is the standard deviation of the effects over the repetitions; the margin is 1 % where none is named."
)


def run_real(context: Context) -> Part:
    """Seeds on ETTh1: many ways of setting three fits against three others."""
    from forecheck.data.catalog import dataset
    from forecheck.data.load import load

    title = f"Negative control on real data: {_REAL}"
    known = dataset(_REAL)
    if context.scale.real_seeds < 6 or known is None or not known.here:
        why = f"{_REAL} is not on this machine (set FORECHECK_DATA, or load it once with forecheck)."
        return Part("real", title, _REAL_ABOUT, skipped=why)
    panel = load(_REAL)
    experiment = prepare(panel, 336, 96)
    task = Task(336, 96, experiment.test.channels, panel.frequency.period)
    options = find_budget("quick").options(registry.find("patchtst"), task, experiment.train, {})
    trials = fits(experiment, options, range(context.scale.real_seeds), panel.frequency.period)
    context.means.store.put_panel(panel)
    context.means(trials)
    results = [context.means.store.need(trial) for trial in trials]
    said: Counter[str] = Counter()
    chosen = splits(len(results), context.scale.splits)
    for done, (raw, other) in enumerate(chosen):
        context.report("real", done, len(chosen))
        found = compare_fits(experiment, [results[i] for i in raw], [results[i] for i in other])
        said[found["architecture"]["outcome"]] += 1
    context.report("real", len(chosen), len(chosen))
    return describe_real(said, [float(result.summary["mse"]) for result in results])


def splits(seeds: int, count: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Ways of choosing two disjoint threes, each pair once; all of them, or `count` drawn at random."""
    pairs = [
        (raw, other)
        for raw in combinations(range(seeds), 3)
        for other in combinations(range(seeds), 3)
        if raw < other and not set(raw) & set(other)
    ]
    order = np.random.default_rng(0).permutation(len(pairs))[:count]
    return [pairs[i] for i in order]


def describe_real(said: Counter[str], losses: list[float]) -> Part:
    """One check, and the spread between the fits."""
    count = sum(said.values())
    checks = [Check.share("helps or hurts", said["helps"] + said["hurts"], count, _ALLOWED)]
    mean, spread = float(np.mean(losses)), float(np.std(losses, ddof=1))
    row = [
        str(len(losses)),
        f"{mean:.4f}",
        f"{100 * spread / mean:.2f} %",
        *(percent(said[w] / count) for w in OUTCOMES),
    ]
    table = Table("What the verdict says", ("fits", "test MSE", "spread between fits", *OUTCOMES), [row])
    return Part("real", f"Negative control on real data: {_REAL}", _REAL_ABOUT, checks, [table])


_REAL_ABOUT = (
    "PatchTST at the quick budget on ETTh1, 336 to 96, with several seeds; disjoint threes of the fits are set against "
    "each other. The splits share fits and all share one test part, so they are not independent: the interval, "
    "which takes them for that, is too narrow, and the rate describes these fits."
)
