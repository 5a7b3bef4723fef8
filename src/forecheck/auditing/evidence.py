"""Evidence: the finished trials of an audit, arranged by arm, and what its search found, for the checks to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.auditing.ended import End
from forecheck.auditing.setting import Family, Setting
from forecheck.data.windows import Experiment
from forecheck.statistics.inference import Comparison, compare
from forecheck.statistics.metrics import loss_by_time
from forecheck.trials.store import Result

NAIVE = ("last", "seasonal", "mean")
LINEAR = ("nlinear", "rlinear", "linear", "dlinear")
_TRAINED: tuple[Family, ...] = ("retrained", "patches", "reference")
"""Families whose arms are fits of their own, so that the spread between seeds enters."""
_LOOKED_AT: tuple[Family, ...] = ("retrained", "reference")
"""Families that are looked at again and again while seeds are added."""


@dataclass(frozen=True, eq=False)
class Arm:
    """One forecaster or intervention, with a result a seed.

    Attributes:
        label: forecaster name or replacement mode.
        family: its part in the audit.
        results: by seed, on the last fold, which is the standard split.
        earlier: by earlier fold and seed; empty without folds.
    """

    label: str
    family: Family
    results: tuple[Result, ...]
    earlier: tuple[tuple[Result, ...], ...] = ()

    @property
    def folds(self) -> tuple[tuple[Result, ...], ...]:
        """Results by fold and seed, in the order of time."""
        return (*self.earlier, self.results)

    def mean(self, key: str) -> float:
        """Mean over seeds and folds of a number of the summary."""
        return float(np.mean([result.summary[key] for fold in self.folds for result in fold]))

    def chosen_by(self) -> float:
        """Validation loss of the first fold, whose validation part lies before every test part."""
        return float(np.mean([result.summary["validation_mse"] for result in self.folds[0]]))

    @property
    def seconds(self) -> float | None:
        """Mean seconds of a fit; None for post-hoc arms, which fit nothing, and for models trained elsewhere."""
        fits = [result.summary["fit"]["seconds"] for result in self.results if "fit" in result.summary]
        return float(np.mean(fits)) if fits and None not in fits else None

    @property
    def parameters(self) -> int | None:
        """Fitted numbers."""
        return int(self.results[0].summary["fit"]["parameters"]) if "fit" in self.results[0].summary else None

    @property
    def horizon_mse(self) -> Float[np.ndarray, " horizon"]:
        """Loss of every horizon step, mean over seeds."""
        return np.mean([result.arrays["horizon_mse"] for result in self.results], axis=0)


@dataclass(frozen=True)
class Tried:
    """One fit of the search, with the first seed.

    Attributes:
        arm: `raw`, or the label of a retrained arm.
        options: of training: `lr`, `epochs`, and `dropout` where it was changed.
        validation_mse: what it is judged by; the test part is not looked at.
        chosen: whether the arm is trained that way.
    """

    arm: str
    options: Mapping[str, Any]
    validation_mse: float
    chosen: bool = False


@dataclass(frozen=True)
class Searched:
    """What a search found; empty for what was not trained here.

    Attributes:
        tuned: by arm, the training options that validation chose.
        tried: every fit.
        gains: by arm, by how much of its validation loss a fit twice as long is better; a negative one is worse.
        tolerance: relative gain below which an arm counts as converged.
        ended: why training was made no longer.
    """

    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()
    gains: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = 0.01
    ended: End = field(default_factory=End)

    def converged(self, arm: str) -> bool:
        """Whether twice the training gains less than the tolerance; true where it was not measured."""
        return self.gains.get(arm, 0.0) < self.tolerance

    def longer(self, model: str) -> str:
        """How to have a model trained longer, as words that begin with why it was not if the time was the reason."""
        if self.ended.option:
            return f"the time ended the search: {self.ended.option} lets it train twice as long"
        epochs = max((options["epochs"] for options in self.tuned.values()), default=0)
        return f"--set {model}.epochs={2 * epochs} trains twice as long" if epochs else "train longer"

    def rows(self) -> list[dict[str, Any]]:
        """As JSON types."""
        return [
            {"arm": one.arm, **one.options, "validation_mse": one.validation_mse, "chosen": one.chosen}
            for one in self.tried
        ]


@dataclass(frozen=True, eq=False)
class Evidence:
    """All arms of one audit.

    Attributes:
        experiment: the data as cut: the last fold.
        arms: raw, edited and reference arms.
        setting: what was planned.
        margin: relative margin of practical importance.
        measures: by name of the measure and label of the arm it was made on, a result a seed.
        why_not: by family and label, why an arm or measure could not be run on this model.
        earlier: the data as cut for earlier folds, the first one first.
        searched: what the search of learning rates and training lengths found.
        level: of the tests that seeds are added for until they decide (`inference.sequential`).
    """

    experiment: Experiment
    arms: tuple[Arm, ...]
    setting: Setting
    margin: float = 0.01
    measures: Mapping[tuple[str, str], tuple[Result, ...]] = field(default_factory=dict)
    why_not: Mapping[tuple[str, str], str] = field(default_factory=dict)
    earlier: tuple[Experiment, ...] = ()
    searched: Searched = field(default_factory=Searched)
    level: float = 0.05

    @property
    def folds(self) -> int:
        """Test parts."""
        return len(self.earlier) + 1

    def family(self, family: Family) -> list[Arm]:
        """Arms of a family, in order."""
        return [arm for arm in self.arms if arm.family == family]

    @property
    def raw(self) -> Arm:
        """The forecaster that is audited."""
        return self.family("raw")[0]

    def arm(self, family: Family, label: str) -> Arm | None:
        """An arm by its name, None if it was not run."""
        return next((arm for arm in self.family(family) if arm.label == label), None)

    def measured(self, name: str, arm: str | None = None) -> tuple[Result, ...]:
        """Results of a measure on the raw model (or the named reference), by seed; empty if it was not run."""
        return self.measures.get((name, arm or self.raw.label), ())

    def losses(self, arm: Arm, folds: int = 1) -> Float[np.ndarray, "seed time"]:
        """Loss of every origin time, by seed: mean over horizon, channels and series.

        Args:
            arm: whose losses.
            folds: how many of the last folds; their test parts follow one another in time.
        """
        experiments = (*self.earlier, self.experiment)[-folds:]
        parts = []
        for experiment, results in zip(experiments, arm.folds[-folds:], strict=True):
            times = experiment.panel.time[experiment.test.origins]
            parts.append(np.stack([loss_by_time(result.arrays["mse"], times) for result in results]))
        return np.concatenate(parts, axis=1)

    def paired(self, arm: Arm) -> tuple[Float[np.ndarray, "seed time"], Float[np.ndarray, "seed time"]]:
        """Losses of an arm and of the raw forecaster, by the seeds and folds that both have.

        A reference is fitted without seeds, so its one loss is paired with every seed of the raw forecaster.
        """
        folds = min(len(arm.folds), len(self.raw.folds))
        losses, raw = self.losses(arm, folds), self.losses(self.raw, folds)
        if arm.family == "reference":
            return np.broadcast_to(losses, raw.shape), raw
        seeds = min(len(losses), len(raw))
        return losses[:seeds], raw[:seeds]

    @cached_property
    def comparisons(self) -> dict[tuple[Family, str], Comparison]:
        """Every arm against the raw forecaster; Holm within each family, FDR over heads.

        Of the references, only the best of each kind are tested as a family; the others stand by themselves, to be
        looked at.
        """
        chosen = [arm for arm in map(self.best_reference, (NAIVE, LINEAR)) if arm is not None]
        others = [arm for arm in self.family("reference") if arm not in chosen]
        edited = dict.fromkeys(arm.family for arm in self.arms if arm.family not in ("raw", "reference"))
        families = [*(self.family(family) for family in edited), chosen, *([arm] for arm in others)]
        found: dict[tuple[Family, str], Comparison] = {}
        for arms in filter(None, families):
            # Arms may have been trained with different numbers of seeds, so each is paired with its own raw loss.
            pairs = [self.paired(arm) for arm in arms]
            results = compare(
                [(losses - raw) / raw.mean() for losses, raw in pairs],
                1.0,
                self.experiment.test.overlap,
                margin=self.margin,
                alpha=self.level if arms[0].family in _LOOKED_AT else 0.05,
                over_seeds="yes" if arms[0].family in _TRAINED and not self.setting.external else "no",
                correction="fdr" if arms[0].family == "heads" else "holm",
            )
            found |= {(arm.family, arm.label): result for arm, result in zip(arms, results, strict=True)}
        return found

    def between(self, arm: Arm, other: Arm) -> Comparison:
        """One edited arm against another, relative to the raw forecaster's loss: is `arm` worse than `other`?"""
        folds = min(len(arm.folds), len(other.folds))
        losses, others = self.losses(arm, folds), self.losses(other, folds)
        seeds = min(len(losses), len(others))
        raw = float(self.losses(self.raw, folds)[:seeds].mean())
        return compare([losses[:seeds] - others[:seeds]], raw, self.experiment.test.overlap, margin=self.margin)[0]

    def comparison(self, arm: Arm) -> Comparison | None:
        """An arm against the raw forecaster."""
        return self.comparisons.get((arm.family, arm.label))

    def best_reference(self, names: tuple[str, ...]) -> Arm | None:
        """Of the named references the one with the lowest validation loss: chosen without looking at the test part."""
        arms = [arm for arm in self.family("reference") if arm.label in names]
        return min(arms, key=Arm.chosen_by) if arms else None

    def summaries(self) -> list[dict[str, Any]]:
        """Summaries of all results that were fitted."""
        return [result.summary for arm in self.arms for result in arm.results if "fit" in result.summary]
