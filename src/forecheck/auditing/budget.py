"""Budgets: how long to train, what to search, after how many seeds to look, and what the time still allows."""

from __future__ import annotations

import math
import re
import time as clock
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from forecheck.data.windows import Windows
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster, Task
from forecheck.forecasters.work import USUAL_WORK, work_a_window
from forecheck.statistics.sequential import spend
from forecheck.trials.store import Result


@dataclass(frozen=True)
class Candidate:
    """One way of training that the search tries.

    Attributes:
        rate: learning rate, relative to the recipe's.
        dropout: whether the forecaster's own dropout stays; without it tasks are learnt that need exact look-ups.
    """

    rate: float = 1.0
    dropout: bool = True

    def options(self, config: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The options that it decides, all of them; what the user chose stays as it is.

        Args:
            config: of the forecaster, before any search.
            chosen: the user's options.
        """
        rates = {name: value for name, value in config.items() if name == "dropout" or name.endswith("_dropout")}
        decided = {"lr": config["lr"] * self.rate} | (rates if self.dropout else dict.fromkeys(rates, 0.0))
        return {name: value for name, value in decided.items() if name not in chosen}


@dataclass(frozen=True)
class Budget:
    """What an audit may spend.

    Attributes:
        name: on the command line.
        looks: numbers of seeds after which it is asked whether the verdict is decided, declared beforehand.
        slow: whether slow checks are run unasked.
        training: recipe fields that differ from the forecaster's own defaults.
        windows: training windows that a first fit may see of a model as large as PatchTST on ETT (`USUAL_WORK`), and
            as many more as a window is less work. None for the recipe's own epochs.
        candidates: ways of training that every arm tries.
        doublings: how often training may be made twice as long until that gains nothing any more; with 0 nothing is
            searched and convergence is not measured.
        time: seconds after which nothing further is begun; the first round is always finished. None for no bound.
    """

    name: str
    looks: tuple[int, ...]
    slow: bool
    training: Mapping[str, Any]
    windows: int | None = None
    candidates: tuple[Candidate, ...] = (Candidate(),)
    doublings: int = 0
    time: float | None = None

    def __post_init__(self) -> None:
        spend(self.looks)  # which refuses what are no looks
        if self.time is not None and not self.time > 0:
            raise UsageError(f"the time of an audit must be positive, got {self.time:g} s")

    @property
    def seeds(self) -> int:
        """Fits an arm in the first round."""
        return self.looks[0]

    def options(
        self, forecaster: type[Forecaster], task: Task, train: Windows, chosen: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Training fields that the forecaster knows; what the user chose wins.

        Args:
            forecaster: its class.
            task: shapes, by which a window is more or less work.
            train: the training windows.
            chosen: the user's options.
        """
        known = {field.name for field in fields(forecaster.Config)}
        training = dict(self.training)
        if self.windows is not None and "train_stride" in known:
            work = work_a_window(registry.create(forecaster.name, task, chosen))
            # Neighbouring windows share all but a few steps: rather skip some than go through few epochs.
            stride = max(1, min(len(train) // _WINDOWS_AN_EPOCH, train.overlap // 4))
            epochs = round(self.windows * USUAL_WORK / work / (len(train) / stride))
            epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, epochs))
            # The mean weights of the last third, whatever validation says of single epochs: less spread between seeds,
            # and on ETTh1 a better forecast, with attention and without (benchmarks/results/averaging.md).
            last = int(chosen.get("epochs", epochs)) // 3
            training |= {"train_stride": stride, "epochs": epochs, "average": last, "keep": "mean"}
        return {key: value for key, value in training.items() if key in known} | dict(chosen)


_WINDOWS_AN_EPOCH = 2048
_FEWEST_EPOCHS, _MOST_EPOCHS = 5, 10
"""Of a first fit; doubling leads beyond."""
_QUICK = {"lr": 1e-3, "schedule": "onecycle", "batch": 32}
_CANDIDATES = (Candidate(), Candidate(3.0, dropout=False))
BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("quick", (3, 5, 8), False, _QUICK, 12_288, _CANDIDATES, 3, 600),
        Budget("standard", (3, 5, 8, 12, 20), True, {"epochs": 30, "patience": 10}, None, _CANDIDATES, 2, 6 * 3600),
        Budget("full", (5, 8, 12, 20), True, {"patience": 20}, None, _CANDIDATES, 1),
    )
}


def find_budget(name: str, time: str | float | None = None) -> Budget:
    """A budget by name, with a time of the user's if there is one.

    Raises:
        UsageError: if there is none, or the time cannot be read.
    """
    if name not in BUDGETS:
        raise UsageError(f"no budget is called {name!r}", f"Known: {', '.join(BUDGETS)}.")
    budget = BUDGETS[name]
    return budget if time is None else replace(budget, time=read_duration(time))


_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)")


def read_duration(text: str | float) -> float:
    """Seconds of `90s`, `10m` or `2h`; a number is seconds.

    Raises:
        UsageError: if it is no duration.
    """
    if isinstance(text, str):
        found = DURATION.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"cannot read the time {text!r}", "Write 90s, 10m or 2h.")
        return float(found[1]) * _UNITS[found[2]]
    return float(text)


_STEPS = ((10, 60, "s"), (60, 600, "m"), (300, 3600, "m"), (1800, 6 * 3600, "h"), (3600, math.inf, "h"))
"""How a duration is rounded, up to which one, and its unit."""


def typed(seconds: float) -> str:
    """A duration as a person types it, at least as long: `20s`, `7m`, `25m`, `1.5h`."""
    for step, below, unit in _STEPS:
        up = max(1, math.ceil(seconds / step)) * step
        if up < below:
            return f"{up / _UNITS[unit]:.10g}{unit}"
    raise AssertionError("no duration is endless")


_RESERVE = 0.9
"""Of the time that is left, what may be planned: estimates err."""


class Clock:
    """Seconds since the start, against a limit.

    Args:
        limit: seconds; None for no limit.
        parallel: fits that run at once.
    """

    def __init__(self, limit: float | None, parallel: int = 1) -> None:
        self.limit = limit
        self.parallel = max(1, parallel)
        self._started = clock.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return clock.perf_counter() - self._started

    def affords(self, work: float) -> bool:
        """Whether so many seconds of work, shared by the processes, can still be done."""
        return self.limit is None or self.needs(work) <= self.limit

    def needs(self, work: float) -> float:
        """The limit, in seconds, by which so many seconds of work could still be done."""
        return self.seconds + work / self.parallel / _RESERVE


def work_of(results: Iterable[Result]) -> float:
    """Seconds that the fits and their scoring took; results of older code that do not say it count as nothing."""
    total = 0.0
    for result in results:
        fit = result.summary.get("fit") or {}
        total += (fit.get("seconds") or 0.0) + 1.5 * (result.summary.get("scoring_seconds") or 0.0)
    return total
