"""The closed-form linear surrogate: how much of a forecaster is a linear function of its window?"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecheck.data.windows import Experiment, Windows
from forecheck.forecasters.base import Forecaster
from forecheck.probes.case import batches, number, observed_mean, spread

_RIDGE = 1e-7  # of the mean eigenvalue: forecasts have no noise, so this only keeps the solution unique
_ROWS_A_WEIGHT = 8
_WINDOWS = 4096
_ACROSS = 768  # inputs of a map across channels, at most


def surrogate(
    forecaster: Forecaster, experiment: Experiment, index: Int[Tensor, " window"]
) -> tuple[dict[str, Any], Float[Tensor, " window"] | None]:
    r"""Fit an affine map of the window to forecasts of training windows, and see how well it forecasts test forecasts.

    .. math:: \min_{W, b} \sum \|f(x) - W^\top x - b\|^2

    Ridge of :math:`10^{-7}` mean eigenvalues, float64. `shared` is one map for all channels, each from its own past;
    `across` maps all channels to all channels, where these are few (lookback times channels at most 768) and windows
    are twice as many. On test forecasts each gives

    - `r2`: 1 - squared error over the variance of the forecasts (a channel's, all steps together);
    - `r2_change`: the same with the forecasts' distance from the last value below: what there is beyond persistence;
    - `mse` of the surrogate against the truth; reported beside the forecaster's own `mse`: what its non-linear part
      is worth.

    Args:
        forecaster: fitted; it is only asked for forecasts.
        experiment: the panel, cut into windows.
        index: which test windows the surrogates are judged on.

    Returns:
        These numbers, and the squared error of the better fitting surrogate in every one of the test windows; None if
        there were too few training windows.
    """
    train, test = experiment.train, experiment.test
    inputs = train.lookback * train.channels
    wanted = max(256, -(-_ROWS_A_WEIGHT * train.lookback // train.channels))
    found: dict[str, Any] = {}
    losses: dict[float, Tensor] = {}
    held_out = _windows(forecaster, test, index)
    x, y, forecast = held_out
    found["mse"] = number(observed_mean((forecast - y).square()))
    found["windows"] = {"test": len(x)}
    seen = spread(train, min(_WINDOWS, wanted))
    fitted = _windows(forecaster, train, seen)
    found["windows"]["train"] = len(seen)
    if len(seen) * train.channels < 2 * train.lookback:
        found["shared"] = {"why_not": f"{len(seen)} training windows are too few for a lookback of {train.lookback}"}
    else:
        weight = _ridge(_apart(fitted[0]), _apart(fitted[2]))
        linear = _together(_affine(_apart(x), weight), x.shape[2])
        found["shared"] = _judged(linear, *held_out)
        losses[float((linear - forecast).square().mean())] = observed_mean((linear - y).square(), dim=(1, 2))
    if train.channels > 1 and inputs <= _ACROSS and len(train) >= 2 * inputs:
        some = torch.linspace(0, len(train) - 1, min(len(train), _ROWS_A_WEIGHT * inputs)).round().long()
        fitted = _windows(forecaster, train, some)
        weight = _ridge(fitted[0].flatten(1), fitted[2].flatten(1))
        linear = _affine(x.flatten(1), weight).view_as(forecast)
        found["across"] = _judged(linear, *held_out)
        losses[float((linear - forecast).square().mean())] = observed_mean((linear - y).square(), dim=(1, 2))
    return found, losses[min(losses)] if losses else None


def _windows(
    forecaster: Forecaster, windows: Windows, index: Int[Tensor, " window"]
) -> tuple[
    Float[Tensor, "window lookback channel"],
    Float[Tensor, "window horizon channel"],
    Float[Tensor, "window horizon channel"],
]:
    """Inputs, targets and forecasts, float64."""
    parts = [(x, y, forecaster.predict(x)) for x, y in batches(windows, index)]
    x, y, forecast = (torch.cat(each).double() for each in zip(*parts, strict=True))
    return x, y, forecast


def _apart(x: Float[Tensor, "window step channel"]) -> Float[Tensor, "row step"]:
    """Every channel a row of its own."""
    return x.transpose(1, 2).flatten(0, 1)


def _together(rows: Float[Tensor, "row step"], channels: int) -> Float[Tensor, "window step channel"]:
    """What `_apart` took apart."""
    return rows.unflatten(0, (-1, channels)).transpose(1, 2)  # type: ignore[no-untyped-call]


def _ridge(x: Float[Tensor, "row inputs"], y: Float[Tensor, "row outputs"]) -> Float[Tensor, "inputs_plus_one outputs"]:
    """Weights, and the intercept in the last row; the intercept costs nothing."""
    mean_x, mean_y = x.mean(dim=0), y.mean(dim=0)
    centred = x - mean_x
    gram = centred.T @ centred
    penalty = _RIDGE * gram.trace() / len(gram)
    weight = torch.linalg.solve(
        gram + penalty.clamp(min=1e-12) * torch.eye(len(gram)).to(gram), centred.T @ (y - mean_y)
    )
    return torch.cat([weight, (mean_y - mean_x @ weight)[None]])


def _affine(
    x: Float[Tensor, "row inputs"], weight: Float[Tensor, "inputs_plus_one outputs"]
) -> Float[Tensor, "row outputs"]:
    return x @ weight[:-1] + weight[-1]


def _judged(
    linear: Float[Tensor, "window horizon channel"],
    x: Float[Tensor, "window lookback channel"],
    y: Float[Tensor, "window horizon channel"],
    forecast: Float[Tensor, "window horizon channel"],
) -> dict[str, Any]:
    error = (linear - forecast).square().mean()
    spread_ = (forecast - forecast.mean(dim=(0, 1))).square().mean()
    change = (forecast - x[:, -1:]).square().mean()
    mse = observed_mean((linear - y).square())
    return {
        "r2": number(1 - error / spread_),
        "r2_change": number(1 - error / change),
        "mse": number(mse),
        "ratio": number(mse / observed_mean((forecast - y).square())),
    }
