"""Tensors in few bytes: float32, bfloat16, or float8 with one scale a tensor."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Format = Literal["fp32", "bf16", "fp8"]
_LARGEST = torch.finfo(torch.float8_e4m3fn).max
_SAFETY = 1.05


class Stored:
    r"""A tensor that is kept in a format and always read as float32.

    .. math:: \hat x = s \, \mathrm{fp8}(x / s), \qquad s = 1.05 \max |x| / 448

    Args:
        value: at first.
        form: `fp32`, `bf16`, or `fp8` (e4m3 with a float32 scale a tensor).

    Source: Lee et al. 2026 (arXiv 2510.01650), ELSA-L.
    """

    def __init__(self, value: Tensor, form: Format = "fp32") -> None:
        self.form = form
        self.value = value

    @property
    def value(self) -> Tensor:
        """As float32; setting it rounds to the format."""
        return self._held.to(torch.float32) * self._scale if self.form == "fp8" else self._held.to(torch.float32)

    @value.setter
    def value(self, value: Tensor) -> None:
        self._scale = 1.0
        if self.form == "fp8":
            self._scale = float(value.abs().max()) * _SAFETY / _LARGEST or 1.0
            self._held = (value / self._scale).to(torch.float8_e4m3fn)
        else:
            self._held = value.to(torch.bfloat16 if self.form == "bf16" else torch.float32).clone()

    def tensors(self) -> dict[str, Tensor]:
        """What it holds, exactly."""
        return {"held": self._held, "scale": torch.tensor(self._scale, dtype=torch.float64)}

    def restore(self, held: Tensor, scale: Tensor) -> None:
        """Take back what `tensors` gave.

        Args:
            held: in the format.
            scale: of float8, else 1.
        """
        self._held, self._scale = held.clone(), float(scale)

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return self._held.numel() * self._held.element_size() + 4 * (self.form == "fp8")
