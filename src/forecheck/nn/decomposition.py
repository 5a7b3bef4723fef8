"""Splitting a series into a trend, which is a moving average, and what remains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


def moving_average(x: Float[Tensor, "batch time feature"], kernel: int) -> Float[Tensor, "batch time feature"]:
    r"""Centred moving average over time, edges padded by replication.

    .. math:: \bar x_t = \frac{1}{k} \sum_{j=-\lfloor k/2 \rfloor}^{\lfloor (k-1)/2 \rfloor} x_{t+j}

    An even kernel reaches one step further back than ahead.

    Args:
        x: the series.
        kernel: k, steps averaged; may exceed the length.

    Source: Wu et al. 2021 (Autoformer, arXiv 2106.13008), equation 1; Zeng et al. 2023 (DLinear).
    """
    before, after = kernel // 2, (kernel - 1) // 2
    padded = torch.cat([x[:, :1].expand(-1, before, -1), x, x[:, -1:].expand(-1, after, -1)], dim=1)
    averaged: Tensor = nn.functional.avg_pool1d(padded.mT, kernel, stride=1)
    return averaged.mT


class SeriesDecomposition(nn.Module):
    r"""Remainder and trend, which sum to the series.

    .. math:: t = \sum_i \mathrm{softmax}(x W + b)_i \, \mathrm{MA}_{k_i}(x), \qquad s = x - t

    One kernel has no weights. Several are mixed at every step and feature by that value itself (a mixture of experts).

    Source: Autoformer, equation 1; for several kernels Zhou et al. 2022 (FEDformer, arXiv 2201.12740), section 3.4.
    """

    def __init__(self, kernels: Sequence[int]) -> None:
        super().__init__()
        if not kernels or min(kernels) < 1:
            raise ValueError(f"moving averages must run over at least one step, got {tuple(kernels)}")
        self.kernels = tuple(kernels)
        self.gate = nn.Linear(1, len(kernels)) if len(kernels) > 1 else None

    def forward(
        self, x: Float[Tensor, "batch time feature"]
    ) -> tuple[Float[Tensor, "batch time feature"], Float[Tensor, "batch time feature"]]:
        """Remainder s and trend t."""
        if self.gate is None:
            trend = moving_average(x, self.kernels[0])
        else:
            averages = torch.stack([moving_average(x, kernel) for kernel in self.kernels], dim=-1)
            trend = (averages * torch.softmax(self.gate(x[..., None]), dim=-1)).sum(dim=-1)
        return x - trend, trend
