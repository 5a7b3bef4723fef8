"""A network that was trained elsewhere, as one that is trained on: copied, called as it has to be, and tried first."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.attention.sites import Forward
from forecheck.data.windows import Experiment
from forecheck.errors import ForecheckError, UsageError
from forecheck.forecasters.base import Task
from forecheck.forecasters.external import Wrap, calling, external_on, takes_times, unwrapped

_TRIED = 8
"""Windows."""


class Called(nn.Module):
    """A network behind a function that calls it, with the network's own names of modules and weights.

    Args:
        model: the network.
        calls: makes a function of windows of it, or of a copy.
    """

    _called: nn.Module

    def __init__(self, model: nn.Module, calls: Callable[[nn.Module], Forward]) -> None:
        super().__init__()
        self.__dict__["_called"], self._calls = model, calls  # no submodule, which would lengthen every name
        self._modules, self._parameters, self._buffers = model._modules, model._parameters, model._buffers  # noqa: SLF001

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The forecast."""
        forecast: Tensor = self._calls(self._called)(x)
        return forecast

    def train(self, mode: bool = True) -> Called:
        """As of every module."""
        self._called.training = mode
        super().train(mode)
        return self


def bare(network: nn.Module) -> nn.Module:
    """The network itself, without what calls it."""
    return network._called if isinstance(network, Called) else network  # noqa: SLF001


def trainable(
    model: nn.Module, experiment: Experiment, period: int, wrap: Wrap | None = None, *, trained: bool = True
) -> tuple[nn.Module, Experiment]:
    """A copy of a network in single precision that turns windows into forecasts, and the windows it is called with.

    It is taken out of what runs it on several devices, or compiled. That it gives forecasts of the right shape, finite
    and twice the same, and that it learns, is tried on a few windows.

    Args:
        model: the network.
        experiment: its data.
        period: steps a season.
        wrap: as in `forecheck.forecasters.external.external`.
        trained: whether it will be trained.

    Raises:
        UsageError: if it cannot be copied, called or trained, or gives something else than forecasts.
    """
    called = type(unwrapped(model)).__name__
    network = _copied(unwrapped(model), called)
    if takes_times(wrap):
        experiment = experiment.stamped()
    external_on(network, experiment, period, wrap, "standardised", None, None)
    test = experiment.test
    calls = calling(network, Task(test.lookback, test.horizon, test.channels, period), wrap)
    network = network if calls is None else Called(network, calls)
    if trained and any(parameter.requires_grad for parameter in network.parameters()):
        _check_learns(network, experiment.train.gather(slice(0, _TRIED))[0], called)
    return network.eval(), experiment


def _copied(model: nn.Module, called: str) -> nn.Module:
    """A copy in single precision on the CPU."""
    if isinstance(model, torch.jit.ScriptModule):
        raise UsageError(f"{called} is TorchScript, whose weights are not reached", "Give the module it was made from.")
    weights = [*model.parameters(), *model.buffers()]
    if any(torch.nn.parameter.is_lazy(each) for each in weights):
        raise UsageError(f"{called} has layers without a size yet", "Call it once on a window, and train it.")
    if any(each.is_meta for each in weights):
        raise UsageError(f"{called} has weights on the meta device, which have no values", "Load its weights first.")
    if other := [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]:
        raise UsageError(
            f"{called} holds what is no tensor ({other[0]}), as quantised layers do, and cannot be trained on",
            "Give it as it was before it was quantised.",
        )
    try:
        return copy.deepcopy(model).cpu().float()
    except Exception as error:
        raise UsageError(
            f"{called} cannot be copied: {type(error).__name__}: {error}",
            "Where weight_norm or torch's own pruning computes weights anew in every call, "
            "torch.nn.utils.remove_weight_norm and torch.nn.utils.prune.remove make them parameters again.",
        ) from error


def _check_learns(network: nn.Module, x: Tensor, called: str) -> None:
    """Refuse a network without gradients, or that fails in training mode (UsageError)."""
    tried: Any = copy.deepcopy(network).train()
    try:
        with torch.random.fork_rng(devices=()), torch.enable_grad():
            forecast = tried(x)
            if not forecast.requires_grad:
                raise UsageError(
                    f"{called} gives no gradient, so that it cannot be trained while it is pruned",
                    "Take no_grad, detach or numpy out of its forward, or ask for --method magnitude --steps 0.",
                )
            forecast.square().mean().backward()
    except ForecheckError:
        raise
    except Exception as error:
        raise UsageError(
            f"{called} cannot be trained: {type(error).__name__}: {error}",
            "It has to forecast in training mode too; or ask for --method magnitude --steps 0.",
        ) from error
