"""Stacking: weights of several forecasts from errors that they made on windows they were not fitted on.

Errors enter as second moments between members, window by window: everything that a weighted mean's loss depends on.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls
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


def simplex_weights(moment: Float[np.ndarray, "member member"], shrinkage: float) -> Float[np.ndarray, " member"]:
    r"""Weights of a mean of forecasts, shrunk towards equal ones.

    .. math:: \min_w \; w^\top M w + \lambda \, m \, \|w - \tfrac{1}{K} 1\|^2
              \quad \text{s.t.} \quad w \ge 0, \; 1^\top w = 1, \qquad m = \min_k M_{kk}

    On the simplex the penalty is :math:`\lambda m \|w\|^2` plus a constant, so with :math:`A = M + \lambda m I` the
    solution is :math:`u / 1^\top u` for the u of :math:`\min_{u \ge 0} u^\top A u - 2 \, 1^\top u`, which is
    non-negative least squares.

    Args:
        moment: M, mean products of the members' errors.
        shrinkage: lambda, in units of the best member's mean squared error; positive.

    Source: Breiman, *Stacked Regressions*, Machine Learning 1996 (the constraints); the penalty's target is the plain
    mean, which is hard to beat with few independent windows (Timmermann, *Forecast Combinations*, 2006).
    """
    own = moment.diagonal()
    if own.max() <= 0:
        return np.full(len(own), 1 / len(own))
    # Where a member makes no error the penalty would vanish and the problem may be singular.
    penalty = shrinkage * max(own.min(), 1e-9 * own.max())
    factor = cholesky((moment + penalty * np.eye(len(own))) / own.max())
    u, _ = nnls(factor, solve_triangular(factor, np.ones(len(own)), trans="T"), maxiter=100 * len(own))
    weights: Float[np.ndarray, " member"] = u / u.sum()
    return weights


def stack(
    moments: Float[np.ndarray, "window channel member member"], shrinkage: float, *, per_channel: bool
) -> Float[np.ndarray, "channel member"]:
    """Weights of every channel from all windows, or the same for all; equal ones without any window.

    Args:
        moments: mean products of the members' errors.
        shrinkage: see `simplex_weights`.
        per_channel: whether every channel has weights of its own.
    """
    windows, channels, members, _ = moments.shape
    if not windows:
        return np.full((channels, members), 1 / members)
    mean = mean_moments(moments)
    if per_channel:
        return np.stack([simplex_weights(moment, shrinkage) for moment in mean])
    return np.tile(simplex_weights(mean.mean(axis=0), shrinkage), (channels, 1))


def stack_without(
    moments: Float[np.ndarray, "window channel member member"],
    fold: Int[np.ndarray, " window"],
    shrinkage: float,
    *,
    per_channel: bool,
) -> Float[np.ndarray, "window channel member"]:
    """Weights for every window from the windows of the other folds, so that its loss says nothing about itself.

    Args:
        moments, shrinkage, per_channel: as in `stack`.
        fold: number of every window's fold.
    """
    weights = np.empty(moments.shape[:3])
    for number in np.unique(fold):
        weights[fold == number] = stack(moments[fold != number], shrinkage, per_channel=per_channel)
    return weights


def certain_share(
    moments: Float[np.ndarray, "window channel member member"],
    weights: Float[np.ndarray, "window channel member"],
    times: Int[np.ndarray, " window"],
    horizon: int,
    level: float,
) -> float:
    r"""The largest share of a mean that is better than its first member alone beyond doubt; 0 if none is.

    .. math:: \max \{ a \in (0, 1] : \underline{\Delta}(a) > 0 \}, \qquad
              \Delta(a) = \frac{1}{C} \sum_c \frac{\ell_c(e_1) - \ell_c(a w + (1 - a) e_1)}{\bar\ell_c(e_1)}

    with losses :math:`\ell_c(v) = v^\top M_c v` and the one-sided lower confidence bound over overlapping windows
    (EWC). Differences are relative to the channel's own mean loss: otherwise the most volatile channel, in which
    least can be told, decides for all.

    Args:
        moments: products of the members' errors; the first member is the one to fall back on.
        weights: w, made without the window's own loss.
        times: order of the windows; those of one time (several series) count as one observation.
        horizon: H in windows: how many consecutive ones share targets.
        level: of the bound, such as .95.
    """
    anchor = np.zeros(moments.shape[-1])
    anchor[0] = 1
    reference = moments[:, :, 0, 0]  # (window, channel)
    unit = np.nan_to_num(observed_mean(reference, axis=0))
    unit = np.where(unit > 0, unit, 1)
    best = 0.0
    for share in _SHARES:
        mixed = share * weights + (1 - share) * anchor
        loss = np.einsum("wck,wckj,wcj->wc", mixed, moments, mixed, optimize=True)
        gain = loss_by_time((reference - loss) / unit, times)
        if len(gain) < _FEWEST:
            return 0.0
        if mean_over_windows(gain, horizon).interval(2 * level - 1)[0] > 0:
            best = float(share)
    return best
