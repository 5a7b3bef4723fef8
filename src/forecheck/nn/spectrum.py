"""Fourier transforms over time, of series of any floating type."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

_HALVES = (torch.float16, torch.bfloat16)


def single(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """`x` in float32 where its type is one that has no complex counterpart on every device."""
    return x.float() if x.dtype in _HALVES else x


def spectrum(x: Float[Tensor, "batch time *features"]) -> Complex[Tensor, "batch frequency *features"]:
    """The frequencies of real series; half types in single precision."""
    return torch.fft.rfft(single(x), dim=1)


def series(
    frequencies: Complex[Tensor, "batch frequency *features"], time: int, like: Float[Tensor, "..."]
) -> Float[Tensor, "batch time *features"]:
    """The real series of `time` steps that have these frequencies, in the type of `like`.

    Args:
        frequencies: of every series.
        time: T, steps.
        like: a tensor of the type wanted.
    """
    return torch.fft.irfft(frequencies, n=time, dim=1).to(like.dtype)
