"""Weights of the members: least squares of their errors on the simplex, pulled to equal ones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_ROUNDS = 200
_CLOSE = 1e-5


def simplex_weights(
    products: Float[np.ndarray, "*batch member member"], pull: float
) -> Float[np.ndarray, "*batch member"]:
    r"""Weights that minimise the squared error of the combination.

    .. math:: \min_{w \ge 0, \; 1^\top w = 1} w^\top M w + \kappa \bar m \, |w - 1/K|^2

    by accelerated projected gradients; the strength is in units of the mean square of the best member.

    Args:
        products: M, mean products of the members' errors.
        pull: kappa.

    Source: Bates & Granger, *The combination of forecasts*, 1969, with weights on the simplex; Timmermann, *Forecast
    combinations*, Handbook of Economic Forecasting 2006.
    """
    members = products.shape[-1]
    best = np.diagonal(products, axis1=-2, axis2=-1).min(axis=-1)
    strength = pull * np.maximum(best, np.finfo(float).tiny)[..., None]
    curve = products + strength[..., None] * np.eye(members)
    rate = 1 / np.maximum(np.abs(curve).sum(axis=-1).max(axis=-1), np.finfo(float).tiny)[..., None]
    w = np.full(products.shape[:-1], 1 / members)
    point, momentum = w, 1.0
    for _ in range(_ROUNDS):
        slope = np.einsum("...ij,...j->...i", curve, point) - strength / members
        new = project(point - rate * slope)
        later = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        moved = np.abs(new - w).max(initial=0.0)
        point = new + (momentum - 1) / later * (new - w)
        w, momentum = new, later
        if moved < _CLOSE:
            break
    return w


def project(v: Float[np.ndarray, "*batch member"]) -> Float[np.ndarray, "*batch member"]:
    """The nearest point of the simplex.

    Args:
        v: points.

    Source: Duchi et al., *Efficient projections onto the l1-ball*, ICML 2008.
    """
    ordered = -np.sort(-v, axis=-1)
    excess = np.cumsum(ordered, axis=-1) - 1
    place = np.arange(1, v.shape[-1] + 1)
    last = (ordered - excess / place > 0).sum(axis=-1, keepdims=True)
    threshold = np.take_along_axis(excess, last - 1, axis=-1) / last
    return np.maximum(v - threshold, 0.0)
