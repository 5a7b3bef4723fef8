"""Next-step prediction by signs: moments, risks of linear rules and bounds in closed form."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from forecheck.errors import UsageError
from forecheck.papers.curse_of_attention.theory.residual_ssm import ResidualSSM, Signs


def sign_probability(model: ResidualSSM, signs: Signs = "inconsistent") -> float:
    r"""How probable it is that the last and the next step, before noise, have such signs.

    .. math:: P(u_d u_{d+1} < 0) = \frac{\alpha}{\pi}, \qquad \alpha = \arccos \frac{\gamma}{\lVert P_d \rVert \, s},
        \quad s = \lVert P_{d+1} \rVert

    Source: for the task of Ke et al. 2025 (arXiv 2412.06061), definition 6.1; the closed form is Sheppard's.
    """
    share = model.angle / math.pi
    return {"all": 1.0, "inconsistent": share, "consistent": 1 - share}[signs]


def second_moments(model: ResidualSSM, signs: Signs = "all") -> Float[np.ndarray, "feature feature"]:
    r"""E[u u^T | signs] of the steps before noise, the last of them the next step.

    With :math:`\rho = \cos \alpha` and :math:`q = \sin \alpha` (see `sign_probability`), among inconsistent signs

    .. math::
        \mathbb E u_d^2 = \lVert P_d \rVert^2 (1 - \rho q / \alpha), \quad
        \mathbb E u_{d+1}^2 = s^2 (1 - \rho q / \alpha), \quad
        \mathbb E u_d u_{d+1} = \lVert P_d \rVert s \, (\rho - q / \alpha)

    and among consistent ones :math:`\alpha` becomes :math:`\alpha - \pi`. Only in the plane of the two features has the
    state another covariance: there its angle is uniform on the two sectors of those signs.

    Raises:
        UsageError: if the last step tells the sign of the next, and signs are to be split.

    Source: ours, for Ke et al. 2025, definition 6.1.
    """
    moments = model.features @ model.features.T
    if signs == "all":
        return moments
    a, b = (model.features @ axis for axis in model.plane())
    alpha = model.angle
    width = alpha if signs == "inconsistent" else alpha - math.pi
    # The angle is pi/2 to pi/2 + alpha, and opposite (inconsistent): means of cos and sin of twice the angle.
    cosine, sine = -math.sin(2 * alpha) / (2 * width), -(math.sin(alpha) ** 2) / width
    return moments + cosine * (np.outer(a, a) - np.outer(b, b)) + sine * (np.outer(a, b) + np.outer(b, a))


def linear_risk(model: ResidualSSM, weights: Float[np.ndarray, " step"], signs: Signs = "all") -> float:
    r"""Mean squared error of :math:`\langle w, x \rangle` among samples of such signs, noise included.

    .. math:: R = (w, -1) \, \mathbb E[u u^\top | \mathrm{signs}] \, (w, -1)^\top + \sigma^2 (1 + \lVert w \rVert^2)

    Zero weights are the zero predictor, (0, ..., 0, 1) is persistence. Among inconsistent signs targets are the
    smaller the larger gamma, so compare risks there with that of zero.

    Args:
        model: what is sampled.
        weights: w.
        signs: of the last and the next step.

    Raises:
        UsageError: if signs are to be split and the last step determines the sign of the next.
    """
    rule = np.append(weights, -1.0)
    return float(rule @ second_moments(model, signs) @ rule + model.noise**2 * (rule @ rule))


class ResidualLinear(NamedTuple):
    """The residual linear network that fits best without noise.

    Attributes:
        weights: of x itself, so that the forecast is <weights, x>; they sum to 1.
        distance: from the next step's feature to the nearest that the network can form; its square is the risk that
            it has without noise.
    """

    weights: Float[np.ndarray, " step"]
    distance: float


def residual_linear_optimum(model: ResidualSSM) -> ResidualLinear:
    r"""Weights of :math:`f(x) = \langle w, x - x_d 1 \rangle + x_d` that are exact without noise, if any are.

    .. math:: w = D^+ (P_{d+1} - P_d), \quad D = [P_1 - P_d, \dots, P_{d-1} - P_d], \qquad
        \mathrm{distance} = \frac{|\sum_k c_k - 1|}{\lVert P^{-\top} 1 \rVert}

    Exact if and only if :math:`\sum_k c_k = 1`; then w = c, the only one, and the risk is
    :math:`\sigma^2 (1 + \lVert c \rVert^2)` whatever the signs.

    Source: Ke et al. 2025 (arXiv 2412.06061), proposition 6.3, corrected: the main text has :math:`P_k` for
    :math:`P_k - P_d`, the appendix inverts a singular matrix, and neither asks that c sums to 1.
    """
    last = model.features[-2]
    differences, target = (model.features[:-2] - last).T, model.features[-1] - last
    weights = np.linalg.lstsq(differences, target, rcond=None)[0]
    distance = float(np.linalg.norm(differences @ weights - target))
    return ResidualLinear(np.append(weights, 1 - weights.sum()), distance)


def printed_distance(model: ResidualSSM) -> float:
    r"""Distance that proposition 6.3 leaves as it is printed.

    .. math:: \min_w \Bigl\lVert \sum_{k<d} w_k P_k - (P_{d+1} - P_d) \Bigr\rVert

    At least :math:`|\gamma - 1|` when :math:`P_d` is a unit vector orthogonal to the features before it.
    """
    background, target = model.features[:-2].T, model.features[-1] - model.features[-2]
    return float(np.linalg.norm(background @ np.linalg.lstsq(background, target, rcond=None)[0] - target))


def fit_linear(x: Float[np.ndarray, "sample step"], y: Float[np.ndarray, " sample"]) -> Float[np.ndarray, " step"]:
    """Least squares without intercept."""
    return np.linalg.lstsq(x, y, rcond=None)[0]


def fit_residual_linear(
    x: Float[np.ndarray, "sample step"], y: Float[np.ndarray, " sample"]
) -> Float[np.ndarray, " step"]:
    r"""The residual linear network by least squares of :math:`y - x_d` on :math:`x_k - x_d`, as weights of x.

    Source: Ke et al. 2025, definition 6.2.
    """
    weights = fit_linear(x[:, :-1] - x[:, -1:], y - x[:, -1])
    return np.append(weights, 1 - weights.sum())


def order_blind_rule(model: ResidualSSM) -> Float[np.ndarray, " step"]:
    r"""The best forecast by the last step and the multiset of the others, which is linear: its weights.

    .. math:: w_d = \frac{c_d}{1 + \sigma^2}, \qquad w_k = \frac{\mathrm{mean}_{j<d}(c_j)}{1 + \sigma^2}, \quad k < d

    Raises:
        UsageError: unless windows are white.
    """
    if not np.allclose(model.features[:-1] @ model.features[:-1].T, np.eye(model.steps)):
        raise UsageError(
            "the order-blind bound is known for white windows only",
            "give features of which the first d are orthonormal, as `residual_ssm` and `white` make them",
        )
    c = model.coefficients
    return np.append(np.full(model.steps - 1, c[:-1].mean()), c[-1]) / (1 + model.noise**2)


def order_blind_bound(model: ResidualSSM) -> float:
    r"""Smallest mean squared error, on all signs, of a forecast blind to the order of the steps before the last.

    .. math:: \sigma^2 + \frac{\lVert c \rVert^2 \sigma^2}{1 + \sigma^2} + \frac{V}{1 + \sigma^2}, \qquad
        V = \sum_{k<d} (c_k - \mathrm{mean}_{j<d}(c_j))^2

    The two-layer network without positions is one, at any width and for any parameters. Given the last step and the
    multiset, all orders are as probable, so the best forecast is the mean over them.

    Raises:
        UsageError: unless windows are white.

    Source: ours, in place of the argument for proposition 6.3, part 1, of Ke et al. 2025.
    """
    return linear_risk(model, order_blind_rule(model))
