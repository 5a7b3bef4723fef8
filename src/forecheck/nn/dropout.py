"""Dropout from bytes: on a CPU, drawing one float a unit is the largest cost of training a small Transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from forecheck.nn.plain import plain


class _Masked(torch.autograd.Function):
    """base + x * keep * scale, keeping only the bytes for the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, scale: float, base: Tensor | None) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        kept = keep.to(x.dtype)
        return kept.mul_(x).mul_(scale) if base is None else torch.addcmul(base, kept, x, value=scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, Tensor | None]:
        (keep,) = ctx.saved_tensors
        d_base = grads[0] if ctx.needs_input_grad[3] else None
        return keep.to(grads[0].dtype).mul_(grads[0]).mul_(ctx.scale), None, None, d_base


class Dropout(nn.Module):
    r"""Inverted dropout whose rate is rounded to a multiple of 1/256.

    .. math:: y = x \cdot m / (1 - p), \qquad m \sim \mathrm{Bernoulli}(1 - p)

    On a CPU every random byte decides one unit. The generator is the module's own, set by `reseed`, so that two arms
    of an experiment draw the same masks whatever the rest of their models draws. Elsewhere masks come from torch's
    stream of the device.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {p}")
        self.threshold = min(255, round(256 * p))  # something is always kept
        self.p = self.threshold / 256
        self.scale = 1 / (1 - self.p)
        self._bits = np.random.SFC64(0)

    def reseed(self, *entropy: int) -> None:
        """Start the mask stream that belongs to these numbers (a module's seed and the step)."""
        self._bits = np.random.SFC64(entropy)

    def forward(
        self, x: Float[Tensor, "*shape"], base: Float[Tensor, "*shape"] | None = None
    ) -> Float[Tensor, "*shape"]:
        """`x` with units dropped while training, `x` itself otherwise; added to `base` if there is one."""
        if plain(x.device):
            dropped = nn.functional.dropout(x, self.p, self.training)
            return dropped if base is None else base + dropped
        keep = self.draw(x.shape)
        if keep is None:
            return x if base is None else base + x
        result: Tensor = _Masked.apply(x, keep, self.scale, base)  # type: ignore[no-untyped-call]
        return result

    def draw(self, shape: Sequence[int]) -> UInt8[Tensor, "..."] | None:
        """One byte a unit, 1 to keep it and 0 to drop it; None if nothing is to be dropped."""
        if not self.training or self.threshold == 0:
            return None
        count = int(np.prod(shape))
        words = self._bits.random_raw((count + 7) // 8)
        # Bytes stay bytes: torch turns uint8 into float several times faster than bool.
        below = self.threshold - 1
        keep = torch.from_numpy(words.view(np.uint8)[:count]).clamp_(below, below + 1).sub_(below)
        return keep.view(tuple(shape))
