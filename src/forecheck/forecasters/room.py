"""Whether a forecaster has room in memory, found before it is built: what does not fit would end the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from forecheck.data.memory import available_memory
from forecheck.errors import UsageError
from forecheck.forecasters.base import Forecaster, Task

_TENSORS = 20_000  # of weights; thousands of layers, whose making alone would take minutes
_BEYOND = 2.0**63  # bytes: sizes that torch cannot multiply
_TRAINING = 20  # bytes a weight: itself, its gradient, two moments of Adam, the best so far


class TooLargeError(ValueError):
    """More numbers than there may be.

    Args:
        count: how many there are at least.
    """

    def __init__(self, count: int) -> None:
        super().__init__(f"its description asks for {count:,} weights or more, and it does not hold so many")
        self.count = count


class TooManyError(ValueError):
    """More layers than anybody trains."""

    def __init__(self) -> None:
        super().__init__(f"it would have more than {_TENSORS:,} tensors of weights; give it fewer layers")


def count_weights(build: Callable[[], object], most: float, *, buffers: bool = False) -> int:
    """Numbers in the parameters of what `build` makes, without holding any of them.

    Args:
        build: makes networks; it is run on the device `meta`, where tensors have shapes and no content.
        most: numbers beyond which it is stopped.
        buffers: count those in buffers as well, such as codes that are means.

    Raises:
        TooLargeError: if there are more.
        TooManyError: if they are in more tensors than any network has.
    """
    count = tensors = 0

    def registered(_: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal count, tensors
        del name
        tensors += 1
        count += 0 if tensor is None else tensor.numel()
        if count > most:
            raise TooLargeError(count)
        if tensors > _TENSORS:
            raise TooManyError

    hooks = [register_module_parameter_registration_hook(registered)]
    if buffers:
        hooks.append(register_module_buffer_registration_hook(registered))
    try:
        with torch.device("meta"):
            build()
    finally:
        for hook in hooks:
            hook.remove()
    return count


def training_room(build: Callable[[], object], free: int) -> float:
    """Bytes that training what `build` makes takes at least; counted no further than what is free."""
    try:
        return _TRAINING * count_weights(build, free / _TRAINING, buffers=True)
    except TooLargeError as error:
        return _TRAINING * float(error.count)
    except TooManyError:
        raise
    except Exception as error:  # noqa: BLE001  a network of somebody else's that cannot be built without content
        return _BEYOND if "overflow" in str(error).lower() else 0.0


def check_room(forecaster: type[Forecaster], task: Task, config: Any) -> None:
    """Refuse what cannot be fitted on this machine.

    Args:
        forecaster: class of the forecaster, not yet built.
        task: lookback, horizon, channels and period.
        config: its options; None for its defaults.

    Raises:
        UsageError: if it needs more memory than is free; the message names both.
        TooManyError: if it has more layers than anybody trains.
    """
    free = available_memory()
    if free is None:
        return
    needed = forecaster.room(task, config, free)
    if needed > free:
        raise UsageError(
            f"{forecaster.name} with a lookback of {task.lookback}, a horizon of {task.horizon} and {task.channels} "
            f"channels needs {needed / 1e9:.3g} GB of memory or more, and {free / 1e9:.3g} GB are free",
            "Give a shorter --lookback or --horizon, smaller options (--set), or another model.",
        )
