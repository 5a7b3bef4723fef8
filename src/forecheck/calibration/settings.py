"""False verdicts in every setting of an audit: horizons, steps, panels, filled data and folds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.signal import lfilter

from forecheck.auditing.budget import Budget
from forecheck.auditing.evidence import Arm, Evidence
from forecheck.auditing.setting import Setting
from forecheck.auditing.verdict import answer
from forecheck.calibration.context import Context
from forecheck.calibration.result import Check, Part, Table, percent
from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.splits import fold_splits
from forecheck.data.windows import Experiment, prepare
from forecheck.forecasters.base import Task
from forecheck.nn.seeding import derive
from forecheck.trials.store import Result
from forecheck.trials.trial import Trial

HORIZONS = (1, 4, 24, 96)
ROWS, SERIES, FOLDS = 6000, 8, 3
_MEMORY, _SHIFT, _MISSING = 0.7, 1, 0.3
_HOUR = 3_600_000_000
LEVEL, BOUND = 0.05, 0.08
"""Nominal, and what the upper end of the simulation's 95 % interval has to keep."""


@dataclass(frozen=True)
class Case:
    """One setting.

    Attributes:
        horizon: H.
        shape: `one series`, `panel` (equal starts) or `ragged` (series start an hour apart).
        whole_steps: an origin every H rows of the calendar; else every row is one.
        filled: a third of the values is missing, and filled linearly.
        folds: test parts.
    """

    horizon: int
    shape: str = "one series"
    whole_steps: bool = False
    filled: bool = False
    folds: int = 1

    @property
    def step(self) -> int:
        """Rows between two origins."""
        return self.horizon if self.whole_steps else 1

    @property
    def name(self) -> str:
        """The setting in words, as reports name it."""
        words = [f"H {self.horizon}", f"step {self.step}", self.shape]
        return ", ".join(words + ["filled"] * self.filled + [f"{self.folds} folds"] * (self.folds > 1))


CASES = (
    *(Case(h, shape) for h in HORIZONS for shape in ("one series", "panel", "ragged")),
    *(Case(h, shape, whole_steps=True) for h in HORIZONS[1:] for shape in ("one series", "panel", "ragged")),
    *(Case(h, shape, filled=True) for h in HORIZONS for shape in ("one series", "ragged")),
    *(Case(h, shape, folds=FOLDS) for h in HORIZONS for shape in ("one series", "ragged")),
)


def _wander(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Float[np.ndarray, "*shape"]:
    """AR(1) along the first axis, with unit variance and a run-in."""
    noise = rng.standard_normal((shape[0] + 100, *shape[1:]))
    return lfilter([np.sqrt(1 - memory**2)], [1.0, -memory], noise, axis=0)[100:]


def panel_of(case: Case, rng: np.random.Generator) -> Panel:
    """AR(1) series; those of a panel share half of their variance at every time."""
    series = 1 if case.shape == "one series" else SERIES
    late = _SHIFT if case.shape == "ragged" else 0
    # H = 96 needs rows enough for eight stretches of the test part.
    rows = max(ROWS, 60 * case.horizon) if case.horizon > 24 else ROWS // 2
    shared = _wander(rng, (rows + late * series,), _MEMORY)
    parts = [shared[k * late : k * late + rows] + _wander(rng, (rows,), _MEMORY) for k in range(series)]
    times = [np.datetime64("2020-01-01", "us") + _HOUR * (np.arange(rows) + k * late) for k in range(series)]
    if not case.filled:
        values, filled = np.concatenate(parts), None
    else:
        seen = [rng.random(rows) >= _MISSING for _ in parts]
        for each in seen:
            each[[0, -1]] = True
        index = np.arange(rows)
        values = np.concatenate([np.interp(index, index[s], p[s]) for p, s in zip(parts, seen, strict=True)])
        filled = ~np.concatenate(seen)[:, None]
    return Panel(
        values[:, None],
        np.arange(series + 1) * rows,
        np.concatenate(times),
        tuple(f"s{k}" for k in range(series)),
        ("y",),
        Frequency("us", _HOUR),
        "simulated",
        filled=filled,
        fill="" if filled is None else "linear",
    )


def _losses(
    experiment: Experiment, rng: np.random.Generator, lean: float = 0.3
) -> tuple[Float[np.ndarray, "window channel"], Float[np.ndarray, "window channel"]]:
    r"""Losses of two forecasters that are equally good: the last value plus and minus something unrelated.

    .. math:: \hat y = x_o \pm c\, w_o, \qquad \ell_- - \ell_+ = 4 c\, w_o \bar e_o, \qquad E[w_o \bar e_o] = 0

    with w an AR(1) of its own that all series share and e the errors of the last value, so the differences are as
    dependent as real ones: over windows that overlap, and beyond.
    """
    test = experiment.test
    times, index = np.unique(experiment.panel.time[test.origins], return_inverse=True)
    lean_at = lean * _wander(rng, (len(times),), _MEMORY)[index][:, None, None]
    pair = []
    for sign in (1, -1):
        found = []
        for part, x, y in test.batches(4096):
            error = y.numpy() - x.numpy()[:, -1:] - sign * lean_at[part]
            found.append(np.nanmean(np.square(error), axis=1))
        pair.append(np.concatenate(found))
    return pair[0], pair[1]


def said(case: Case, seed: int) -> str:
    """What the audit says of two equally good forecasters, with no margin to hide behind."""
    rng = np.random.default_rng(derive(0, f"setting {case.name} {seed}"))
    panel = panel_of(case, rng)
    whole = prepare(panel, 8, case.horizon, step=case.step)
    splits = fold_splits(panel, whole.split, case.folds, 8, case.horizon) if case.folds > 1 else [whole.split]
    experiments = [prepare(panel, 8, case.horizon, split, case.step) for split in splits]
    pairs = [_losses(experiment, rng) for experiment in experiments]
    arms = []
    for number, family in enumerate(("raw", "post-hoc")):
        results = [
            (Result(Trial(panel.fingerprint, e.split, 8, case.horizon, "made"), {}, {"mse": pair[number]}, Path()),)
            for e, pair in zip(experiments, pairs, strict=True)
        ]
        arms.append(Arm("made", family, results[-1], tuple(results[:-1])))  # type: ignore[arg-type]
    setting = Setting("made", Task(8, case.horizon, 1), Budget("calibration", (1,), slow=False, training={}), {})
    evidence = Evidence(experiments[-1], tuple(arms), setting, 1e-9, earlier=tuple(experiments[:-1]))
    found = answer(evidence, "checkpoint")
    assert found is not None
    return found.outcome


def outcomes(case: Case, repeats: int) -> dict[str, int]:
    """How often it says what."""
    return dict(Counter(said(case, seed) for seed in range(repeats)))


def run_settings(context: Context) -> Part:
    """Every setting, so many repetitions each."""
    repeats, checks, rows = context.scale.settings, [], []
    for done, case in enumerate(CASES):
        context.report("settings", done, len(CASES))
        key: dict[str, Any] = {"part": "settings", "case": case.name, "repeats": repeats}
        found = context.once(key, partial(outcomes, case, repeats))
        false = found.get("helps", 0) + found.get("hurts", 0)
        # Fewer repetitions cannot bring the whole interval below the bound.
        checks.append(Check.share(case.name, false, repeats, BOUND, required=repeats >= 500, whole=True))
        rows.append([case.name, *(percent(found.get(word, 0) / repeats) for word in ("helps", "hurts", "undecided"))])
    context.report("settings", len(CASES), len(CASES))
    table = Table("What the verdict says", ("setting", "helps", "hurts", "undecided"), rows)
    return Part("settings", "False verdicts in every setting", _ABOUT, checks, [table])


_ABOUT = (
    f"AR({_MEMORY:g}) series, {SERIES} in a panel (starting an hour apart if ragged), cut, scored and judged by the "
    "audit's own code. Two forecasters that are equally good by construction (the last value plus and minus an "
    "unrelated AR process) are compared without a margin, so that every *helps* or *hurts* is false: nominal 5 %. "
    f"The upper end of the simulation's 95 % interval has to lie below {100 * BOUND:g} %. Filled: "
    f"{100 * _MISSING:g} % of the values are missing and filled linearly."
)
