"""What all forecasters that are trained by gradient descent share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.attention.edits import Edit, edit_from_dict
from forecheck.data.memory import available_memory
from forecheck.data.windows import Windows
from forecheck.forecasters.base import FitReport, Forecaster, Task
from forecheck.forecasters.room import count_weights, training_room
from forecheck.nn.causal import CausalPart
from forecheck.nn.placed import device_of
from forecheck.progress import Progress
from forecheck.training.loop import History, Prepare, train
from forecheck.training.recipe import Recipe

_SHARE = 40
"""Free bytes for every number of a network that is built only to be made smaller: a tenth of the memory."""

N = TypeVar("N", bound="NeuralForecaster")


class NeuralForecaster(Forecaster):
    """A torch module with a recipe: its `Config` extends `Recipe`.

    Args:
        task: what is to be forecast.
        config: settings and recipe; None for the defaults.
        edit: an intervention that is built in before training.

    Attributes:
        module: maps (batch, lookback, channel) to (batch, horizon, channel).
        edit: the intervention that is part of the architecture (a retrained arm), or None.
        history: losses of the fit, once there was one.
        sizes: of parts that pruning made smaller, see `resize`.
    """

    trained = True
    moves = True
    Module: ClassVar[type[Any]]
    """Makes the untrained network of a task and a config; a forecaster that needs more overrides `build`."""

    def __init__(self, task: Task, config: Recipe | None = None, edit: Edit | None = None) -> None:
        super().__init__(task, config)
        self.module = self.build()
        self.edit = edit
        self.history: History | None = None
        self.sizes: dict[str, Any] = {}
        if edit is not None:
            edit.install(self.module, torch.zeros(2, task.lookback, task.channels))

    @property
    def parameters(self) -> int:
        """Weights that are trained."""
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)

    def build(self) -> nn.Module:
        """The untrained network."""
        network: nn.Module = self.Module(self.task, self.config)
        return network

    def resize(self, sizes: Mapping[str, Any]) -> None:
        """Make parts of the network smaller, as it was made before; its weights are then to be restored.

        Args:
            sizes: see `forecheck.sparsity.removal.Removal`.

        Raises:
            ValueError: if the network has no such parts.
        """
        from forecheck.sparsity.removal import resize

        resize(self.module, sizes)
        self.sizes = self.sizes | dict(sizes)

    def prepare(self) -> Prepare | None:
        """What is to be done once before training, or None; a resumed fit does not repeat it."""
        return None

    def measured(self, train_windows: Windows) -> dict[str, Any]:
        """What is to stand in the details of the fit's report besides the course of training, as JSON types."""
        return {}

    def fit(
        self,
        train_windows: Windows,
        validation: Windows,
        seed: int = 0,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> FitReport:
        """Train on the device of the windows; with `checkpoint`, resumable after every epoch.

        Args:
            train_windows: as in `Forecaster.fit`.
            validation: as in `Forecaster.fit`.
            seed: as in `Forecaster.fit`.
            progress: as in `Forecaster.fit`.
            checkpoint: file that an interrupted fit goes on from; it is written after every epoch.
        """
        started = time.perf_counter()
        self.history = train(
            self.module,
            train_windows,
            validation,
            self.config,
            seed,
            checkpoint=checkpoint,
            progress=progress,
            prepare=self.prepare(),
        )
        seconds = max(self.history.seconds, time.perf_counter() - started)
        details = {
            "epochs": len(self.history.train),
            "best_epoch": self.history.best,
            "train_loss": self.history.train,
            "validation_loss": self.history.validation,
            "windows_per_second": self.history.windows_per_second,
            **self.measured(train_windows),
        }
        if self.history.averaged is not None:
            details["averaged_validation_loss"] = self.history.averaged
        return FitReport(seconds, self.parameters, details)

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast in evaluation mode (no dropout, running statistics)."""
        self.module.eval()
        forecast: Tensor = self.module(x)
        return forecast

    def causal_part(self, x: Float[Tensor, "batch lookback channel"]) -> CausalPart | None:
        """The part of the network that claims to be causal, with what it is given for these windows; None if none does.

        A module claims it by a method of this name.
        """
        claim = getattr(self.module, "causal_part", None)
        with torch.no_grad():
            self.module.eval()
            return None if claim is None else claim(x.to(device_of(self.module)))

    def tensors(self) -> dict[str, Tensor]:
        """Weights and buffers, on the CPU."""
        return {name: value.cpu() for name, value in self.module.state_dict().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back weights and buffers."""
        self.module.load_state_dict(dict(tensors))
        self.module.eval()

    def described(self) -> dict[str, Any]:
        """Name, task, config, edit, and sizes that differ from those of the config."""
        sizes = {"sizes": self.sizes} if self.sizes else {}
        return super().described() | {"edit": self.edit.to_dict() if self.edit else None} | sizes

    @classmethod
    def room(cls, task: Task, config: Any, free: int) -> float:
        """Weights with all that training keeps of each."""
        return training_room(lambda: cls(task, config), free)

    @classmethod
    def check_weights(cls, described: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Refuse a description that asks for more numbers than its weights hold (TooLargeError)."""
        task, config = Task(**described["task"]), cls.Config(**described["config"])
        most = 4 * sum(each.numel() for each in weights.values()) + 1000  # what is registered twice is counted twice
        if described.get("sizes"):  # it is built whole before it is made smaller
            most = max(most, (available_memory() or 0) // _SHARE)
        with contextlib.suppress(RuntimeError):  # of what cannot be built without content
            count_weights(lambda: cls(task, config), most)

    @classmethod
    def from_described(cls: type[N], described: Mapping[str, Any]) -> N:
        """Build from what `described` gave."""
        edit = edit_from_dict(described["edit"]) if described.get("edit") else None
        forecaster = cls(Task(**described["task"]), cls.Config(**described["config"]), edit)
        if described.get("sizes"):
            forecaster.resize(described["sizes"])
        return forecaster
