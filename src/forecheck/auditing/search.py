"""The same small search for every arm: ways of training, and training that is doubled until that gains nothing."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from forecheck.auditing.budget import Budget, Candidate, Clock, work_of
from forecheck.auditing.ended import End
from forecheck.auditing.evidence import Searched, Tried
from forecheck.auditing.plan import Plan, PlannedArm
from forecheck.errors import TrialError
from forecheck.trials.means import Means
from forecheck.trials.store import Result
from forecheck.trials.trial import Trial


def search(
    planned: Plan,
    budget: Budget,
    means: Means,
    clock: Clock,
    *,
    chosen: Mapping[str, Any],
    margin: float,
    bar: float = math.inf,
    folds: int = 1,
) -> Searched:
    """Find for every arm the way of training that validation prefers, and how long all of them are trained.

    All arms are trained equally long: twice as long as before until, for every arm, a fit of twice the length is better
    by less than the margin or could gain nothing for the answer; or until the time does not allow to go on with the
    seeds of the first round. An option that the user chose is not searched; convergence is measured all the same.

    Args:
        planned: its raw and retrained arms are searched, with the first seed.
        budget: candidates, and doublings at most; without any nothing is searched.
        means: engine and store.
        clock: says what can be afforded.
        chosen: the user's options of the forecaster.
        margin: relative gain of validation loss that counts.
        bar: validation loss of the best simple reference.
        folds: parts of the data on which the arms will be trained.
    """
    arms = {("raw" if arm.family == "raw" else arm.label): arm for arm in planned.of("raw", "retrained")}
    if planned.setting.external or budget.doublings == 0:
        return Searched(tolerance=margin)
    ways = list({str(way.options(planned.setting.config, chosen)): way for way in budget.candidates}.values())
    state = _State(arms, chosen, means)
    longest = 1 if "epochs" in chosen else 2**budget.doublings
    factor, best = 1, state.best(ways, 1)
    while True:
        state.fit([(name, best[name], 2 * factor) for name in arms])
        gains = {name: state.gain(name, best[name], factor) for name in arms}
        # At the length that will be used: a lead that only the longer fit has is a reason to go on.
        known = {name: state.loss(name, best[name], factor) for name in arms}
        late = [name for name, gain in gains.items() if gain >= margin and _matters(name, known, bar, margin)]
        if not late:
            ended = End("decided" if any(gain >= margin for gain in gains.values()) else "converged")
            break
        if 2 * factor > longest:
            ended = End("epochs" if "epochs" in chosen else "doublings")
            break
        once = state.work([(name, best[name], 2 * factor) for name in arms])
        # Of twice the length: the other ways, the check at twice that, and the other seeds of the first round.
        work = once * (len(ways) - 1 + 2 + (budget.seeds * folds - 1))
        if not clock.affords(work):
            ended = End("time", clock.needs(work))
            break
        factor *= 2
        best = state.best(ways, factor)
    tuned = {name: state.options(name, best[name], factor) for name in arms}
    return Searched(tuned, tuple(state.tried(tuned)), gains, margin, ended)


_Fit = tuple[str, Candidate, int]
"""Arm, way of training, and how often the first length."""


def _matters(name: str, losses: Mapping[str, float], bar: float, margin: float) -> bool:
    """Whether more training of an arm could change the answer, by validation losses.

    The model leads the reference and the arms without attention, so that training it longer only adds to its lead; or
    an arm is ahead of the model already. The verdict asks again, by the test part.
    """
    if name == "raw":
        rivals = [bar, *(loss for arm, loss in losses.items() if arm != "raw")]
        return losses["raw"] > (1 - _LEAD * margin) * min(rivals)
    return losses[name] > losses["raw"]


_LEAD = 3
"""A lead on validation of so many margins is taken for one."""


class _State:
    """Fits by arm, way and length."""

    def __init__(self, arms: Mapping[str, PlannedArm], chosen: Mapping[str, Any], means: Means) -> None:
        self._arms = arms
        self._chosen = chosen
        self._means = means
        self._results: dict[_Fit, Result | None] = {}

    def options(self, name: str, way: Candidate, factor: int) -> dict[str, Any]:
        """Training options of an arm."""
        config = self._arms[name].trial.config
        longer = {name: config[name] * factor for name in ("epochs", "average")}
        return way.options(config, self._chosen) | longer

    def fit(self, fits: list[_Fit]) -> None:
        """Have these fits run."""
        trials = {each: self._trial(*each) for each in fits}
        try:
            self._means(trials.values())
        except TrialError:  # a way of training that diverges is no reason to end
            for each, trial in trials.items():
                with contextlib.suppress(TrialError):
                    self._means([trial])
                self._results[each] = self._means.store.get(trial)
            if any(self._failed(name) for name, *_ in fits):
                raise
        self._results |= {each: self._means.store.get(trial) for each, trial in trials.items()}

    def _failed(self, name: str) -> bool:
        """Whether no way of training an arm has worked."""
        return all(result is None for (arm, *_), result in self._results.items() if arm == name)

    def _trial(self, name: str, way: Candidate, factor: int) -> Trial:
        """The first seed's fit."""
        trial = self._arms[name].trial
        return replace(trial, config=trial.config | self.options(name, way, factor))

    def loss(self, name: str, way: Candidate, factor: int) -> float:
        """Validation loss of a fit, infinite if it failed; 1 for an arm that cannot be run on this model."""
        result = self._results[name, way, factor]
        return math.inf if result is None else float(result.summary.get("validation_mse", 1.0))

    def gain(self, name: str, way: Candidate, factor: int) -> float:
        """By how much of its validation loss a fit twice as long is better."""
        return 1 - self.loss(name, way, 2 * factor) / self.loss(name, way, factor)

    def work(self, fits: list[_Fit]) -> float:
        """Seconds that these fits took."""
        return work_of(result for each in fits if (result := self._results[each]) is not None)

    def best(self, ways: list[Candidate], factor: int) -> dict[str, Candidate]:
        """The way with the lowest validation loss at this length, by arm."""
        self.fit([(name, way, factor) for name in self._arms for way in ways])
        return {name: min(ways, key=lambda way: self.loss(name, way, factor)) for name in self._arms}

    def tried(self, tuned: Mapping[str, Mapping[str, Any]]) -> list[Tried]:
        """Every fit."""
        return [
            Tried(
                name,
                self.options(name, way, factor),
                self.loss(name, way, factor),
                chosen=self.options(name, way, factor) == tuned[name],
            )
            for (name, way, factor), result in self._results.items()
            if result is not None
        ]
