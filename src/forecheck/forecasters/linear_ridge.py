"""Ridge regression from Gram matrices: a whole path of strengths from one eigendecomposition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from forecheck.forecasters.gram import Gram

RIDGE_PATH: tuple[float, ...] = (0.0, *(10.0**exponent for exponent in range(-4, 6)))
"""Relative strengths tried when none is given: 0, then decades from where little happens to where little is left."""


@dataclass(frozen=True, eq=False)
class Ridge:
    """The affine map of one fit, and how it was chosen.

    Attributes:
        weight: W, one column a step of the forecast.
        bias: b, zero if none was fitted.
        strength: the relative strength with the lowest validation error.
        validation_mse: mean squared error over the observed targets of all validation windows, at every strength of
            the path.
    """

    weight: Float[np.ndarray, "lookback horizon"]
    bias: Float[np.ndarray, " horizon"]
    strength: float
    validation_mse: Float[np.ndarray, " strength"]


@dataclass(frozen=True, eq=False)
class _Path:
    """Ridge regression at every strength, in the eigenvectors of the training Gram.

    Attributes:
        vectors: Q.
        cross: A.
        inverse: d of every strength.
        means: of inputs and targets, which the bias is made of.
        error: sum of squared errors over the validation windows and the horizon, of every strength.
    """

    vectors: Float[np.ndarray, "lookback lookback"]
    cross: Float[np.ndarray, "lookback horizon"]
    inverse: Float[np.ndarray, "strength lookback"]
    means: tuple[Float[np.ndarray, " lookback"], Float[np.ndarray, " horizon"]]
    error: Float[np.ndarray, " strength"]

    def map(self, place: int) -> tuple[Float[np.ndarray, "lookback horizon"], Float[np.ndarray, " horizon"]]:
        """Weights and bias at a strength of the path."""
        mean_x, mean_y = self.means
        weight = self.vectors @ (self.inverse[place, :, None] * self.cross)
        return weight, mean_y - mean_x @ weight


def fit_ridge(
    train: Gram, validation: Gram, strengths: tuple[float, ...], *, bias: bool, seen: Callable[[Gram], Gram]
) -> Ridge:
    r"""Ridge regression at the strength of the path that forecasts the validation windows best.

    .. math:: \min_{W, b} \sum_{\text{train}} \|W^\top x + b - y\|^2 + \lambda \|W\|^2,
              \qquad \lambda = \rho \, \operatorname{tr}(G) / L

    With the Gram matrices about the training means (which is what an unpenalised bias amounts to) and
    :math:`G = Q \operatorname{diag}(e) Q^\top`, A = Q'C for the cross products C:

    .. math:: W_\lambda = Q \operatorname{diag}(d) A, \qquad d_i = 1 / (e_i + \lambda)

    and, with hats for the validation windows, the validation error of every strength is one quadratic form in d:

    .. math:: n \, H \, \mathrm{MSE} = d^\top \bigl( Q^\top \hat G Q \circ A A^\top \bigr) d
              - 2 d^\top \bigl( Q^\top \hat C \circ A \bigr) 1 + \sum \|\hat y\|^2.

    Directions that training never shows (eigenvalues at the level of rounding) get no weight, which makes strength 0
    the least-squares solution of minimum norm. Products of data resolve singular values down to about 1e-7 of the
    largest; what is smaller counts as never shown.

    Where targets were never observed, every step of the horizon has its own Gram matrix of the windows that show it,
    and its own eigenvectors; the strength is chosen for all of them together.

    Args:
        train: Gram of the training windows as they are.
        validation: Gram of the validation windows.
        strengths: the path of relative strengths rho, in units of the mean eigenvalue of the training Gram, so that
            the number of windows and the scale of the data do not matter; at equal error the first one wins.
        bias: fit b; it is never penalised.
        seen: the windows as the regression sees them: their normalisation and basis.
    """
    whole = train.gaps is None and validation.gaps is None
    pairs = [(train, validation)] if whole else zip(train.steps(), validation.steps(), strict=True)
    count = validation.count * train.cross.shape[1]
    if validation.gaps is not None:
        count -= sum(validation.gaps.at(step)[0] for step in range(train.cross.shape[1]))
    # Weights of one step are few, those of a whole horizon at every strength are not.
    paths = (_path(seen(one), seen(other), strengths, bias=bias) for one, other in pairs)
    if whole:
        (path,) = paths
        error = np.maximum(path.error, 0)  # below zero is rounding
        best = int(np.argmin(error))
        weight, intercept = path.map(best)
    else:
        kept = [(path.error, [path.map(place) for place in range(len(strengths))]) for path in paths]
        error = np.maximum(np.sum([one for one, _ in kept], axis=0), 0)
        best = int(np.argmin(error))
        weight = np.concatenate([maps[best][0] for _, maps in kept], axis=1)
        intercept = np.concatenate([maps[best][1] for _, maps in kept])
    return Ridge(weight=weight, bias=intercept, strength=strengths[best], validation_mse=error / max(count, 1))


def _path(train: Gram, validation: Gram, strengths: tuple[float, ...], *, bias: bool) -> _Path:
    n = max(train.count, 1)  # a step that was never observed has no windows and no weight
    mean_x, mean_y = train.input_sum / n, train.target_sum / n
    if not bias or not train.count:
        mean_x, mean_y = np.zeros_like(mean_x), np.zeros_like(mean_y)
    train, validation = train.centred(mean_x, mean_y), validation.centred(mean_x, mean_y)
    e, Q = np.linalg.eigh(train.inputs)
    A = Q.T @ train.cross  # (eigenvector, horizon)
    penalised = np.maximum(e, 0) + np.outer(strengths, np.full(len(e), max(e.mean(), 0)))  # (strength, eigenvector)
    d = np.zeros_like(penalised)
    np.divide(1, penalised, out=d, where=penalised > train.floor)
    quadratic = (Q.T @ validation.inputs @ Q) * (A @ A.T)  # (eigenvector, eigenvector)
    linear = ((Q.T @ validation.cross) * A).sum(axis=1)  # (eigenvector,)
    error = ((d @ quadratic) * d).sum(axis=1) - 2 * d @ linear + validation.target_square.sum()  # (strength,)
    return _Path(Q, A, d, (mean_x, mean_y), error)
