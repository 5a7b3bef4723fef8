"""The training loop: batches gathered by index, early stopping on validation, resumable at every epoch."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecheck.data.windows import Windows
from forecheck.nn.observed import squared_error
from forecheck.nn.placed import doubles, place, repeatable
from forecheck.nn.plain import plain
from forecheck.nn.seeding import derive, initialise, reseed
from forecheck.progress import Progress, within
from forecheck.training import parallel
from forecheck.training.averaging import WeightMean
from forecheck.training.checkpoint import read_checkpoint, write_checkpoint
from forecheck.training.drift import remove_drift
from forecheck.training.penalties import penalised
from forecheck.training.precision import computed_in
from forecheck.training.recipe import Recipe
from forecheck.training.sharpness import ascended

Prepare = Callable[[Windows, int, Progress | None], None]
"""A stage before training that changes the model, given training windows, seed, and whom to tell of progress."""

_PREPARING = 0.2
"""Of all progress, the share of preparation; how long it takes is not known before."""


@dataclass
class History:
    """What happened, epoch by epoch.

    Attributes:
        train: mean training loss (see `training_loss`) of every epoch, penalties included.
        validation: validation loss after every epoch.
        best: epoch (0-based) with the lowest validation loss, whose weights are kept unless averaged ones are.
        averaged: validation loss of averaged weights, which are kept if it is no higher than any epoch's; None without.
        seconds: wall time of training, preparation and validation included, over all sittings.
        windows_per_second: training windows a second of training steps alone.
    """

    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best: int = -1
    seconds: float = 0.0
    windows_per_second: float = 0.0
    averaged: float | None = None


@dataclass
class _State:
    """All that a resumed run needs; the random streams follow from seed and step."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    history: History
    best: dict[str, Tensor]
    mean: WeightMean = field(default_factory=WeightMean)

    def save(self, path: Path) -> None:
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        tensors |= {f"best.{key}": value for key, value in self.best.items()}
        tensors |= {f"mean.{key}": value for key, value in self.mean.tensors.items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            # sgd has no momentum yet where there was no gradient.
            tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items() if value is not None}
        meta = {"history": json.dumps(asdict(self.history)), "averaged": str(self.mean.count)}
        write_checkpoint(path, tensors, meta)

    def load(self, path: Path) -> bool:
        """Go on from a checkpoint; false, and nothing is changed, if there is none or it is damaged."""
        found = read_checkpoint(path)
        if found is None:
            return False
        tensors, meta = found
        self.history = History(**json.loads(meta["history"]))
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "mean": {}, "optimizer": {}}
        for key, value in tensors.items():
            group, name = key.split(".", 1)
            groups[group][name] = value
        self.model.load_state_dict(groups["model"])
        self.best = groups["best"]
        device = next(self.model.parameters()).device
        self.mean = WeightMean({name: each.to(device) for name, each in groups["mean"].items()}, int(meta["averaged"]))
        described = self.optimizer.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in groups["optimizer"].items():
            index, slot = key.split(".", 1)
            state.setdefault(int(index), {})[slot] = value
        self.optimizer.load_state_dict({"state": state, "param_groups": described["param_groups"]})
        return True


def train(
    model: nn.Module,
    windows: Windows,
    validation: Windows,
    recipe: Recipe,
    seed: int = 0,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    prepare: Prepare | None = None,
) -> History:
    """Train `model` in place by its `training_loss`; it ends with the weights of the best validation epoch.

    Where the recipe averages weights, their mean is kept instead if its validation loss is no higher, or always
    (`Recipe.keep`).

    The same seed gives the same weights bit for bit on one machine with the same number of threads: initial weights,
    order of windows and dropout masks come from streams named by module, epoch and step. Parameters that never get a
    gradient (those of a replaced attention) are left where they started. It starts with the same weights on all
    devices, and sees the same batches; off the CPU dropout masks are torch's own.

    Args:
        model: maps (batch, lookback, channel) to (batch, horizon, channel); it is moved to the device of the windows,
            see `forecheck.nn.placed`.
        windows: training windows.
        validation: windows that decide which epoch is kept and when to stop.
        recipe: how to train.
        seed: of all random streams.
        checkpoint: file written after preparation and after every epoch; if it is there and whole,
            training goes on from there.
        progress: called after every step with the fraction done.
        prepare: run once, after initialisation and before the first epoch.

    Raises:
        FloatingPointError: if the loss is no longer finite.
        ValueError: if attention's gradient is to be corrected and the model has none.
    """
    windows = windows.strided(recipe.train_stride)
    place(model, "cpu")  # where weights are drawn, on whatever device they are trained
    initialise(model, seed)
    place(model, windows.device)
    with repeatable(windows.device), parallel.shared_norms(model):
        return _train(model, windows, validation, recipe, seed, checkpoint, progress, prepare)


def _train(
    model: nn.Module,
    windows: Windows,
    validation: Windows,
    recipe: Recipe,
    seed: int,
    checkpoint: Path | None,
    progress: Progress | None,
    prepare: Prepare | None,
) -> History:
    """`train`, from the first weights on."""
    state = _State(model, _optimizer(model, recipe), History(), copy.deepcopy(model.state_dict()))
    resumed = checkpoint is not None and state.load(checkpoint)
    parallel.check_same(resumed + len(state.history.train), "checkpoints")
    if prepare is not None and not resumed:
        _prepare(state, prepare, windows, seed, checkpoint, within(progress, 0, _PREPARING))
    if prepare is not None:
        progress = within(progress, _PREPARING, 1)
    history = state.history
    steps = math.ceil(len(windows) / recipe.batch)
    for epoch in range(len(history.train), recipe.epochs):
        if history.best >= 0 and epoch - 1 - history.best >= recipe.patience:
            break
        started = time.perf_counter()
        history.train.append(_epoch(state, windows, recipe, seed, epoch, progress))
        stepped = time.perf_counter() - started
        history.windows_per_second += (len(windows) / stepped - history.windows_per_second) / (epoch + 1)
        history.validation.append(mean_squared_error(model, validation))
        if history.best < 0 or history.validation[-1] < history.validation[history.best]:
            history.best = epoch
            state.best = copy.deepcopy(model.state_dict())
        history.seconds += time.perf_counter() - started
        if checkpoint is not None and parallel.leads():
            state.save(checkpoint)
        if progress is not None:
            word = f"epoch {epoch + 1}/{recipe.epochs}, validation {history.validation[-1]:.4f}"
            progress((epoch + 1) / recipe.epochs, word)
    _settle(state, validation, recipe)
    if progress is not None:
        progress(1.0, f"{len(history.train)} epochs of {steps} steps")
    return history


def _settle(state: _State, validation: Windows, recipe: Recipe) -> None:
    """Give the model the weights of the best epoch, or averaged ones if no worse on validation, or preferred."""
    model, history = state.model, state.history
    if state.mean.count:
        started = time.perf_counter()
        model.load_state_dict(state.mean.tensors)
        history.averaged = mean_squared_error(model, validation)
        history.seconds += time.perf_counter() - started
    best = history.validation[history.best]
    preferred = recipe.keep == "mean" and history.averaged is not None and math.isfinite(history.averaged)
    if history.averaged is None or not (preferred or history.averaged <= best):
        model.load_state_dict(state.best)
    model.eval()


def _prepare(
    state: _State, prepare: Prepare, windows: Windows, seed: int, checkpoint: Path | None, progress: Progress | None
) -> None:
    """Run the stage before training; a checkpoint says that it is over."""
    started = time.perf_counter()
    prepare(windows, seed, progress)
    state.best = copy.deepcopy(state.model.state_dict())
    state.history.seconds = time.perf_counter() - started
    if checkpoint is not None and parallel.leads():
        state.save(checkpoint)


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
    }
    options: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        options["momentum"] = recipe.momentum
    weights = list(model.parameters())
    # One kernel for all weights saves a fifth of a step of iTransformer on a CPU; there is none for complex weights.
    fused = all(each.is_floating_point() and each.device.type in ("cpu", "cuda") for each in weights)
    return kinds[recipe.optimizer](weights, fused=fused or None, **options)


def _epoch(state: _State, windows: Windows, recipe: Recipe, seed: int, epoch: int, progress: Progress | None) -> float:
    """One pass over the windows in random order; returns the mean loss over them."""
    model, optimizer = state.model, state.optimizer
    model.train()
    order = torch.randperm(
        len(windows), generator=torch.Generator().manual_seed(derive(seed, f"order {epoch}") & 0xFFFFFFFF)
    )
    steps = math.ceil(len(windows) / recipe.batch)
    total = 0.0
    for number, index in enumerate(torch.split(order, recipe.batch)):
        step = epoch * steps + number
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, steps)
            if "betas" in group:
                group["betas"] = recipe.betas(step, steps)
        total += _gradient(model, windows, index, recipe, seed, step) * len(index)
        if recipe.sam:
            with ascended(model, recipe.sam):
                _gradient(model, windows, index, recipe, seed, step)
        if not math.isfinite(total):
            raise FloatingPointError(f"the training loss is {total} in epoch {epoch + 1}, step {number + 1}")
        if recipe.correction == "drift":
            remove_drift(model, recipe.correction_strength)
        if recipe.clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        if epoch >= recipe.epochs - recipe.average:
            state.mean.add(model)
        if progress is not None:
            progress((step + 1) / (recipe.epochs * steps), f"epoch {epoch + 1}/{recipe.epochs}")
    return total / len(windows)


def _gradient(
    model: nn.Module, windows: Windows, index: Int[Tensor, " batch"], recipe: Recipe, seed: int, step: int
) -> float:
    """Leave the gradient of a batch's mean loss in the parameters; random draws are those of the step, every time."""
    reseed(model, seed, step)
    with computed_in(recipe.precision, windows.device):
        if plain(torch.device(windows.device)):  # dropout is torch's own
            torch.manual_seed(derive(seed, f"step {step}"))
    model.zero_grad(set_to_none=True)
    total = 0.0
    with penalised(model, recipe) as penalty:
        for micro in torch.split(index, recipe.micro_batch):
            part, weight = parallel.part_of(micro)
            x, y = windows.gather(part)
            if windows.targets is None and bool(torch.isnan(y).any()):
                total = math.nan  # not a target that was never observed, but one that is hidden
            with computed_in(recipe.precision, windows.device):
                loss = (training_loss(model, x, y) + penalty()) * (_share(windows, part, index) * weight)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
    parallel.add_gradients(model)
    return parallel.added(total)[0]


def _share(windows: Windows, micro: Int[Tensor, " micro"], index: Int[Tensor, " batch"]) -> float:
    """What makes the sum of the micro-batches' gradients that of the batch's mean loss, over observed targets."""
    if windows.targets is None or len(micro) == len(index):
        return len(micro) / len(index)
    return float(windows.observed(micro).sum() / windows.observed(index).sum())


def training_loss(
    model: nn.Module, x: Float[Tensor, "batch lookback channel"], y: Float[Tensor, "batch horizon channel"]
) -> Float[Tensor, ""]:
    """Mean squared error of the forecast, standardised units; `model.loss(x, y)` where a model has a loss of its own.

    Targets that were never observed are NaN and do not count; a loss of its own has to see to that itself
    (`forecheck.nn.observed`). Validation is on the forecast alone, whatever a model is trained by.

    Args:
        model: maps x to a forecast; its `loss`, if it has one, takes precedence.
        x: inputs, standardised.
        y: targets, standardised.
    """
    own: Callable[[Tensor, Tensor], Tensor] | None = getattr(model, "loss", None)
    return squared_error(model(x), y) if own is None else own(x, y)


@torch.no_grad()
def mean_squared_error(model: nn.Module, windows: Windows, batch: int = 128) -> float:
    """Mean squared error over all windows and observed targets, standardised units.

    Args:
        model: maps inputs to forecasts; left in evaluation mode.
        windows: at least one of which has an observed target.
        batch: windows that are forecast at once.
    """
    model.eval()
    total, count = 0.0, 0.0
    for number, (_, x, y) in enumerate(windows.batches(batch)):
        if not parallel.mine(number):
            continue
        squared = doubles(model(x) - y).square()
        if windows.targets is None:
            total += float(squared.mean(dim=(1, 2)).sum())
            count += len(y)
        else:
            seen = ~torch.isnan(y).to(squared.device)
            total += float(squared[seen].sum())
            count += int(seen.sum())
    total, count = parallel.added(total, count)
    return total / count
