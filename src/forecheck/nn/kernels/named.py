"""Kernels by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from forecheck.nn.kernels.base import Kernel
from forecheck.nn.kernels.differential import Differential, SimpleDifferential
from forecheck.nn.kernels.linear import Linear
from forecheck.nn.kernels.log_sum_exp import LogSumExp
from forecheck.nn.kernels.softmax import Softmax

KernelName = Literal["softmax", "linear", "differential-simplified", "differential", "log-sum-exp"]
KERNELS: tuple[KernelName, ...] = get_args(KernelName)


def make_kernel(name: str, width: int, heads: int, depth: int = 0) -> Kernel:
    """A new kernel for one layer.

    Args:
        name: one of `KERNELS`.
        width: features of the queries of all heads together, as many as of the values.
        heads: their number.
        depth: the layer, from 0.

    Raises:
        ValueError: if there is no such kernel, or the width of a head cannot be cut into its parts.
    """
    makers: dict[str, Callable[[], Kernel]] = {
        "softmax": Softmax,
        "linear": Linear,
        "differential-simplified": SimpleDifferential,
        "differential": lambda: Differential(width, heads, depth),
        "log-sum-exp": LogSumExp,
    }
    if name not in makers:
        raise ValueError(f"no attention kernel is called {name!r}; known: {', '.join(makers)}")
    kernel = makers[name]()
    if (width // heads) % kernel.parts:
        raise ValueError(
            f"the {name} kernel cuts each head in {kernel.parts}: its width {width // heads} must be a multiple"
        )
    return kernel
