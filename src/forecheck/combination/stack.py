"""Weights of the members by series, from their errors at rolling origins."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from forecheck.combination.weights import simplex_weights

_PULL = 0.3
_KAPPA = 10.0
"""Origins of a series' own that weigh as much as all series together."""
_WILD = 5.0
_ROUNDS = 2
_SMALL = 0.1
_GROUPS = 4
Errors = Float[np.ndarray, "origin member series step"]


def comparable(errors: Errors) -> Errors:
    """Errors in units of the usual member's, so that every series counts alike at every origin; large ones tamed.

    Args:
        errors: in any unit; NaN where unknown.
    """
    size = np.nan_to_num(np.square(errors)).sum(axis=3) / np.maximum(1, (~np.isnan(errors)).sum(axis=3))
    usual = np.sqrt(np.median(size, axis=1))
    with np.errstate(all="ignore"):
        relative = errors / np.where(usual > 0, usual, np.nan)[:, None, :, None]
    return relative / np.maximum(1.0, np.abs(relative) / _WILD)


def stacked(errors: Errors) -> tuple[Float[np.ndarray, "series member"], Float[np.ndarray, "origin series step"]]:
    r"""Weights on the simplex that minimise the absolute error, by series, and errors with weights of other origins.

    .. math:: M_s = \frac{\sum_k M_{ks} + \kappa \bar M}{n_s + \kappa}, \qquad M_{ks} = \frac1H \sum_h u_{ksh} \,
              e_{ksh} e_{ksh}^\top, \quad u = 1 / \max(|w^\top e|, 0.1)

    The mean over all series stands in as kappa = 10 origins of a series. The weights u make absolute errors of squared
    ones (iteratively reweighted least squares). For the second, origins are cut into up to four blocks, and each is
    combined with weights of the others; equal ones if there are none.

    Args:
        errors: of the members, in units of the naive error; NaN where unknown.

    Returns:
        Weights, and the errors of the combination at every origin with weights that did not see it.
    """
    z = comparable(errors)
    seen = ~np.isnan(z).any(axis=1)  # (origin, series, step)
    z = np.where(seen[:, None], z, 0.0)
    weight = np.ones(seen.shape, dtype=z.dtype)
    found = None
    for _ in range(1 + _ROUNDS):
        if found is not None:
            left = np.abs(np.einsum("sm,kmsh->ksh", found, z, optimize=True))
            weight = 1 / np.maximum(left, _SMALL)
            weight /= weight[seen].mean() if seen.any() else 1.0
        found = _weights(z, weight, seen)
    assert found is not None
    blind = np.empty(seen.shape)
    places = np.arange(len(z))
    for block in np.array_split(places, min(_GROUPS, len(z))):
        others = np.setdiff1d(places, block)
        w = _weights(z[others], weight[others], seen[others])
        blind[block] = np.einsum("sm,kmsh->ksh", w, errors[block], optimize=True)
    return found, blind


def _weights(
    z: Errors, weight: Float[np.ndarray, "origin series step"], seen: Bool[np.ndarray, "origin series step"]
) -> Float[np.ndarray, "series member"]:
    members = z.shape[1]
    scaled = z * np.sqrt(weight)[:, None]
    joint = scaled.transpose(2, 1, 0, 3).reshape(z.shape[2], members, -1)
    own = (joint @ joint.transpose(0, 2, 1)) / max(1, z.shape[3])  # (series, member, member)
    count = seen.any(axis=2).sum(axis=0)
    shared = own.sum(axis=0) * z.shape[3] / max(1, int(seen.sum()))
    products = (own + _KAPPA * shared) / (count + _KAPPA)[:, None, None]
    return simplex_weights(products.astype(np.float64), _PULL)
