"""neuralforecast: how its models forecast a plain window; their attention is found as anybody's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from forecheck.attention.calls.wrapped import (
    Wrapped,
    check_horizon,
    classes_of,
    contains,
    last_steps,
    module_of,
    seeded,
)
from forecheck.attention.sites import Attached, Forward, Subject, evaluating
from forecheck.errors import UsageError


class NeuralforecastAdapter:
    """Takes single models, fitted or not; of a `NeuralForecast` object, the ones in its `models`."""

    name = "neuralforecast"

    def wrap(self, model: object, horizon: int) -> Forward | None:
        """The point forecast of a neuralforecast model; None for anything else.

        Windows are scaled by the model's own scaler. Univariate models forecast each channel alone. Of a distribution
        the mean is taken, of quantiles the one nearest to the median.

        Raises:
            UsageError: if the model forecasts fewer steps, step by step, or from exogenous variables; when called, if
                the window is too short for it or has other channels.
        """
        if "BaseModel" not in classes_of(model, "neuralforecast"):
            return None
        known: Any = model
        check_horizon(horizon, known.h, model)
        name = type(model).__name__
        if known.futr_exog_size or known.hist_exog_size or known.stat_exog_size:
            raise UsageError(f"{name} was built with exogenous variables, which windows do not have")
        if known.RECURRENT:
            raise UsageError(f"{name} forecasts step by step", "Build it with recurrent=False, or give wrap=.")
        return Wrapped(known, _windows(known, horizon))

    @contextmanager
    def attach(self, subject: Subject, example: Tensor) -> Iterator[Attached]:
        """Reach the attention of a neuralforecast model, which is torch's fused function or a written out softmax."""
        module = module_of(subject)
        if module is None or not contains(module, "neuralforecast"):
            with evaluating(module):
                yield Attached(self.name, [], subject.forward)
            return
        from forecheck.attention.adapters.calls import ADAPTER as CALLS

        with CALLS.attach(replace(subject, module=module), example) as found:
            yield Attached(f"{self.name}: {found.adapter}", found.sites, found.forward, found.why_not)


def _windows(model: Any, horizon: int) -> Callable[[Tensor], Tensor]:
    """As the model's own prediction step, without a data set around it."""

    def forecast(x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        channels = x.shape[-1]
        x = last_steps(x, model.input_size, model)
        if not model.MULTIVARIATE:
            x = rearrange(x, "batch lookback channel -> (batch channel) lookback 1")
        elif channels != model.n_series:
            raise UsageError(
                f"{type(model).__name__} was built for {model.n_series} series, but the data have {channels} channels"
            )
        # Scaler and loss keep what they last saw; the model's own shall not.
        scaler, loss = copy(model.scaler), copy(model.loss)
        seen = torch.ones_like(x)
        scaled = scaler.transform(x=x[:, :, None], mask=seen[:, :, None])[:, :, 0]
        shift, scale = scaler.x_shift[:, :, 0], scaler.x_scale[:, :, 0]
        batch = {"insample_y": scaled, "insample_mask": seen, "futr_exog": None, "hist_exog": None, "stat_exog": None}
        with seeded():
            output = loss.domain_map(model(batch))
            if loss.is_distribution_output:
                parameters = loss.scale_decouple(output=output, loc=shift, scale=scale)
                y = loss.get_distribution(parameters, **getattr(loss, "distribution_kwargs", {})).mean
            else:
                y = scaler.inverse_transform(z=_point(output, loss), x_scale=scale, x_shift=shift)
        y = y[:, :horizon]
        return (
            y if model.MULTIVARIATE else rearrange(y, "(batch channel) step 1 -> batch step channel", channel=channels)
        )

    return forecast


def _point(output: Tensor, loss: Any) -> Float[Tensor, "batch horizon series"]:
    """A point loss gives the forecast itself, a quantile loss one for each quantile."""
    if output.dim() == 3:
        return output
    quantiles = getattr(loss, "quantiles", None)
    return output[..., 0 if quantiles is None else int((quantiles - 0.5).abs().argmin())]


ADAPTER = NeuralforecastAdapter()
