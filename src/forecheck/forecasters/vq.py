"""What forecasters over codes of patches share: options, the stage before training, and the report on the codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forecheck.data.windows import Windows
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.quantise.autoencoder import VQAutoencoder
from forecheck.progress import Progress
from forecheck.training.loop import Prepare
from forecheck.training.pretrain import measure_codes, pretrain
from forecheck.training.recipe import Recipe


@dataclass(frozen=True)
class VQRecipe(Recipe):
    """A recipe with a first stage that learns codes of patches; defaults of TOTEM but for decay, k-means and revival.

    Attributes:
        vq_codes: K, size of the codebook.
        vq_width: numbers a code.
        vq_updates: steps of the first stage (TOTEM: 15000).
        vq_batch: patches a step.
        vq_lr: its learning rate.
        vq_decay: of the running means that the codes are.
        vq_commitment: weight of the encoder's distance from its codes.
        vq_revive: patches a step, in the running mean, below which a code moves to a random patch.
    """

    vq_codes: int = 256
    vq_width: int = 64
    vq_updates: int = 2000
    vq_batch: int = 4096
    vq_lr: float = 1e-3
    vq_decay: float = 0.99
    vq_commitment: float = 0.25
    vq_revive: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("vq_codes", "vq_width", "vq_updates", "vq_batch")
        if not self.vq_lr > 0:
            raise ValueError(f"vq_lr must be positive, got {self.vq_lr}")
        if not 0 <= self.vq_decay < 1:
            raise ValueError(f"vq_decay must lie in [0, 1), got {self.vq_decay}")
        for name in ("vq_commitment", "vq_revive"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")

    def autoencoder(self, patch: int, *, raw: bool = False) -> VQAutoencoder:
        """An untrained one; if raw, its codes are patches."""
        return VQAutoencoder(
            patch,
            self.vq_codes,
            None if raw else self.vq_width,
            decay=self.vq_decay,
            commitment=self.vq_commitment,
            revive=self.vq_revive,
        )


class VQForecaster(NeuralForecaster):
    """A forecaster whose module has an `autoencoder` of what its `patches` makes of input windows."""

    @property
    def learns_codes(self) -> bool:
        """Whether the codes are learnt before training, or stay as they are drawn."""
        return True

    def prepare(self) -> Prepare | None:
        """Learn the codes, on training windows only."""
        module: Any = self.module
        c = self.config
        if not self.learns_codes:
            return None

        def learn(windows: Windows, seed: int, progress: Progress | None) -> None:
            pretrain(
                module.autoencoder,
                module.patches,
                windows,
                seed,
                updates=c.vq_updates,
                batch=c.vq_batch,
                lr=c.vq_lr,
                progress=progress,
            )

        return learn

    def measured(self, train_windows: Windows) -> dict[str, Any]:
        """Use and error of the codes on training windows, after all training."""
        module: Any = self.module
        return {"vq": measure_codes(module.autoencoder, module.patches, train_windows)}
