"""Linear forecasts over suffixes of one window, and the naive ones beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.forecasters.gram import Gram, gram

NORMALISATIONS = ("last value", "window mean")
"""What is subtracted before the map and added after: ridge draws the forecast to it. Either moves with the level of
the window; a map of the window as it is does not, and reverts to a training mean that may no longer hold."""
_FREE = 1e-4
"""Share of the ridge that one more map is left under, which has an intercept: for series that the ridge would smooth
too much, and for those that drift."""
_USUAL = 336
"""Steps of input of that map at most, if there are so short ones."""


def free_lookback(lookbacks: Sequence[int]) -> int:
    """The lookback of the map that is nearly free of the ridge: the field's usual one, or the nearest."""
    return max((lookback for lookback in lookbacks if lookback <= _USUAL), default=min(lookbacks))


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
    weight = _ridge(gram.normalised(p), ridge)
    found: Float[np.ndarray, "lookback horizon"] = weight + np.outer(p, 1 - weight.sum(axis=0))
    return found


def fit_free(gram: Gram, ridge: float) -> Float[np.ndarray, "affine horizon"]:
    r"""`fit_member` with an intercept, which stands below the map.

    .. math:: W = (G_c + \lambda I)^{-1} C_c, \qquad b = \bar y - W^\top \bar x

    with the Gram matrix of windows less their last value, centred.

    Args:
        gram: Gram of the training windows as they are.
        ridge: rho, in units of the mean eigenvalue.
    """
    p = functional(NORMALISATIONS[0], len(gram.inputs))
    gram = gram.normalised(p)
    inputs, targets = gram.input_sum / max(gram.count, 1), gram.target_sum / max(gram.count, 1)
    weight = _ridge(gram.centred(inputs, targets), ridge)
    found: Float[np.ndarray, "affine horizon"] = np.vstack(
        [weight + np.outer(p, 1 - weight.sum(axis=0)), targets - inputs @ weight]
    )
    return found


def _ridge(gram: Gram, ridge: float) -> Float[np.ndarray, "lookback horizon"]:
    lookback = len(gram.inputs)
    # Rounding may leave eigenvalues below zero, by no more than the floor.
    strength = max(ridge * float(np.trace(gram.inputs)) / lookback, gram.floor) or 1.0
    penalised = gram.inputs + strength * np.eye(lookback)
    factor = cho_factor(penalised, overwrite_a=True, check_finite=False)
    found: Float[np.ndarray, "lookback horizon"] = cho_solve(factor, gram.cross, check_finite=False)
    return found


def grams_of(windows: Windows, lookbacks: Sequence[int], counted: Windows | None = None) -> Iterator[Gram]:
    """Gram of every lookback, each over all windows of that input that lie inside the given ones.

    Args:
        windows: as they are, of the longest input.
        lookbacks: L of every Gram.
        counted: windows that come into the sums from elsewhere, with all that lie inside them.
    """
    for lookback in lookbacks:
        inside = windows.shortened(lookback)
        if counted is not None:
            rows = np.setdiff1d(inside.origins, counted.shortened(lookback).origins, assume_unique=True)
            inside = replace(inside, origins=rows)
        yield gram(inside)


def fit_members(grams: Iterable[Gram], lookbacks: Sequence[int], ridge: float) -> list[Float[Tensor, "_ _ horizon"]]:
    """Maps of every normalisation, one tensor a lookback, and the map that is nearly free of the ridge (`fit_free`).

    Args:
        grams: of the training windows as they are, one a lookback.
        lookbacks: L of every Gram.
        ridge: see `fit_member`.
    """
    found, free = [], []
    for lookback, whole in zip(lookbacks, grams, strict=True):
        # Without gaps all steps share one Gram matrix, and its factor.
        parts = [whole] if whole.gaps is None else list(whole.steps())
        steps = [np.stack([fit_member(part, name, ridge) for name in NORMALISATIONS]) for part in parts]
        found.append(torch.from_numpy(np.concatenate(steps, axis=2)))
        if lookback == free_lookback(lookbacks):
            free = [torch.from_numpy(np.concatenate([fit_free(part, _FREE * ridge) for part in parts], axis=1)[None])]
    return found + free


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
    x: Float[Tensor, "batch channel lookback"], maps: Sequence[Float[Tensor, "_ _ horizon"]]
) -> Float[Tensor, "linear batch channel horizon"]:
    """Forecasts of every map, in the order of `member_names`; the last one has an intercept."""
    *usual, (free,) = maps
    found = [torch.stack([x[..., -weight.shape[0] :] @ weight for weight in group]) for group in usual]
    return torch.cat([*found, (x[..., 1 - len(free) :] @ free[:-1] + free[-1])[None]])


def prior_of(lookbacks: Sequence[int], *, seasonal: bool) -> Float[np.ndarray, " member"]:
    """Weights of a stack before any error is known: equal ones of all maps under the full ridge, none of the others.

    Args:
        lookbacks, seasonal: as in `member_names`.
    """
    naive, full = 3 if seasonal else 1, len(NORMALISATIONS) * len(lookbacks)
    return np.r_[np.zeros(naive), np.full(full, 1 / full), 0.0]


def member_names(lookbacks: Sequence[int], *, seasonal: bool) -> list[str]:
    """Names of all members in the order of their weights: the naive ones first, the last value first of all."""
    naive = ["last value", *(["last season", "mean season"] if seasonal else [])]
    maps = [f"{lookback}, {name}" for lookback in lookbacks for name in NORMALISATIONS]
    return [*naive, *maps, f"{free_lookback(lookbacks)}, {NORMALISATIONS[0]}, nearly no ridge"]
