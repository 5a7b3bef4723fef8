"""What SAMoVAR shares with its controls: settings, recipe and lookback."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.arx import ArxNetwork, ArxTokens, Centre
from forecheck.training.recipe import Optimizer, Recipe, Schedule


@dataclass(frozen=True)
class ArxConfig(Recipe):
    r"""Settings and recipe of the SAMoVAR family; the defaults are those of the official code for ETT.

    The schedule `onecycle` is the official one, linear: from lr/10 up over the first 5 % of the steps, then down to
    lr/10^5 over one epoch more than there are; beta1 goes from 0.95 to 0.85 and back meanwhile. There is no mixed
    precision here, and clipping bounds the gradient itself, not its scaled copy.

    Attributes:
        width: D, features a token; None for :math:`32 \lfloor \sqrt C \rfloor`.
        heads: attention heads; None for heads of `head_width`.
        head_width: features a head where `heads` is None (the paper's choice is 16).
        layers: attention layers, and MLP blocks.
        dropout: rate after tokens, attention and MLP.
        exogenous: whether tokens hold the other channels; without, channels meet through nothing.
        centre: subtract the mean of the last horizon's steps (`last`) or of the whole window (`window`).
        next_patch: weight of the loss of the next patches inside the window.
    """

    width: int | None = None
    heads: int | None = 8
    head_width: int = 16
    layers: int = 3
    dropout: float = 0.1
    exogenous: bool = True
    centre: Centre = "last"
    next_patch: float = 1.0
    batch: int = 32
    lr: float = 6e-4
    optimizer: Optimizer = "adamw"
    weight_decay: float = 0.1
    schedule: Schedule = "onecycle"
    clip: float | None = 1.0
    patience: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive(*(name for name in ("width", "heads") if getattr(self, name) is not None))
        self.check_positive("head_width", "layers")
        if self.next_patch < 0:
            raise ValueError(f"next_patch must not be negative, got {self.next_patch}")

    def sizes(self, channels: int) -> tuple[int, int]:
        """Width and heads for so many channels.

        Raises:
            ValueError: if the width is no multiple of the heads or of the head width.
        """
        width = self.width or 32 * int(channels**0.5)
        heads = self.heads or width // self.head_width
        if heads == 0 or width % heads or (self.heads is None and width % self.head_width):
            parts = f"{self.heads} heads" if self.heads else f"head width {self.head_width}"
            raise ValueError(f"width {width} is not a multiple of {parts}")
        return width, heads

    def tokens(self, task: Task, *, pairs: bool = True) -> ArxTokens:
        """Tokens of a task: patches as long as its horizon."""
        width, _ = self.sizes(task.channels)
        return ArxTokens(
            task.lookback,
            task.horizon,
            task.channels,
            width,
            dropout=self.dropout,
            exogenous=self.exogenous,
            pairs=pairs,
        )

    def network(self, tokens: ArxTokens, stack: nn.Module) -> ArxNetwork:
        """The network of a stack."""
        return ArxNetwork(tokens, stack, centre=self.centre, next_patch=self.next_patch)

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step (0-based)."""
        if self.schedule != "onecycle":
            return super().rate(step, steps_per_epoch)
        up, down = self._cycle(step, steps_per_epoch)
        start = self.lr / 10
        return start + (self.lr - start) * up if up < 1 else self.lr + (start / 1e4 - self.lr) * down

    def betas(self, step: int, steps_per_epoch: int) -> tuple[float, float]:
        """Adam's decay rates in a step (0-based)."""
        if self.schedule != "onecycle":
            return 0.9, 0.95
        up, down = self._cycle(step, steps_per_epoch)
        return 0.95 - 0.1 * (up if up < 1 else 1 - down), 0.95

    def _cycle(self, step: int, steps_per_epoch: int) -> tuple[float, float]:
        """How much of the way up and of the way down is done, as torch's OneCycleLR counts."""
        total = (self.epochs + 1) * steps_per_epoch
        peak = 0.05 * total - 1
        up = min(1.0, step / peak) if peak > 0 else 1.0
        return up, max(0.0, (step - peak) / (total - 1 - peak))


class ArxForecaster(NeuralForecaster):
    """A member of the SAMoVAR family."""

    @classmethod
    def natural_lookback(cls, horizon: int) -> int:
        """1024 for horizons up to 96, 2048 up to 336, 4096 beyond (the official scripts': 96, 192, 336 and 720)."""
        return next((lookback for most, lookback in ((96, 1024), (336, 2048)) if horizon <= most), 4096)
