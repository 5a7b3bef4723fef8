"""How a model is trained: optimiser, schedule, stopping."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "decay", "halving", "cosine", "onecycle"]
Correction = Literal["none", "drift", "local", "entropy"]
Keep = Literal["best", "mean"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Recipe:
    """A training recipe; what is chosen while training is chosen on validation windows.

    Attributes:
        epochs: passes over the training windows at most.
        batch: windows a step.
        lr: peak learning rate.
        optimizer: `adam`, `adamw` or `sgd`.
        momentum: of sgd, without Nesterov's step; the others have `betas`.
        weight_decay: decoupled for adamw, added to the gradient for adam and sgd.
        schedule: see `rate`.
        clip: bound of the gradient's norm, None for none.
        patience: epochs without a better validation loss after which training stops.
        train_stride: train on every n-th window only (a smaller budget); validation and test keep all windows.
        micro_batch: windows computed at once, their gradients added up; less memory, and on a CPU faster, since a
            smaller batch stays in cache. Batch statistics are those of the micro-batch.
        sam: rho of sharpness-aware minimisation (see `training.sharpness`), which takes two passes a step; 0 for none.
        correction: of the gradient of attention: `drift` (see `training.drift`), or a penalty on patterns, `local` or
            `entropy` (see `training.penalties`).
        correction_strength: lambda of `drift`, 1 to remove it all; weight mu of a penalty.
        entropy_floor: share of the largest entropy below which `entropy` penalises a row.
        average: epochs at the end whose steps' weights are averaged (see `training.averaging`), 0 for none; the mean is
            kept if its validation loss is no higher than the best epoch's. Training that stops before has none.
        keep: `best` for the better of the two on validation, `mean` for averaged weights whatever validation says: the
            choice between epochs follows the noise of a validation part, and spreads the seeds.
        precision: of the products in training (see `training.precision`); weights, their updates and validation are in
            `float32` always. `bfloat16` is faster where the machine has it and layers are wide.
    """

    epochs: int = 100
    batch: int = 128
    lr: float = 1e-4
    optimizer: Optimizer = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Schedule = "decay"
    clip: float | None = None
    patience: int = 100
    train_stride: int = 1
    micro_batch: int = 64
    sam: float = 0.0
    correction: Correction = "none"
    correction_strength: float = 1.0
    entropy_floor: float = 0.5
    average: int = 0
    keep: Keep = "best"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        self.check_positive("epochs", "batch", "patience", "train_stride", "micro_batch")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, got {self.lr}")
        for name in ("weight_decay", "sam", "correction_strength", "average"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), got {self.momentum}")
        if not 0 <= self.entropy_floor <= 1:
            raise ValueError(f"entropy_floor must lie in [0, 1], got {self.entropy_floor}")

    def check_positive(self, *names: str) -> None:
        """Refuse counts below one.

        Raises:
            ValueError: naming the first of them.
        """
        for name in names:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def rate(self, step: int, steps_per_epoch: int) -> float:
        r"""Learning rate of a step (0-based).

        - `constant`: lr.
        - `decay`: lr for three epochs, then times 0.9 every epoch (PatchTST's `type3`).
        - `halving`: lr for two epochs, then half of it every epoch (`type1` of Informer, Autoformer and their kin,
          which is first applied when two epochs are over).
        - `cosine`: half a cosine from lr to 0 over all epochs.
        - `onecycle`: cosine from lr/25 up to lr over the first 30 % of the steps, then down to lr/25/10^4.
        """
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "decay":
            return self.lr * 0.9 ** max(0, step // steps_per_epoch - 2)
        if self.schedule == "halving":
            return self.lr * 0.5 ** max(0, step // steps_per_epoch - 1)
        done = step / max(1, self.epochs * steps_per_epoch - 1)
        if self.schedule == "cosine":
            return self.lr * _cosine(1.0, 0.0, done)
        low = self.lr / 25
        if done < 0.3:
            return _cosine(low, self.lr, done / 0.3)
        return _cosine(self.lr, low / 1e4, (done - 0.3) / 0.7)

    def betas(self, step: int, steps_per_epoch: int) -> tuple[float, float]:
        """Decay rates of the optimiser's means of gradients and squared gradients in a step (0-based)."""
        return 0.9, 0.999


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
