"""One fit by several processes, as torchrun starts them: each takes a part of every batch, and gradients add up.

Batches, order and learning rates are those of one process, so that the course of training is the same but for rounding,
and for dropout, of which every part has the masks that a batch of its size would have. Batch norms take their
statistics over all parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecheck.errors import UsageError

_PATIENCE = timedelta(days=30)  # others wait while the first process scores; that one died is noticed by torchrun


@dataclass(frozen=True)
class Group:
    """The processes of a fit.

    Attributes:
        rank: number of this one.
        size: of all.
    """

    rank: int
    size: int


_JOINED: ContextVar[Group | None] = ContextVar("joined", default=None)
_FITTING: ContextVar[Group | None] = ContextVar("fitting", default=None)


@contextmanager
def joined() -> Iterator[Group]:
    """Meet the other processes that torchrun started, for the time of a `with` block."""
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    group = Group(dist.get_rank(), dist.get_world_size())
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    token = _JOINED.set(group)
    try:
        yield group
    finally:
        _JOINED.reset(token)
        if _FITTING.get() is None:  # in the middle of a fit the others do not listen
            dist.destroy_process_group()


def met() -> Group | None:
    """The processes that this one has met; None if it is alone."""
    return _JOINED.get()


def tell(message: Any) -> Any:
    """What the first process says, in all of them; all have to call it.

    Raises:
        UsageError: if an earlier fit failed in this process alone.
    """
    if _FITTING.get() is not None:
        raise UsageError("a fit of these processes failed before, in one of them", "Start them again.")
    held = [message]
    dist.broadcast_object_list(held, src=0)
    return held[0]


@contextmanager
def fitting() -> Iterator[None]:
    """Fit together while a `with` block lasts, which all processes have to be in; nothing if this one is alone.

    After an error other than that of training itself the group is of no more use.
    """
    token = _FITTING.set(_JOINED.get())
    try:
        yield
    except FloatingPointError:  # in all processes at once: the loss is the sum of the parts
        _FITTING.reset(token)
        raise
    else:
        _FITTING.reset(token)


def leads() -> bool:
    """Whether this process writes; one that is alone does."""
    group = _FITTING.get()
    return group is None or group.rank == 0


def part_of(index: Int[Tensor, " batch"]) -> tuple[Int[Tensor, " part"], float]:
    """The part of a batch that this process takes, and its weight: 1, but where there are too few for all."""
    group = _FITTING.get()
    if group is None:
        return index, 1.0
    if len(index) < group.size:
        return index, 1 / group.size
    return index.tensor_split(group.size)[group.rank], 1.0


def mine(number: int) -> bool:
    """Whether this process takes the batch of this number where batches are dealt out."""
    group = _FITTING.get()
    return group is None or number % group.size == group.rank


def added(*numbers: float) -> list[float]:
    """Numbers summed over the processes."""
    if _FITTING.get() is None:
        return list(numbers)
    held = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(held)
    return held.tolist()


def add_gradients(model: nn.Module) -> None:
    """Sum the gradients of a model over the processes."""
    if _FITTING.get() is None:
        return
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    flat = torch.cat([each.flatten() for each in gradients])
    dist.all_reduce(flat)
    for gradient, whole in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):  # type: ignore[no-untyped-call]
        gradient.copy_(whole.view_as(gradient))


def check_same(number: int, what: str) -> None:
    """Wait for the others, who must have come to the same number.

    Raises:
        UsageError: if they have not.
    """
    group = _FITTING.get()
    if group is None:
        return
    low, high = (int(each) for each in (-_largest(-number), _largest(number)))
    if low != high:
        raise UsageError(
            f"the processes of this fit see different {what}: {low} and {high}",
            "Give all of them the same --store, in a folder that all machines share.",
        )


def _largest(number: int) -> int:
    held = torch.tensor(number)
    dist.all_reduce(held, op=dist.ReduceOp.MAX)
    return int(held)


class _Sum(torch.autograd.Function):
    """The sum over processes; so is the gradient, since the loss is a sum over them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        held = x.clone()
        dist.all_reduce(held)
        return held

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        held = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(held)
        return held


class _SharedNorm(nn.BatchNorm1d):
    """Batch normalisation whose batch is in several processes."""

    def forward(self, x: Float[Tensor, "row feature *rest"]) -> Float[Tensor, "row feature *rest"]:
        """As the whole batch would be normalised."""
        if not self.training:
            return super().forward(x)
        others = [axis for axis in range(x.dim()) if axis != 1]
        shape = [1, -1, *[1] * (x.dim() - 2)]
        count = _summed(x.new_tensor(x.numel() / x.shape[1]))
        mean = _summed(x.sum(dim=others)) / count
        centred = x - mean.view(shape)
        variance = _summed(centred.square().sum(dim=others)) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        normed = centred * (variance + self.eps).rsqrt().view(shape)
        return normed if not self.affine else normed * self.weight.view(shape) + self.bias.view(shape)


def _summed(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    found: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return found


@contextmanager
def shared_norms(model: nn.Module) -> Iterator[None]:
    """Have batch norms see the whole batch while a `with` block lasts; nothing if this process is alone.

    Raises:
        UsageError: if codes are to move with what they stand for, which no process sees whole.
    """
    if _FITTING.get() is not None and any(getattr(each, "variant", "") == "vq-tuned" for each in model.modules()):
        raise UsageError("codes that are tuned in training need whole batches", "Run it without torchrun.")
    norms = [] if _FITTING.get() is None else [each for each in model.modules() if type(each) is nn.BatchNorm1d]
    for norm in norms:
        norm.__class__ = _SharedNorm
    try:
        yield
    finally:
        for norm in norms:
            norm.__class__ = nn.BatchNorm1d
