"""Evidence: the finished trials of an audit, arranged by arm, for the checks to look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from forecheck.data.windows import Experiment
from forecheck.evaluation.inference import Comparison, compare
from forecheck.evaluation.metrics import loss_by_time
from forecheck.trials.ledger import Result

NAIVE = ("last", "seasonal", "mean")
LINEAR = ("nlinear", "rlinear", "linear", "dlinear")
Family = Literal["raw", "retrained", "post-hoc", "reference"]


@dataclass(frozen=True, eq=False)
class Arm:
    """One forecaster or intervention, with a result a seed.

    Attributes:
        label: forecaster name or replacement mode.
        family: its part in the audit.
        results: by seed.
    """

    label: str
    family: Family
    results: tuple[Result, ...]

    def mean(self, key: str) -> float:
        """Mean over seeds of a number of the summary."""
        return float(np.mean([result.summary[key] for result in self.results]))

    @property
    def seconds(self) -> float | None:
        """Mean seconds of a fit; None for post-hoc arms, which fit nothing."""
        fits = [result.summary["fit"]["seconds"] for result in self.results if "fit" in result.summary]
        return float(np.mean(fits)) if fits else None

    @property
    def parameters(self) -> int | None:
        """Fitted numbers."""
        return int(self.results[0].summary["fit"]["parameters"]) if "fit" in self.results[0].summary else None

    @property
    def horizon_mse(self) -> Float[np.ndarray, " horizon"]:
        """Loss of every horizon step, mean over seeds."""
        return np.mean([result.arrays["horizon_mse"] for result in self.results], axis=0)


@dataclass(frozen=True, eq=False)
class Evidence:
    """All arms of one audit.

    Attributes:
        experiment: the data as cut.
        arms: raw, edited and reference arms.
        margin: relative margin of practical importance.
    """

    experiment: Experiment
    arms: tuple[Arm, ...]
    margin: float = 0.01

    def family(self, family: Family) -> list[Arm]:
        """Arms of a family, in order."""
        return [arm for arm in self.arms if arm.family == family]

    @property
    def raw(self) -> Arm:
        """The forecaster that is audited."""
        return self.family("raw")[0]

    def losses(self, arm: Arm) -> Float[np.ndarray, "seed time"]:
        """Loss of every origin time, by seed: mean over horizon, channels and series."""
        times = self.experiment.panel.time[self.experiment.test.origins]
        return np.stack([loss_by_time(result.arrays["mse"], times) for result in arm.results])

    @cached_property
    def comparisons(self) -> dict[tuple[Family, str], Comparison]:
        """Every arm against the raw forecaster; Holm within each family.

        Of the references, only the best of each kind are tested as a family; the others stand by themselves, to be
        looked at.
        """
        chosen = [arm for arm in map(self.best_reference, (NAIVE, LINEAR)) if arm is not None]
        others = [arm for arm in self.family("reference") if arm not in chosen]
        families = [self.family("retrained"), self.family("post-hoc"), chosen, *([arm] for arm in others)]
        found: dict[tuple[Family, str], Comparison] = {}
        raw = self.losses(self.raw)
        for arms in filter(None, families):
            # A reference is fitted without seeds, so its one loss stands beside every seed of the raw forecaster.
            differences = [np.broadcast_to(self.losses(arm), raw.shape) - raw for arm in arms]
            results = compare(
                differences,
                float(raw.mean()),
                self.experiment.test.overlap,
                margin=self.margin,
                over_seeds="no" if arms[0].family == "post-hoc" else "yes",
            )
            found |= {(arm.family, arm.label): result for arm, result in zip(arms, results, strict=True)}
        return found

    def comparison(self, arm: Arm) -> Comparison | None:
        """An arm against the raw forecaster."""
        return self.comparisons.get((arm.family, arm.label))

    def best_reference(self, names: tuple[str, ...]) -> Arm | None:
        """Of the named references the one with the lowest validation loss: chosen without looking at the test part."""
        arms = [arm for arm in self.family("reference") if arm.label in names]
        return min(arms, key=lambda arm: arm.mean("validation_mse")) if arms else None

    def summaries(self) -> list[dict[str, Any]]:
        """Summaries of all results that were fitted."""
        return [result.summary for arm in self.arms for result in arm.results if "fit" in result.summary]
