"""How models of Hugging Face transformers forecast a plain window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from forecheck.attention.calls.wrapped import (
    SAMPLES,
    Wrapped,
    check_horizon,
    classes_of,
    last_steps,
    one_by_one,
    seeded,
)
from forecheck.errors import UsageError


def wrap(model: Any, horizon: int) -> Wrapped | None:
    """A model's forecasts, or None if it is none that is known here."""
    for name in classes_of(model, "transformers"):
        if name in _KNOWN:
            return Wrapped(model, _KNOWN[name](model, horizon))
    return None


def _patchtst(model: Any, horizon: int) -> Callable[[Tensor], Tensor]:
    """Its point forecast, or the mean of its distribution."""
    config = model.config
    check_horizon(horizon, config.prediction_length, model)

    def forecast(x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        _check_channels(x, config.num_input_channels, model)
        out = model(past_values=last_steps(x, config.context_length, model))
        if model.distribution_output is None:
            y = out.prediction_outputs
        else:
            y = model.distribution_output.distribution(out.prediction_outputs, loc=out.loc, scale=out.scale).mean
        return y[:, :horizon]

    return forecast


def _sampled(model: Any, horizon: int) -> Callable[[Tensor], Tensor]:
    """The mean of at most `SAMPLES` sample paths, always the same ones; channels one by one if it is univariate.

    A window has no dates: of the time features the first is its age, log10(2 + t) as in the library's examples, all
    others and static features are 0.
    """
    config = model.config
    check_horizon(horizon, config.prediction_length, model)
    past = config.context_length + max(config.lags_sequence)
    features = config.num_time_features + config.num_dynamic_real_features

    def forecast(x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        channels = x.shape[-1]
        x = last_steps(x, past, model)
        if config.input_size == 1:
            values = rearrange(x, "batch lookback channel -> (batch channel) lookback")
        else:
            _check_channels(x, config.input_size, model)
            values = x
        time = x.new_zeros(len(values), past + config.prediction_length, features)
        time[..., :1] = (2 + torch.arange(time.shape[1], device=x.device)).log10()[:, None].to(x.dtype)
        static: dict[str, Tensor] = {}
        if config.num_static_categorical_features:
            kinds = config.num_static_categorical_features
            static["static_categorical_features"] = torch.zeros(len(x), kinds, dtype=torch.long, device=x.device)
        if config.num_static_real_features:
            static["static_real_features"] = x.new_zeros(len(values), config.num_static_real_features)
        samples, config.num_parallel_samples = config.num_parallel_samples, min(config.num_parallel_samples, SAMPLES)
        try:
            with seeded():
                paths = model.generate(
                    past_values=values,
                    past_time_features=time[:, :past],
                    past_observed_mask=torch.ones_like(values),
                    future_time_features=time[:, past:],
                    **static,
                ).sequences
        finally:
            config.num_parallel_samples = samples
        y = paths.mean(dim=1)[:, :horizon]
        return rearrange(y, "(batch channel) horizon -> batch horizon channel", channel=channels) if y.dim() == 2 else y

    return forecast


def _timesfm(model: Any, horizon: int) -> Callable[[Tensor], Tensor]:
    """Its point forecast, channels one by one, at the frequency class of high frequencies."""
    check_horizon(horizon, model.config.horizon_length, model)
    return one_by_one(lambda x: model(past_values=[*x], freq=[0] * len(x)).mean_predictions[:, :horizon])


def _check_channels(x: Tensor, channels: int, model: object) -> None:
    if x.shape[-1] != channels:
        raise UsageError(f"{type(model).__name__} was built for {channels} channels, but the data have {x.shape[-1]}")


_KNOWN: dict[str, Callable[[Any, int], Callable[[Tensor], Tensor]]] = {
    "PatchTSTForPrediction": _patchtst,
    "TimeSeriesTransformerForPrediction": _sampled,
    "InformerForPrediction": _sampled,
    "AutoformerForPrediction": _sampled,
    "TimesFmModelForPrediction": _timesfm,
}
