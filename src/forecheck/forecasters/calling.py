"""Ways of calling models of others, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.data.marks import SCALED, frequency_letter, scaled_marks, whole_marks
from forecheck.data.stamped import Times
from forecheck.errors import UsageError
from forecheck.forecasters.external import Wrap, unwrapped


def named_call(wrap: str | Wrap | None) -> Wrap | None:
    """The way of calling that a name stands for: `tslib`, or `tslib:t` for marks of another frequency.

    Anything but a name is handed back.

    Raises:
        UsageError: if there is no such name.
    """
    if not isinstance(wrap, str):
        return wrap
    name, colon, frequency = wrap.partition(":")
    if name not in _CALLS or (colon and frequency not in SCALED):
        known = f"tslib, or tslib:F with F one of {', '.join(SCALED)}"
        raise UsageError(f"no way of calling a model is called {wrap!r}", f"Known: {known}; or pass a function.")
    return partial(_CALLS[name], frequency=frequency) if frequency else _CALLS[name]


def tslib(
    model: Any, x: Float[Tensor, "batch lookback channel"], times: Times, frequency: str = ""
) -> Float[Tensor, "batch horizon channel"]:
    """Call a model of Time-Series-Library: `model(x_enc, x_mark_enc, x_dec, x_mark_dec)`.

    Marks are what its embeddings were built for: whole numbers where they are tables (embed="fixed"), else as many
    features scaled to -0.5...0.5 as they take (embed="timeF"); where no embedding tells, as of the data's own step. The
    decoder's window begins with the last steps of the encoder's, `label_len` of the model or half of them, and its
    horizon is zeros.

    Args:
        model: the module.
        x: windows.
        times: stamps of windows and horizons.
        frequency: s, t, h, d, w or m, for models whose embeddings do not tell what they were built with.

    Raises:
        UsageError: if the model was built for another lookback or horizon, or the data have no dates.

    Source: github.com/thuml/Time-Series-Library, exp_long_term_forecasting.py (how it is called).
    """
    inner, lookback = unwrapped(model), x.shape[1]
    horizon = times.shape[1] - lookback
    for name, given, option in (("seq_len", lookback, "lookback"), ("pred_len", horizon, "horizon")):
        built = getattr(inner, name, given)
        if isinstance(built, int) and built not in (given, 0):
            raise UsageError(
                f"{type(inner).__name__} was built with {name}={built}, and is asked for {option} {given}",
                f"Ask for {option} {built}.",
            )
    label = getattr(inner, "label_len", lookback // 2)
    if not 0 <= label <= lookback:
        raise UsageError(f"{type(inner).__name__} has label_len={label}, which a lookback of {lookback} does not hold")
    marks = torch.from_numpy(_marks(inner, times, frequency).astype(np.float32)).to(x)
    decoded = torch.cat([x[:, lookback - label :], x.new_zeros(len(x), horizon, x.shape[-1])], dim=1)
    out = model(x, marks[:, :lookback], decoded, marks[:, lookback - label :])
    y: Tensor = out[0] if isinstance(out, tuple) else out
    # Some give the steps of the decoder's window as well.
    return y[:, -horizon:] if y.dim() == x.dim() and y.shape[1] == label + horizon else y


def _marks(model: Any, times: Times, frequency: str) -> Float[np.ndarray, "batch step mark"]:
    """The marks that a model's embeddings take."""
    if not frequency:
        for each in model.modules() if isinstance(model, torch.nn.Module) else ():
            kind = type(each).__name__
            if kind == "TemporalEmbedding":
                return whole_marks(times, minutes=hasattr(each, "minute_embed")).astype(np.float64)
            if kind == "TimeFeatureEmbedding":
                wanted = getattr(each.embed, "in_features", 0)
                frequency = next((letter for letter, names in SCALED.items() if len(names) == wanted), "")
    return scaled_marks(times, frequency or frequency_letter(times))


_CALLS: dict[str, Callable[..., Tensor]] = {"tslib": tslib}
