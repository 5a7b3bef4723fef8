"""Prune a network while it goes on training; what is kept is chosen on validation, of the network as it is cut."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from forecheck.errors import UsageError
from forecheck.nn.seeding import derive, reseed
from forecheck.progress import Progress
from forecheck.sparsity.groups import Groups
from forecheck.sparsity.masks import check_pattern, check_sparsity
from forecheck.sparsity.methods import METHODS, Goal, Method
from forecheck.sparsity.norms import input_norms
from forecheck.sparsity.parts import Kind, groups_of
from forecheck.sparsity.prunable import Prunable, Weight, prunable
from forecheck.training.checkpoint import read_checkpoint, write_checkpoint

Batch = tuple[Tensor, Tensor]
_BETAS = (0.9, 0.95)
_LOOKS = 10
"""Looks at the validation loss."""
CONVERGED = 0.05
"""Relative residual of ELSA that the last cut does no harm at."""
_CALIBRATION = 16
"""Batches for norms of inputs."""


@dataclass(frozen=True)
class Steps:
    """How it is trained while it is pruned.

    Attributes:
        count: steps of Adam; none only for one-shot methods.
        lr: peak, from which it falls linearly to zero.
        clip: bound of the gradient's norm, before ELSA's pull is added.
        seed: of dropout.
    """

    count: int = 1024
    lr: float = 3e-3
    clip: float | None = 1.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Pruned:
    """A network with fewer weights.

    Attributes:
        model: the network that was given, pruned.
        masks: by name of a weight, where weights stay.
        prunable: what could be pruned, and what was left out.
        trace: by look: step, validation loss of the cut network, and ELSA's relative residual.
        validation: loss of the network before, and after.
        warnings: what to mend.
    """

    model: nn.Module
    masks: dict[str, Tensor]
    prunable: Prunable
    trace: list[dict[str, float]]
    validation: tuple[float, float]
    warnings: list[str] = field(default_factory=list)

    @property
    def sparsity(self) -> float:
        """Share of the prunable weights that are zero."""
        zeros = sum(int((weight.value == 0).sum()) for weight in self.prunable.weights)
        return zeros / sum(weight.size for weight in self.prunable.weights)


def prune_network(
    model: nn.Module,
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor],
    batches: Callable[[int], Batch],
    validate: Callable[[nn.Module], float],
    goal: Goal,
    *,
    method: str = "elsa",
    training: Steps = Steps(),
    ignore: Sequence[str] = (),
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Pruned:
    """Prune `model` in place; it ends with the cut weights of the look with the lowest validation loss.

    Args:
        model: a trained network.
        loss: of a batch: network, inputs, targets.
        batches: inputs and targets of a step, the same whenever they are asked for.
        validate: loss of a network on validation data.
        goal: what is asked for; its `steps` are those of `training`.
        method: `elsa`, `gradual-magnitude`, `magnitude` or `wanda`.
        training: how it is trained.
        ignore: see `prunable`.
        checkpoint: file that an interrupted run goes on from; it is written at every look.
        progress: called with the share that is done.

    Raises:
        UsageError: if what is asked for cannot be, or the loss is no longer finite.
    """
    found = prunable(model, ignore)
    groups: list[Groups] = []
    if isinstance(goal.pattern, str):
        found, groups = _in_groups(model, found, goal.pattern)
    _check(goal, method, training, found.weights)
    trainer = _Trainer(model, loss, found.weights, training, _optimizer(model, training))
    before = _finite(validate(model.eval()), "validation loss of the network before pruning", _AS_IT_IS)
    way = METHODS[method](
        found.weights,
        goal,
        lambda: input_norms(model, found.weights, [batches(n)[0] for n in range(_CALIBRATION)]),
        groups,
    )
    state = _State(describe(goal, method, training, found.weights))
    first = state.resume(checkpoint, trainer, way)
    every = max(1, math.ceil(training.count / _LOOKS))
    if first == 0:
        state.look(trainer, way, validate, 0)
    for step in range(first, training.count):
        trainer.step(step, batches(step), way)
        if (step + 1) % every == 0 or step + 1 == training.count:
            state.look(trainer, way, validate, step + 1)
            state.save(checkpoint, trainer, way, step + 1)
        if progress is not None:
            progress((step + 1) / training.count, f"step {step + 1}/{training.count}")
    masks = state.finish(model)
    return Pruned(model, masks, found, state.trace, (before, state.best), _warnings(state.trace, method))


def describe(goal: Goal, method: str, training: Steps, weights: Sequence[Weight]) -> dict[str, Any]:
    """What a run is, as JSON types: another run does not go on from its checkpoint.

    Args:
        goal, method, training: as in `prune_network`.
        weights: what is pruned.
    """
    shapes = {weight.name: list(weight.value.shape) for weight in weights}
    return {"goal": asdict(goal), "method": method, "training": asdict(training), "weights": shapes}


class _Trainer:
    """Steps of Adam, with gradients and weights changed by a method on the way."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, Tensor, Tensor], Tensor],
        weights: Sequence[Weight],
        training: Steps,
        optimizer: torch.optim.Adam,
    ) -> None:
        self.model, self.loss, self.weights = model, loss, weights
        self.training, self.optimizer = training, optimizer

    def step(self, step: int, batch: Batch, method: Method) -> None:
        """One step, 0-based."""
        self.model.train()
        reseed(self.model, self.training.seed, step)
        seed = derive(self.training.seed, f"step {step}") & 0xFFFFFFFF  # of torch's own dropout
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.lr * (1 - step / self.training.count)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            loss = self.loss(self.model, *batch)
        _finite(float(loss.detach()), f"training loss of step {step + 1}")
        loss.backward()  # type: ignore[no-untyped-call]
        if self.training.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip)
        method.before_step(step)
        self.optimizer.step()
        method.after_step(step, self.moments())

    def moments(self) -> dict[str, Tensor]:
        """Second moments of Adam by name, ones before the first step."""
        state = self.optimizer.state
        return {
            weight.name: weight.of(state[weight.parameter]["exp_avg_sq"])
            if weight.parameter in state
            else torch.ones_like(weight.value)
            for weight in self.weights
        }


class _State:
    """The best look so far, and the trace."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.described = json.dumps(described, sort_keys=True)
        self.best = math.inf
        self.kept: dict[str, Tensor] = {}
        self.masks: dict[str, Tensor] = {}
        self.trace: list[dict[str, float]] = []

    def look(self, trainer: _Trainer, method: Method, validate: Callable[[nn.Module], float], step: int) -> None:
        """Loss of the network as it would be cut now."""
        masks = method.masks(trainer.moments())
        if masks is None:
            return
        model = trainer.model
        with cut(trainer.weights, masks):
            value = _finite(validate(model.eval()), f"validation loss after step {step}")
            if value < self.best:
                self.best, self.masks = value, {name: mask.clone() for name, mask in masks.items()}
                self.kept = copy.deepcopy(model.state_dict())
        self.trace.append({"step": step, "validation": value, **method.measured()})

    def save(self, path: Path | None, trainer: _Trainer, method: Method, step: int) -> None:
        """Write all that a run has to go on with."""
        if path is None:
            return
        tensors = {f"model.{key}": value for key, value in trainer.model.state_dict().items()}
        tensors |= {f"kept.{key}": value for key, value in self.kept.items()}
        tensors |= {f"mask.{key}": value for key, value in self.masks.items()}
        tensors |= {f"method.{key}": value for key, value in method.tensors().items()}
        for index, slots in trainer.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items()}
        meta = {"run": self.described, "step": str(step), "best": repr(self.best), "trace": json.dumps(self.trace)}
        write_checkpoint(path, tensors, meta)

    def resume(self, path: Path | None, trainer: _Trainer, method: Method) -> int:
        """Take back what was saved; the number of steps that are done."""
        read = read_checkpoint(path) if path is not None else None
        if read is None or read[1].get("run") != self.described:
            return 0
        tensors, meta = read
        groups: dict[str, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            group, name = key.split(".", 1)
            groups.setdefault(group, {})[name] = value
        trainer.model.load_state_dict(groups["model"])
        self.kept, self.masks = groups.get("kept", {}), groups.get("mask", {})
        method.restore(groups.get("method", {}))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in groups.get("optimizer", {}).items():
            index, slot = key.split(".", 1)
            state.setdefault(int(index), {})[slot] = value
        described = trainer.optimizer.state_dict()["param_groups"]
        trainer.optimizer.load_state_dict({"state": state, "param_groups": described})
        self.best, self.trace = float(meta["best"]), json.loads(meta["trace"])
        return int(meta["step"])

    def finish(self, model: nn.Module) -> dict[str, Tensor]:
        """Give the network the weights of the best look."""
        model.load_state_dict(self.kept)
        model.eval()
        return self.masks


@contextmanager
def cut(weights: Sequence[Weight], masks: Mapping[str, Tensor]) -> Iterator[None]:
    """The weights under masks while a `with` block lasts, then exactly as before.

    Args:
        weights: matrices.
        masks: by name, where they stay.
    """
    held = [(weight, weight.value.clone()) for weight in weights]
    with torch.no_grad():
        for weight in weights:
            weight.value.masked_fill_(~masks[weight.name], 0)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in held:
                weight.value.copy_(value)


def _optimizer(model: nn.Module, training: Steps) -> torch.optim.Adam:
    learn = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.Adam(learn, lr=training.lr, betas=_BETAS)


def _in_groups(model: nn.Module, found: Prunable, kind: Kind) -> tuple[Prunable, list[Groups]]:
    """What of it belongs to heads, or to hidden units, and how it is grouped."""
    if kind not in _KINDS:
        raise UsageError(f'there is no pattern "{kind}"', f"There are n:m, as 2:4, {' and '.join(_KINDS)}.")
    groups = groups_of(model, kind, [weight.name for weight in found.weights])
    if not groups:
        raise UsageError(f"there are no {_KINDS[kind]} to prune", "Leave --pattern out, or --ignore less.")
    names = {member.name for each in groups for member in each.members}
    other = {weight.name: f"no part of the {kind}" for weight in found.weights if weight.name not in names}
    weights = [weight for weight in found.weights if weight.name in names]
    return replace(found, weights=weights, left_out=found.left_out | other), groups


def _check(goal: Goal, method: str, training: Steps, weights: Sequence[Weight]) -> None:
    if method not in METHODS:
        raise UsageError(f'there is no method "{method}"', f"There are {', '.join(METHODS)}.")
    check_sparsity(goal.sparsity)
    if isinstance(goal.pattern, tuple):
        check_pattern(goal.pattern, {weight.name: tuple(weight.value.shape) for weight in weights})
    if training.count < 0 or (training.count == 0 and method in ("elsa", "gradual-magnitude")):
        raise UsageError(f"{method} takes steps, got {training.count}", "Write --steps 1024, or --method magnitude.")
    if goal.steps != training.count:
        raise ValueError(f"a goal of {goal.steps} steps and training of {training.count}")
    if goal.interval < 1:
        raise UsageError(f"the interval must be at least one step, got {goal.interval}")
    if not training.lr > 0:
        raise UsageError(f"lr must be positive, got {training.lr}")


_KINDS = {
    "heads": "attention heads that are known as such",
    "units": "hidden units between two linear maps of an nn.Sequential or a Transformer layer",
}
_TRAINING = "Lower --lr, or look for values in the data that are out of range."
_AS_IT_IS = "The network forecasts so as it is: train it again, or look for values in the data that are out of range."


def _finite(value: float, what: str, remedy: str = _TRAINING) -> float:
    if not math.isfinite(value):
        raise UsageError(f"the {what} is {value}", remedy)
    return value


def _warnings(trace: Sequence[Mapping[str, float]], method: str) -> list[str]:
    if method != "elsa" or trace[-1]["residual"] <= CONVERGED:
        return []
    said = (
        f"ELSA has not converged: the weights ended {100 * trace[-1]['residual']:.1f} % from sparse ones (relative "
        f"residual; at most {100 * CONVERGED:g} %), so the last cut did harm. Raise --lr or --steps before --lam."
    )
    return [said]
