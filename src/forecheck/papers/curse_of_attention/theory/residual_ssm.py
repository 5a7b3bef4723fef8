"""The residual state space model: next steps that are one known linear function of a window, and its sign-split parts.

A window is short and white, so nothing but its last step and one fixed combination of the others tells of the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from forecheck.errors import UsageError

Form = Literal["unit", "flat", "prop3"]
Signs = Literal["all", "consistent", "inconsistent"]
BLOCK = 1024
"""Samples of one random stream: sample i is row i mod BLOCK of stream i div BLOCK, however many are drawn."""


class Samples(NamedTuple):
    """Windows x (sample, step) and next steps y (sample), with noise; `clean` (sample, step + 1) is both without."""

    x: Float[np.ndarray, "sample step"]
    y: Float[np.ndarray, " sample"]
    clean: Float[np.ndarray, "sample feature"]


@dataclass(frozen=True, eq=False)
class ResidualSSM:
    r"""A linear state space model that starts from a random state and makes d + 1 steps.

    .. math::
        h_{k+1} = A h_k + B u_k, \quad u_k = C^\top h_k \quad\Longrightarrow\quad
        u_k = \langle P_k, h_1 \rangle, \quad P_k = (M^\top)^{k-1} C, \quad M = A + B C^\top

    with :math:`h_1 \sim N(0, I)`, seen as :math:`x_k = u_k + \xi_k`, :math:`y = u_{d+1} + \xi_{d+1}`,
    :math:`\xi \sim N(0, \sigma^2)`. The law depends on M and C only, that is on the features P; B may be zero. Only
    d + 1 steps are made, so M need not be stable: the variance of step k is :math:`\lVert P_k \rVert^2 + \sigma^2`.

    Args:
        features: P, one row a step, the last that of the next step; as many states as steps in a window, and the
            features of the window independent.
        noise: sigma, a standard deviation (the paper's definition prints a variance, its proofs do not).

    Source: Ke et al. 2025 (arXiv 2412.06061), definitions 4.1 and 4.3, claim 4.2. The Krylov form of P is ours.
    """

    features: Float[np.ndarray, "feature state"]
    noise: float = 0.1

    def __post_init__(self) -> None:
        features, states = self.features.shape
        if features != states + 1 or states < 2 or np.linalg.matrix_rank(self.features[:-1]) < states:
            raise UsageError(
                f"features {self.features.shape} do not span the states",
                "give d + 1 rows of d numbers, d at least 2, of which the first d are independent",
            )
        if self.noise < 0:
            raise UsageError(f"noise {self.noise} is negative", "give a standard deviation")

    @property
    def steps(self) -> int:
        """D, the length of a window."""
        return len(self.features) - 1

    @cached_property
    def coefficients(self) -> Float[np.ndarray, " step"]:
        r"""The c of :math:`u_{d+1} = \langle c, u_{1..d} \rangle`, that is :math:`P_{d+1} = \sum_k c_k P_k`."""
        return np.linalg.solve(self.features[:-1].T, self.features[-1])

    @property
    def transition(self) -> Float[np.ndarray, "state state"]:
        r"""M of :math:`P_{k+1} = M^\top P_k`."""
        return np.linalg.solve(self.features[:-1], self.features[1:])

    @property
    def gamma(self) -> float:
        r""":math:`\langle P_d, P_{d+1} \rangle`, the covariance of the last step with the next."""
        return float(self.features[-2] @ self.features[-1])

    @property
    def scale(self) -> float:
        r""":math:`\lVert P_{d+1} \rVert`, the standard deviation of the next step without noise."""
        return float(np.linalg.norm(self.features[-1]))

    @property
    def bayes_error(self) -> float:
        r"""Smallest mean squared error of any function of the noisy window, on samples of all signs.

        .. math:: \sigma^2 + P_{d+1}^\top \big(I + \sigma^{-2} \textstyle\sum_{k \le d} P_k P_k^\top \big)^{-1} P_{d+1}

        For white windows it is :math:`\sigma^2 (1 + \lVert c \rVert^2 / (1 + \sigma^2))`.
        """
        window, target = self.features[:-1], self.features[-1]
        precision = self.noise**2 * np.eye(self.steps) + window.T @ window
        return float(self.noise**2 * (1 + target @ np.linalg.solve(precision, target)))

    @property
    def linear_error(self) -> float:
        r"""Error of forecasts :math:`\langle c, x \rangle` on any signs, :math:`\sigma^2 (1 + \lVert c \rVert^2)`."""
        return float(self.noise**2 * (1 + self.coefficients @ self.coefficients))

    def sample(self, count: int, seed: int = 0, signs: Signs = "all", start: int = 0) -> Samples:
        r"""Samples start, ..., start + count - 1 of a seed.

        `inconsistent` are those with :math:`u_d u_{d+1} < 0`, `consistent` the others, both before noise. None is
        rejected: in the plane of :math:`P_d` and :math:`P_{d+1}` the state is isotropic, its angle is uniform on the
        circle, and it is mapped onto the two sectors in which the signs are as asked, its radius kept.

        Args:
            count: how many.
            seed: of their streams.
            signs: of the last and the next step.
            start: number of the first sample.

        Raises:
            UsageError: if no sample has such signs.

        Source: Ke et al. 2025, definition 6.1, which rejects until the signs differ.
        """
        blocks = range(start // BLOCK, -(-(start + count) // BLOCK))
        streams = [np.random.default_rng((seed, b)).standard_normal((BLOCK, 2 * self.steps + 1)) for b in blocks]
        first = start % BLOCK
        drawn = np.concatenate([np.empty((0, 2 * self.steps + 1)), *streams])[first : first + count]
        state, noise = drawn[:, : self.steps], self.noise * drawn[:, self.steps :]
        if signs != "all":
            state = self._turned(state, signs)
        clean = state @ self.features.T
        noisy = clean + noise
        return Samples(noisy[:, :-1], noisy[:, -1], clean)

    @property
    def angle(self) -> float:
        """Between the features of the last and the next step, in [0, pi]."""
        last, target = self.features[-2] / np.linalg.norm(self.features[-2]), self.features[-1]
        return float(np.arctan2(np.linalg.norm(target - (target @ last) * last), target @ last))

    def plane(self) -> tuple[Float[np.ndarray, " state"], Float[np.ndarray, " state"]]:
        """Orthonormal axes of the plane of the last two features: along that of the last step, and across.

        Raises:
            UsageError: if they lie on one line, so that the last step tells the sign of the next.
        """
        along, target = self.features[-2] / np.linalg.norm(self.features[-2]), self.features[-1]
        across = target - (target @ along) * along
        length = np.linalg.norm(across)
        if length <= 1e-12 * self.scale:
            raise UsageError(
                f"nothing can be split by signs: the next step is {self.coefficients[-1]:g} times the last one",
                "give features of which the last two are independent",
            )
        return along, across / length

    def _turned(self, state: np.ndarray, signs: Signs) -> np.ndarray:
        """The states with their angle in that plane mapped onto the sectors of those signs."""
        along, across = self.plane()
        a, b = state @ along, state @ across
        radius = np.hypot(a, b)
        half, share = np.divmod(np.arctan2(b, a) / np.pi + 1, 1)  # which half of the circle, and where in it
        width = self.angle if signs == "inconsistent" else np.pi - self.angle
        begin = np.pi / 2 if signs == "inconsistent" else self.angle - np.pi / 2
        turned = begin + width * share + np.pi * half
        new_a, new_b = radius * np.cos(turned), radius * np.sin(turned)
        return state + (new_a - a)[:, None] * along + (new_b - b)[:, None] * across


def white(coefficients: Float[np.ndarray, " step"], noise: float = 0.1) -> ResidualSSM:
    """The model whose windows are white, P_1, ..., P_d = I, with given coefficients of the next step."""
    return ResidualSSM(np.vstack([np.eye(len(coefficients)), coefficients]), noise)


def residual_ssm(
    form: Form = "unit", steps: int = 8, gamma: float = 0.5, noise: float = 0.1, seed: int = 0
) -> ResidualSSM:
    r"""White windows with :math:`c_d = \gamma` and :math:`\sum_k c_k = 1`, which the residual linear network needs.

    =========  =======================================================================  ============================
    form       background, k < d                                                        next step
    =========  =======================================================================  ============================
    ``unit``   :math:`(1 - \gamma) / (d - 1) + \rho v_k`, v random, v ⟂ 1, ‖v‖ = 1      of variance 1
    ``flat``   :math:`(1 - \gamma) / (d - 1)`                                           background without order
    ``prop3``  that of ``flat`` at :math:`\gamma = (d - 1) / d`                         the appendix's property 3
    =========  =======================================================================  ============================

    Args:
        form: the parametrisation; the paper's three properties of the features contradict each other, so no form has
            them all.
        steps: d.
        gamma: covariance of the last and the next step; `prop3` has its own.
        noise: sigma.
        seed: of v.

    Raises:
        UsageError: for `unit`, unless -1 + 2/d <= gamma <= 1, where the variance can be 1.

    Source: Ke et al. 2025 (arXiv 2412.06061), claim 4.2 and appendix C; the parametrisations are ours.
    """
    if form == "prop3":
        gamma = (steps - 1) / steps
    background = np.full(steps - 1, (1 - gamma) / (steps - 1))
    if form == "unit":
        rest = 1 - gamma**2 - (1 - gamma) ** 2 / (steps - 1)
        if rest < -1e-12 or steps < 3:
            raise UsageError(
                f"no unit form has gamma = {gamma:g} at {steps} steps",
                f"give at least 3 steps and gamma from {-1 + 2 / steps:g} to 1",
            )
        direction = np.random.default_rng(seed).standard_normal(steps - 1)
        direction -= direction.mean()
        background += np.sqrt(max(rest, 0)) * direction / np.linalg.norm(direction)
    return white(np.append(background, gamma), noise)
