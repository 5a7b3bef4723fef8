"""Linear forecasts over suffixes of one window, all from one Gram matrix, and the naive ones beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor

from forecheck.forecasters.gram import Gram

NORMALISATIONS = ("last value", "window mean")
"""What is subtracted before the map and added after: ridge draws the forecast to it. Either moves with the level of
the window; a map of the window as it is does not, and reverts to a training mean that may no longer hold."""


def suffix(gram: Gram, lookback: int) -> Gram:
    """Gram of the same windows, their input cut to its last `lookback` steps."""
    return replace(
        gram,
        inputs=gram.inputs[-lookback:, -lookback:],
        cross=gram.cross[-lookback:],
        input_sum=gram.input_sum[-lookback:],
    )


def functional(normalisation: str, lookback: int) -> Float[np.ndarray, " lookback"]:
    """The linear functional p of the window that a normalisation subtracts."""
    p = np.full(lookback, 1 / lookback)
    if normalisation == "last value":
        p[:] = 0
        p[-1] = 1
    return p


def fit_member(gram: Gram, normalisation: str, ridge: float) -> Float[np.ndarray, "lookback horizon"]:
    r"""Ridge regression at a fixed strength, without intercept, as one map V of the raw window.

    .. math:: V = W + p (1 - W^\top 1)^\top, \qquad W = (G + \lambda I)^{-1} C, \qquad
              \lambda = \rho \operatorname{tr}(G) / L

    There is no intercept: it would carry a drift on, and a drift that was estimated from one stretch of a random walk
    is mostly luck.

    Args:
        gram: Gram of the training windows as they are.
        normalisation: one of `NORMALISATIONS`.
        ridge: rho, in units of the mean eigenvalue of G.
    """
    lookback = len(gram.inputs)
    p = functional(normalisation, lookback)
    gram = gram.normalised(p)
    # Rounding may leave eigenvalues below zero, by no more than the floor.
    strength = max(ridge * float(np.trace(gram.inputs)) / lookback, gram.floor) or 1.0
    penalised = gram.inputs + strength * np.eye(lookback)
    weight = cho_solve(cho_factor(penalised, overwrite_a=True, check_finite=False), gram.cross, check_finite=False)
    found: Float[np.ndarray, "lookback horizon"] = weight + np.outer(p, 1 - weight.sum(axis=0))
    return found


def fit_members(
    gram: Gram, lookbacks: Sequence[int], ridge: float
) -> list[Float[Tensor, "normalisation lookback horizon"]]:
    """Maps of every normalisation, one tensor a lookback.

    Args:
        gram: of the training windows as they are.
        lookbacks: L of every tensor.
        ridge: see `fit_member`.
    """
    # Without gaps all steps share one Gram matrix, and its factor.
    parts = [
        [np.stack([fit_member(suffix(part, L), name, ridge) for name in NORMALISATIONS]) for L in lookbacks]
        for part in ([gram] if gram.gaps is None else gram.steps())
    ]
    return [torch.from_numpy(np.concatenate(group, axis=2)) for group in zip(*parts, strict=True)]


def naive_members(
    x: Float[Tensor, "batch channel lookback"], horizon: int, period: int, seasons: int
) -> Float[Tensor, "naive batch channel horizon"]:
    """The last value and, if the window holds a season, the last season and the mean of the last few seasons.

    Args:
        x: windows.
        horizon: H, steps of forecast.
        period: steps a season.
        seasons: how many of the last ones are averaged at most.
    """
    forecasts = [x[..., -1:].expand(*x.shape[:2], horizon)]
    if has_season(x.shape[-1], period):
        count = min(seasons, x.shape[-1] // period)
        steps = torch.arange(horizon) % period
        past = x[..., -count * period :].reshape(*x.shape[:2], count, period)
        forecasts += [past[..., -1, :][..., steps], past.mean(dim=-2)[..., steps]]
    return torch.stack(forecasts)


def has_season(lookback: int, period: int) -> bool:
    """Whether a window holds a whole season."""
    return 1 < period <= lookback


def linear_members(
    x: Float[Tensor, "batch channel lookback"], maps: Sequence[Float[Tensor, "normalisation _ horizon"]]
) -> Float[Tensor, "linear batch channel horizon"]:
    """Forecasts of every map, in the order of `member_names`."""
    return torch.cat([torch.stack([x[..., -weight.shape[0] :] @ weight for weight in group]) for group in maps])


def member_names(lookbacks: Sequence[int], *, seasonal: bool) -> list[str]:
    """Names of all members in the order of their weights: the naive ones first, the last value first of all."""
    naive = ["last value", *(["last season", "mean season"] if seasonal else [])]
    return naive + [f"{lookback}, {name}" for lookback in lookbacks for name in NORMALISATIONS]
