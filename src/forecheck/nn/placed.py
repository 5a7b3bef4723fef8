"""Networks on a device: windows are brought to them from wherever they are, and forecasts go back there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


def place(module: Any, device: str) -> None:
    """Move a network to a device, where it can be called with windows that are elsewhere.

    Args:
        module: an `nn.Module` whose first argument is a tensor, and which gives one.
        device: name of the device.
    """
    module.to(device)
    if device != "cpu" and not hasattr(module, "came_from"):  # back on the CPU what is hooked in does nothing
        module.came_from = torch.device("cpu")
        module.register_forward_pre_hook(_there)
        module.register_forward_hook(_back)


def device_of(module: nn.Module) -> torch.device:
    """Where a network's weights are; the CPU if it has none."""
    held = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if held is None else held.device


def _there(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    module.came_from = args[0].device
    return (args[0].to(device_of(module)), *args[1:])


def _back(module: Any, args: tuple[Any, ...], output: Tensor) -> Tensor:
    del args
    return output.to(module.came_from)


def doubles(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """In double precision; on the CPU where the device has none."""
    return (x if x.device.type in ("cpu", "cuda") else x.cpu()).double()


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Have a device compute the same twice while a `with` block lasts, and leave torch's random streams as they were.

    Operations that cannot be repeated exactly on a GPU warn.
    """
    where = torch.device(device)
    asked = where.type == "cuda" and not torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[where.index or 0] if where.type == "cuda" else []):
        if asked:
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            if asked:
                torch.use_deterministic_algorithms(False)
