"""Evidence made by hand for the checks that look at measures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from settings import setting

from forecheck.auditing.evidence import Arm, Evidence
from forecheck.data.windows import prepare
from forecheck.trials.store import Result
from forecheck.trials.trial import Trial
from panels import hourly


def experiment(panel=None, **kw):
    return prepare(panel or hourly(), 24, 6, **kw)


def trial(e, label="patchtst", seed=0):
    return Trial(e.panel.fingerprint, e.split, e.test.lookback, e.test.horizon, label, seed=seed)


def arm(e, label="patchtst", family="raw", level=1.0, seeds=2, spread=0.01, validation=1.0):
    """An arm whose losses are a level and a little noise, its own."""
    rng = np.random.default_rng(sum(map(ord, family + label)))
    results = []
    for seed in range(seeds):
        losses = level + spread * rng.standard_normal((len(e.test), e.test.channels))
        summary = {"mse": float(losses.mean()), "validation_mse": validation}
        results.append(Result(trial(e, label, seed), summary, {"mse": losses}, Path()))
    return Arm(label, family, tuple(results))


def measured(e, *summaries, arrays=None, label="patchtst"):
    """Results of a measure, one a seed."""
    return tuple(Result(trial(e, label, i), each, arrays or {}, Path()) for i, each in enumerate(summaries))


def evidence(e, arms=(), measures=None, **known):
    """Evidence with a raw arm of loss 1."""
    arms = tuple(arms)
    if not any(each.family == "raw" for each in arms):
        arms = (arm(e), *arms)
    return Evidence(e, arms, setting(e, **known), measures=measures or {})


def with_summary(results, **changes):
    """The same results with other entries at the top of their summaries."""
    return tuple(replace(result, summary=result.summary | changes) for result in results)
