"""Stacking: weights of several forecasts from errors that they made on windows they were not fitted on.

Errors enter as second moments between members, window by window: everything that a weighted mean's loss depends on.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.linalg import cholesky, solve_triangular
from torch import Tensor

from forecheck.statistics.inference import mean_over_windows
from forecheck.statistics.metrics import loss_by_time, observed_mean

_SHARES = np.arange(1, 21) / 20
_FEWEST = 4  # windows that a test of their mean needs


def error_moments(
    errors: Float[Tensor, "member batch channel horizon"], *, gaps: bool
) -> Float[Tensor, "batch channel member member"]:
    """Mean products of the members' errors over the observed steps of the horizon; NaN where there are none.

    Args:
        errors: of all members against the same targets.
        gaps: whether targets may be NaN, since they were never observed.

    Raises:
        FloatingPointError: if an error is not finite and that is not why.
    """
    e = errors.permute(1, 2, 0, 3)  # (batch, channel, member, horizon)
    seen = ~torch.isnan(e).all(dim=2)
    if bool(seen.all()) or not gaps:
        moments = e @ e.transpose(-1, -2) / e.shape[-1]
        if not bool(torch.isfinite(moments).all()):
            raise FloatingPointError("the error of a member is not finite")
        return moments
    e = torch.where(seen[:, :, None], e, 0.0)
    return e @ e.transpose(-1, -2) / seen.sum(dim=2)[:, :, None, None]


def mean_moments(
    moments: Float[np.ndarray, "window channel member member"], axis: int | tuple[int, ...] = 0
) -> Float[np.ndarray, "*rest"]:
    """Mean over windows that observed something; zero for a channel without any."""
    found: Float[np.ndarray, "*rest"] = np.nan_to_num(observed_mean(moments, axis=axis))
    return found


def balanced(
    moments: Float[np.ndarray, "window channel member member"], fold: Int[np.ndarray, " window"]
) -> Float[np.ndarray, "window channel member member"]:
    r"""Moments in units of the best member's mean square, fold by fold and channel by channel.

    .. math:: \tilde M_{w} = M_{w} / \min_k \bar M^{(f)}_{kk}

    A fold of wild times would else decide alone what is good at all others.

    Args:
        moments: mean products of the members' errors.
        fold: number of every window's fold.
    """
    found = np.empty_like(moments)
    for number in np.unique(fold):
        part = moments[fold == number]
        best = mean_moments(part).diagonal(axis1=1, axis2=2).min(axis=1)  # (channel,)
        found[fold == number] = part / np.where(best > 0, best, 1.0)[:, None, None]
    return found


def simplex_weights(
    moment: Float[np.ndarray, "member member"], shrinkage: float, prior: Float[np.ndarray, " member"] | None = None
) -> Float[np.ndarray, " member"]:
    r"""Weights of a mean of forecasts, shrunk towards given ones.

    .. math:: \min_w \; w^\top M w + \lambda \, m \, \|w - p\|^2
              \quad \text{s.t.} \quad w \ge 0, \; 1^\top w = 1, \qquad m = \min_k M_{kk}

    On the simplex :math:`w - p = (I - p 1^\top) w`, so that all of it is one form
    :math:`A = M + \lambda m (I - p 1^\top)^\top (I - p 1^\top)`, and the solution is :math:`u / 1^\top u` for the u of
    :math:`\min_{u \ge 0} u^\top A u - 2 \, 1^\top u`, which is non-negative least squares.

    Args:
        moment: M, mean products of the members' errors.
        shrinkage: lambda, in units of the best member's mean squared error; positive.
        prior: p, weights that sum to one; equal ones if None.

    Source: Breiman, *Stacked Regressions*, Machine Learning 1996 (the constraints); the penalty's usual target is the
    plain mean, which is hard to beat with few independent windows (Timmermann, *Forecast Combinations*, 2006).
    """
    from scipy.optimize import nnls  # slow to import, and few commands stack

    own = moment.diagonal()
    p = np.full(len(own), 1 / len(own)) if prior is None else prior
    if own.max() <= 0:
        return p.copy()
    # Where a member makes no error the penalty would vanish and the problem may be singular.
    penalty = shrinkage * max(own.min(), 1e-9 * own.max())
    away = np.eye(len(own)) - p[:, None]
    form = (moment + penalty * (away.T @ away)) / own.max()
    factor = cholesky(form + 1e-12 * np.eye(len(own)))  # p alone is free of the penalty, and may be free of errors
    u, _ = nnls(factor, solve_triangular(factor, np.ones(len(own)), trans="T"), maxiter=100 * len(own))
    weights: Float[np.ndarray, " member"] = u / u.sum()
    return weights


def stack(
    moments: Float[np.ndarray, "window channel member member"],
    shrinkage: float,
    *,
    per_channel: bool,
    prior: Float[np.ndarray, " member"] | None = None,
) -> Float[np.ndarray, "channel member"]:
    """Weights of every channel from all windows, or the same for all; those of the prior without any window.

    Args:
        moments: mean products of the members' errors.
        shrinkage: see `simplex_weights`.
        per_channel: whether every channel has weights of its own.
        prior: see `simplex_weights`.
    """
    windows, channels, members, _ = moments.shape
    if not windows:
        return np.tile(np.full(members, 1 / members) if prior is None else prior, (channels, 1))
    mean = mean_moments(moments)
    if per_channel:
        return np.stack([simplex_weights(moment, shrinkage, prior) for moment in mean])
    return np.tile(simplex_weights(mean.mean(axis=0), shrinkage, prior), (channels, 1))


def stack_without(
    moments: Float[np.ndarray, "window channel member member"],
    fold: Int[np.ndarray, " window"],
    shrinkage: float,
    *,
    per_channel: bool,
    prior: Float[np.ndarray, " member"] | None = None,
) -> Float[np.ndarray, "window channel member"]:
    """Weights for every window from the windows of the other folds, so that its loss says nothing about itself.

    Args:
        moments, shrinkage, per_channel, prior: as in `stack`.
        fold: number of every window's fold.
    """
    weights = np.empty(moments.shape[:3])
    for number in np.unique(fold):
        weights[fold == number] = stack(moments[fold != number], shrinkage, per_channel=per_channel, prior=prior)
    return weights


def certain_share(
    moments: Float[np.ndarray, "window channel member member"],
    weights: Float[np.ndarray, "window channel member"],
    times: Int[np.ndarray, " window"],
    horizon: int,
    level: float,
    start: Float[np.ndarray, "window channel member"] | None = None,
) -> float:
    r"""The largest share of a mean that is better than its first member alone beyond doubt; 0 if none is.

    .. math:: \max \{ a \in (0, 1] : \underline{\Delta}(a) > 0 \}, \qquad
              \Delta(a) = \frac{1}{C} \sum_c \frac{\ell_c(e) - \ell_c(a w + (1 - a) e)}{\bar\ell_c(e)}

    with losses :math:`\ell_c(v) = v^\top M_c v` and the one-sided lower confidence bound over overlapping windows
    (EWC). Differences are relative to the channel's own mean loss: otherwise the most volatile channel, in which
    least is known, decides for all.

    Args:
        moments: products of the members' errors.
        weights: w, made without the window's own loss.
        times: order of the windows; those of one time (several series) count as one observation.
        horizon: H in windows: how many consecutive ones share targets.
        level: of the bound, such as .95.
        start: e, weights to fall back on; all on the first member if None.
    """
    anchor = np.broadcast_to(np.eye(moments.shape[-1])[0], weights.shape) if start is None else start
    reference = _loss(anchor, moments)  # (window, channel)
    unit = np.nan_to_num(observed_mean(reference, axis=0))
    unit = np.where(unit > 0, unit, 1)
    best = 0.0
    for share in _SHARES:
        mixed = share * weights + (1 - share) * anchor
        gain = loss_by_time((reference - _loss(mixed, moments)) / unit, times)
        if len(gain) < _FEWEST:
            return 0.0
        if mean_over_windows(gain, horizon).interval(2 * level - 1)[0] > 0:
            best = float(share)
    return best


def _loss(
    weights: Float[np.ndarray, "window channel member"], moments: Float[np.ndarray, "window channel member member"]
) -> Float[np.ndarray, "window channel"]:
    """Mean squared error of a weighted mean."""
    found: Float[np.ndarray, "window channel"] = np.einsum("wck,wckj,wcj->wc", weights, moments, weights, optimize=True)
    return found
