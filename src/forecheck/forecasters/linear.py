"""Closed-form linear forecasters: linear, NLinear, RLinear and DLinear, fitted exactly in one pass over the series.

Every member forecasts by one affine map of the input window. They differ in what they subtract first and, under
ridge, in what they hold to be a small weight; nothing is learnt by gradient descent and no window is built.

Source: Zeng et al., *Are Transformers Effective for Time Series Forecasting?*, AAAI 2023 (Linear, NLinear, DLinear);
Li et al., *Revisiting Long-term Time Series Forecasting: An Investigation on Linear Mapping*, 2023 (RLinear, whose
division by the window's standard deviation is left out here); Toner & Darlow, *An Analysis of Linear Time Series
Forecasting Models*, ICML 2024 (their function classes, and least squares in their place).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.errors import DataError, UsageError
from forecheck.forecasters.base import FitReport, Forecaster, Task
from forecheck.forecasters.gram import Gram, gram_of
from forecheck.forecasters.linear_ridge import RIDGE_PATH, Ridge, fit_ridge
from forecheck.forecasters.registry import register
from forecheck.progress import Progress

C = TypeVar("C", bound="ClosedForm")


@dataclass(frozen=True)
class LinearConfig:
    """Options of the closed-form linear forecasters.

    Attributes:
        ridge: strength of the penalty on the weights, in units of the mean eigenvalue of their Gram matrix; 0 is
            least squares (of minimum norm where that is not unique); None chooses on the validation windows.
        bias: fit an unpenalised intercept for every step of the forecast.
        per_channel: give every channel its own Gram matrix, strength and weights instead of shared ones.
    """

    ridge: float | None = None
    bias: bool = True
    per_channel: bool = False

    def __post_init__(self) -> None:
        if self.ridge is not None and not (self.ridge >= 0 and math.isfinite(self.ridge)):
            raise ValueError(f"ridge must be finite and not negative, got {self.ridge}")


@dataclass(frozen=True)
class DLinearConfig(LinearConfig):
    """Options of DLinear.

    Attributes:
        kernel: odd number of steps that the moving average runs over.
    """

    kernel: int = 25

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kernel(self.kernel)


class ClosedForm(Forecaster):
    r"""A linear forecaster by ridge regression.

    .. math:: \hat y = m 1 + W^\top F^\top (x - m 1) + b, \qquad m = p^\top x

    A member says what it subtracts (p) and the basis F in which its weights are penalised. What is kept is the one
    affine map that this makes, :math:`\hat y = V^\top x + b` with :math:`V = F W + p (1 - W^\top F^\top 1)^\top`.
    """

    Config: ClassVar[type[Any]] = LinearConfig
    normalisation: ClassVar[str] = "none"
    mixes = "steps of one channel, by one linear map"

    def __init__(self, task: Task, config: Any = None) -> None:
        super().__init__(task, config)
        self._weight: Float[Tensor, "group lookback horizon"] | None = None  # one group, or one a channel
        self._bias: Float[Tensor, "group horizon"] | None = None

    @cached_property
    def _functional(self) -> Float[np.ndarray, " lookback"] | None:
        """The linear functional p whose value is subtracted from the window, if any."""
        return None

    @cached_property
    def _basis(self) -> Float[np.ndarray, "lookback lookback"] | None:
        """The basis F in which ridge penalises the weights, if it is not that of the window's steps."""
        return None

    def fit(self, train: Windows, validation: Windows, seed: int = 0, progress: Progress | None = None) -> FitReport:
        """Solve for the weights; `seed` changes nothing.

        `details` holds the chosen `ridge`, the `strengths` of the path and `validation_mse` at each of them (lists
        of these, one a channel, for `ridge` and `validation_mse` if `per_channel`), `normalisation` and `bias`.

        Args:
            train, validation, seed, progress: as in `Forecaster.fit`.
        """
        del seed
        start = time.perf_counter()
        sums = ((gram_of(train, group), gram_of(validation, group)) for group in self.groups)
        return replace(self.fit_sums(sums, progress), seconds=time.perf_counter() - start)

    def fit_sums(self, sums: Iterable[tuple[Gram, Gram]], progress: Progress | None = None) -> FitReport:
        """Solve for the weights by the Gram matrices of training and validation windows; see `fit`.

        Args:
            sums: of both, of every one of `groups`; each may be a sum over parts of the data.
            progress: as in `Forecaster.fit`.
        """
        start = time.perf_counter()
        strengths = RIDGE_PATH if self.config.ridge is None else (self.config.ridge,)
        fits: list[Ridge] = []
        for train, validation in sums:
            fits.append(fit_ridge(train, validation, strengths, bias=self.config.bias, seen=self._seen))
            if progress is not None:
                progress(len(fits) / len(self.groups), "weights")
        self._weight, self._bias = self._maps(fits)
        chosen = [fit.strength for fit in fits]
        errors = [fit.validation_mse.tolist() for fit in fits]
        return FitReport(
            seconds=time.perf_counter() - start,
            parameters=self.parameters,
            details={
                "ridge": chosen if self.config.per_channel else chosen[0],
                "strengths": list(strengths),
                "validation_mse": errors if self.config.per_channel else errors[0],
                "normalisation": self.normalisation,
                "bias": self.config.bias,
            },
        )

    @property
    def parameters(self) -> int:
        """A map and, with `bias`, an intercept for every group of channels."""
        return len(self.groups) * (self.task.lookback + int(self.config.bias)) * self.task.horizon

    @classmethod
    def room(cls, task: Task, config: Any, free: int) -> float:
        """Gram matrices of training and validation windows, and the work on them."""
        del config, free
        return 32.0 * task.lookback * (task.lookback + task.horizon)

    @property
    def groups(self) -> list[slice]:
        """Channels that share a Gram matrix, a strength and weights."""
        return [slice(c, c + 1) for c in range(self.task.channels)] if self.config.per_channel else [slice(None)]

    def refitted(self: C, grams: Sequence[Gram], strengths: Sequence[float]) -> C:
        """The same forecaster fitted on the windows of these Gram matrices at these strengths, one a group."""
        again = type(self)(self.task, self.config)
        fits = [
            fit_ridge(one, one, (rho,), bias=self.config.bias, seen=self._seen)
            for one, rho in zip(grams, strengths, strict=True)
        ]
        again._weight, again._bias = self._maps(fits)  # noqa: SLF001  of its own class
        return again

    def _maps(
        self, fits: Sequence[Ridge]
    ) -> tuple[Float[Tensor, "group lookback horizon"], Float[Tensor, "group horizon"]]:
        weight = np.stack([self._unfold(fit.weight) for fit in fits])
        return torch.from_numpy(weight), torch.from_numpy(np.stack([fit.bias for fit in fits]))

    def _seen(self, result: Gram) -> Gram:
        """The Gram matrix of windows as the regression sees them."""
        functional, basis = self._functional, self._basis
        if functional is not None:
            result = result.normalised(functional)
        return result if basis is None else result.mapped(basis)

    def _unfold(self, weight: Float[np.ndarray, "lookback horizon"]) -> Float[np.ndarray, "lookback horizon"]:
        """Weights on the raw window: V from W."""
        functional, basis = self._functional, self._basis
        if basis is not None:
            weight = basis @ weight
        if functional is not None:
            weight = weight + np.outer(functional, 1 - weight.sum(axis=0))
        return weight

    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The affine map, in float64 whatever the type of `x`, so that a batch's rounding does not show.

        Raises:
            UsageError: if nothing was fitted yet.
        """
        weight, bias = self._fitted()
        steps = x.transpose(1, 2).double()  # (batch, channel, lookback)
        # One product with shared weights: a product a channel would copy them for every channel.
        y = steps @ weight[0] if len(weight) == 1 else torch.einsum("bcl,clh->bch", steps, weight)
        return (y + bias).transpose(1, 2).to(x.dtype)  # (batch, horizon, channel)

    def _fitted(self) -> tuple[Float[Tensor, "group lookback horizon"], Float[Tensor, "group horizon"]]:
        if self._weight is None or self._bias is None:
            raise UsageError(f"{self.name} is not fitted", "Call fit, or load a saved one.")
        return self._weight, self._bias

    def tensors(self) -> dict[str, Tensor]:
        """`weight` V and `bias` b, float64, with one group or one a channel in front."""
        weight, bias = self._fitted()
        return {"weight": weight, "bias": bias}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave.

        Raises:
            DataError: if shapes are not those of the task.
        """
        groups = self.task.channels if self.config.per_channel else 1
        weight, bias = tensors["weight"], tensors["bias"]
        expected = (groups, self.task.lookback, self.task.horizon)
        if tuple(weight.shape) != expected or tuple(bias.shape) != (groups, self.task.horizon):
            raise DataError(
                f"weights of {self.name} have shape {tuple(weight.shape)} (bias {tuple(bias.shape)}), "
                f"but the task needs {expected}"
            )
        self._weight, self._bias = weight.double(), bias.double()


@register
class NLinear(ClosedForm):
    r"""Linear map of the window less its last value: :math:`\hat y = x_L + W^\top (x - x_L) + b`."""

    name = "nlinear"
    summary = "closed-form linear map of the window less its last value"
    source = "Zeng et al., AAAI 2023 (NLinear); Toner & Darlow, ICML 2024"
    rank = 10
    normalisation = "last value"

    @cached_property
    def _functional(self) -> Float[np.ndarray, " lookback"]:
        functional = np.zeros(self.task.lookback)
        functional[-1] = 1
        return functional


@register
class RLinear(ClosedForm):
    r"""Linear map of the window less its mean: :math:`\hat y = \bar x + W^\top (x - \bar x) + b`.

    Without ridge this is NLinear: both are all affine maps whose weights sum to one. Ridge tells them apart: it
    draws this one to the window's mean, NLinear to its last value.
    """

    name = "rlinear"
    summary = "closed-form linear map of the window less its mean"
    source = "Li et al., 2023 (RLinear); Toner & Darlow, ICML 2024"
    rank = 11
    normalisation = "window mean"

    @cached_property
    def _functional(self) -> Float[np.ndarray, " lookback"]:
        return np.full(self.task.lookback, 1 / self.task.lookback)


@register
class Linear(ClosedForm):
    r"""Linear map of the window as it is: :math:`\hat y = W^\top x + b`; ridge draws it to the training mean."""

    name = "linear"
    summary = "closed-form linear map of the window"
    source = "Zeng et al., AAAI 2023 (Linear); Toner & Darlow, ICML 2024"
    rank = 12


@register
class DLinear(ClosedForm):
    r"""Linear maps of the window's moving average and of what remains.

    .. math:: \hat y = U_r^\top (x - A^\top x) + U_t^\top A^\top x + b

    with A the moving average of `kernel` steps, edges padded by replication. Both parts are linear in the window,
    so without ridge this spans the same functions as `linear`; ridge on :math:`U = (U_r; U_t)` is another prior.
    With M = (I - A, A) the weights on the window are V = M U, the cheapest U for a given V costs
    :math:`\|U\|^2 = \operatorname{tr} V^\top (M M^\top)^{-1} V`, and with the Cholesky factor
    :math:`F F^\top = M M^\top` this is plain ridge on :math:`W = F^{-1} V`: exactly the regression on the 2 L
    stacked features, from a Gram matrix of L rows. :math:`M M^\top` is never singular, since no window but zero
    has both parts zero. The strength is relative to the trace over L of that Gram matrix, which is that of the 2 L.
    """

    name = "dlinear"
    summary = "closed-form linear maps of the window's moving average and remainder"
    source = "Zeng et al., AAAI 2023 (DLinear); Toner & Darlow, ICML 2024"
    rank = 13
    Config = DLinearConfig
    normalisation = "moving average and remainder"

    @cached_property
    def _basis(self) -> Float[np.ndarray, "lookback lookback"]:
        trend = moving_average(self.task.lookback, self.config.kernel)
        remainder = np.eye(self.task.lookback) - trend
        return np.linalg.cholesky(remainder @ remainder.T + trend @ trend.T)


def check_kernel(kernel: int) -> None:
    """Refuse what is no length of a centred moving average.

    Raises:
        ValueError: if it is even or not positive.
    """
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel must be odd and positive, got {kernel}")


def moving_average(lookback: int, kernel: int) -> Float[np.ndarray, "lookback lookback"]:
    r"""Matrix A of the centred moving average, edges padded by replication: the trend of x is :math:`A^\top x`.

    Args:
        lookback: L, rows of the window.
        kernel: steps averaged, odd; may exceed L.
    """
    trend = np.zeros((lookback, lookback))
    steps = np.arange(lookback)
    for shift in range(-(kernel // 2), kernel // 2 + 1):
        trend[np.clip(steps + shift, 0, lookback - 1), steps] += 1 / kernel
    return trend
