"""A vector autoregression fitted inside each window: the reference of every model that learns in context."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def fit_windows(
    windows: Float[Tensor, "window time channel"], order: int, ridge: float = 0.0
) -> Float[Tensor, "window lag channel channel"]:
    r"""Coefficients of every window by least squares without intercept, all windows at once.

    .. math:: \min_\Phi \sum_{t > p} \Big\| x_t - \sum_{k=1}^p \Phi_k x_{t-k} \Big\|^2 + \lambda \|\Phi\|_F^2

    Args:
        windows: at least p (channel + 1) steps, or the regression is not determined without a ridge.
        order: p.
        ridge: lambda, in squared units of the series.

    Returns:
        Phi_1 to Phi_p; rows are the channels that are forecast.
    """
    count, time, channels = windows.shape
    lagged = torch.cat([windows[:, order - k : time - k] for k in range(1, order + 1)], dim=2)
    second = lagged.mT @ lagged + ridge * torch.eye(order * channels, dtype=windows.dtype)
    weights = torch.linalg.solve(second, lagged.mT @ windows[:, order:])
    return weights.mT.reshape(count, channels, order, channels).transpose(1, 2)


def forecast_windows(
    windows: Float[Tensor, "window time channel"], coefficients: Float[Tensor, "window lag channel channel"]
) -> Float[Tensor, "window channel"]:
    r"""The next step of every window, :math:`\sum_k \Phi_k x_{N+1-k}`."""
    recent = windows.flip(1)[:, : coefficients.shape[1]]
    return torch.einsum("wlij,wlj->wi", coefficients, recent)
