"""Products in bfloat16: half the memory and, where the machine has them, up to twice the speed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from forecheck.nn.plain import plainly
from forecheck.training.recipe import Precision


@contextmanager
def computed_in(precision: Precision, device: str) -> Iterator[None]:
    """Have what is computed in a `with` block be of a precision, as far as `torch.autocast` holds it to be safe.

    Matrix products and attention are in bfloat16, which has float32's range, so that no loss needs scaling; norms,
    losses and Fourier transforms are not. Our kernels for a CPU are of float32 alone: torch's take their place.

    Args:
        precision: `float32` changes nothing.
        device: where it is computed.
    """
    if precision == "float32":
        yield
        return
    with plainly(), torch.autocast(torch.device(device).type, torch.bfloat16):
        yield
