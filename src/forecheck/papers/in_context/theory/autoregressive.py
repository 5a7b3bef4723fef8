"""Autoregressive processes of one or several channels: stable draws, covariances, paths, and the best error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from forecheck.errors import DataError
from forecheck.papers.in_context.theory.streams import streams

COEFFICIENTS, STATE, NOISE = range(3)
"""What a sample's numbers are drawn for."""
_ROUND = 20  # coefficients that are drawn at once while they are rejected

Law = Literal["normal", "laplace"]
EXCESS_KURTOSIS: dict[Law, float] = {"normal": 0.0, "laplace": 3.0}


def companion(
    coefficients: Float[np.ndarray, "process lag channel channel"],
) -> Float[np.ndarray, "process state state"]:
    r"""The matrix of one step of the state :math:`(x_t, x_{t-1}, \dots, x_{t-p+1})`; state = lag times channel."""
    count, order, channels, _ = coefficients.shape
    matrix = np.zeros((count, order * channels, order * channels))
    matrix[:, :channels] = coefficients.transpose(0, 2, 1, 3).reshape(count, channels, order * channels)
    matrix[:, channels:, :-channels] = np.eye((order - 1) * channels)
    return matrix


def spectral_radius(coefficients: Float[np.ndarray, "process lag channel channel"]) -> Float[np.ndarray, " process"]:
    """The largest absolute eigenvalue of the companion matrix; the process is stable where it is below 1."""
    return np.abs(np.linalg.eigvals(companion(coefficients))).max(axis=1)


def rejected_coefficients(
    index: Int[np.ndarray, " process"],
    order: int,
    channels: int = 1,
    bound: float = 0.9,
    radius: float = 1.0,
    tries: int = 1000,
    seed: int = 0,
) -> Float[np.ndarray, "process lag channel channel"]:
    """Coefficients uniform in (-bound, bound), drawn again until the process is stable.

    Args:
        index: numbers of the processes; each has its own stream.
        order: p, the number of lags.
        channels: C.
        bound: largest absolute coefficient.
        radius: the spectral radius that is not reached.
        tries: draws a process may take, in rounds of 20.
        seed: of all streams.

    Raises:
        DataError: if a process is still unstable after that many draws.

    Source: arXiv 2510.09776, code (which after 1000 failures returns a process of another order).
    """
    chosen = np.empty((len(index), order, channels, channels))
    left = np.arange(len(index))
    for part in range(-(-tries // _ROUND)):
        shape = (_ROUND, order, channels, channels)
        drawn = np.stack([s.uniform(-bound, bound, shape) for s in streams(index[left], seed, COEFFICIENTS, part)])
        stable = spectral_radius(drawn.reshape(-1, *shape[1:])).reshape(-1, _ROUND) < radius
        found = stable.any(axis=1)
        chosen[left[found]] = drawn[found, stable[found].argmax(axis=1)]
        left = left[~found]
        if not len(left):
            return chosen
    raise DataError(
        f"no stable process of order {order} with {channels} channels among {tries} draws with coefficients up to "
        f"{bound:g}, for {len(left)} of {len(index)} processes",
        "Give a smaller bound, or draw by construction (scaled_coefficients).",
    )


def scaled_coefficients(
    index: Int[np.ndarray, " process"],
    order: int,
    channels: int = 1,
    radius: tuple[float, float] = (0.3, 0.95),
    seed: int = 0,
) -> Float[np.ndarray, "process lag channel channel"]:
    r"""Stable by construction: uniform coefficients, scaled to a spectral radius that is uniform between two bounds.

    .. math:: \Phi_k \leftarrow c^k \Phi_k, \qquad c = r / \rho

    multiplies every eigenvalue of the companion matrix by c. Any order and number of channels, one draw each.

    Args:
        index, order, channels, seed: as in `rejected_coefficients`.
        radius: bounds of the spectral radius, below 1.

    Raises:
        ValueError: if the bounds are not in order between 0 and 1.
    """
    if not 0 <= radius[0] <= radius[1] < 1:
        raise ValueError(f"bounds of the spectral radius must be in order in [0, 1), got {radius}")
    shape = (order, channels, channels)
    pairs = [(s.uniform(-1, 1, shape), s.uniform(*radius)) for s in streams(index, seed, COEFFICIENTS)]
    drawn = np.stack([pair[0] for pair in pairs])
    factor = np.array([pair[1] for pair in pairs]) / spectral_radius(drawn)
    return drawn * (factor[:, None] ** np.arange(1, order + 1))[:, :, None, None]


def recursion(
    coefficients: Float[np.ndarray, "process lag channel channel"],
    before: Float[np.ndarray, "lag series channel"],
    noise: Float[np.ndarray, "time series channel"],
) -> Float[np.ndarray, "time series channel"]:
    """What follows `before` (oldest first) with these innovations; one process, or as many as series.

    Args:
        coefficients: Phi_1 to Phi_p; rows are the channels that are made.
        before: the p steps that come first.
        noise: innovations.
    """
    order, (time, count, channels) = len(before), noise.shape
    path = np.concatenate([before, noise])
    # Oldest lag first, as in the path.
    weights = np.broadcast_to(coefficients[:, ::-1].swapaxes(0, 1), (order, count, channels, channels))
    for t in range(order, order + time):
        path[t] += np.einsum("lsij,lsj->si", weights, path[t - order : t])
    return path[order:]


@dataclass(frozen=True, eq=False)
class Autoregression:
    r"""Processes :math:`x_t = \sum_{k=1}^p \Phi_k x_{t-k} + \epsilon_t` with independent innovations.

    Args:
        coefficients: Phi_k of every process; rows are the channels that are made.
        noise: covariance of the innovations.

    Raises:
        DataError: if a process is not stable.
    """

    coefficients: Float[np.ndarray, "process lag channel channel"]
    noise: Float[np.ndarray, "process channel channel"]

    def __post_init__(self) -> None:
        unstable = np.flatnonzero(spectral_radius(self.coefficients) >= 1)
        if len(unstable):
            raise DataError(
                f"process {unstable[0]} ({len(unstable)} of {len(self.coefficients)}) is not stable",
                "Scale its coefficients (scaled_coefficients).",
            )

    @classmethod
    def scalar(cls, coefficients: Float[np.ndarray, "process lag"], variance: float = 1.0) -> Autoregression:
        """AR(p) processes of one channel whose innovations have this variance."""
        return cls(coefficients[:, :, None, None], np.full((len(coefficients), 1, 1), variance))

    @property
    def order(self) -> int:
        """The number of lags p."""
        return self.coefficients.shape[1]

    def state_covariance(self) -> Float[np.ndarray, "process state state"]:
        r"""Covariance of p consecutive steps, the newest first: the discrete Lyapunov equation.

        .. math:: \Gamma = A \Gamma A^\top + Q = \sum_{i \ge 0} A^i Q (A^i)^\top

        summed by doubling, 2^k terms after k steps, until the rest is below rounding; all processes at once. For one
        channel these are the Yule-Walker equations.
        """
        power = companion(self.coefficients)
        total = np.zeros_like(power)
        channels = self.noise.shape[1]
        total[:, :channels, :channels] = self.noise
        while np.abs(power).max() > 1e-9:  # what is left is quadratic in the power
            total = total + power @ total @ power.swapaxes(1, 2)
            power = power @ power
        return total

    def autocovariances(self, lags: int) -> Float[np.ndarray, "process lag channel channel"]:
        r""":math:`\gamma_k = E[x_t x_{t-k}^\top]`, k = 0 to `lags` - 1; squared unit of the series."""
        channels = self.noise.shape[1]
        ahead = self.state_covariance()  # of (x_{t+k}, ...) with (x_t, ...)
        step = companion(self.coefficients)
        found = []
        for _ in range(lags):
            found.append(ahead[:, :channels, :channels])
            ahead = step @ ahead
        return np.stack(found, axis=1)

    def bayes_error(self, horizon: int) -> Float[np.ndarray, "process horizon channel"]:
        r"""Mean squared error of the best forecast h steps ahead, given the past and the process.

        .. math:: \sum_{j<h} \mathrm{diag}(\Psi_j \Sigma \Psi_j^\top), \qquad \Psi_j = (A^j)_{11}

        Exact for normal innovations; for others that of the best linear forecast. Squared unit of the series.
        """
        channels = self.noise.shape[1]
        step = companion(self.coefficients)
        power = np.broadcast_to(np.eye(step.shape[1]), step.shape)
        variances = []
        for _ in range(horizon):
            psi = power[:, :channels, :channels]
            variances.append(np.einsum("pij,pjk,pik->pi", psi, self.noise, psi))
            power = step @ power
        return np.cumsum(np.stack(variances, axis=1), axis=1)

    def forecast(
        self, history: Float[np.ndarray, "process time channel"], horizon: int
    ) -> Float[np.ndarray, "process horizon channel"]:
        """The best forecast: innovations are zero from now on. One process, or as many as histories."""
        steps = np.zeros((horizon, *history[:, 0].shape))
        return recursion(self.coefficients, history[:, -self.order :].swapaxes(0, 1), steps).swapaxes(0, 1)

    def simulate(
        self, index: Int[np.ndarray, " series"], steps: int, seed: int = 0, law: Law = "normal", burn_in: int = 0
    ) -> Float[np.ndarray, "series time channel"]:
        """Paths of one process, or of as many as series; each series from its own stream.

        They start from a normal state of the stationary covariance: with normal innovations a path is stationary from
        its first step, with others the first steps are dropped (`burn_in`).

        Args:
            index: numbers of the series.
            steps: that are kept.
            seed: of all streams.
            law: of the innovations; their covariance is the same.
            burn_in: steps that are dropped.
        """
        count, total, channels = len(index), steps + burn_in, self.noise.shape[1]
        start = np.stack([s.standard_normal(self.order * channels) for s in streams(index, seed, STATE)])
        start = np.einsum("...ij,...j->...i", np.linalg.cholesky(self.state_covariance()), start)
        before = start.reshape(count, self.order, channels)[:, ::-1].swapaxes(0, 1)
        noise = np.empty((total, count, channels))  # time first: a step is one block of memory
        for series, stream in enumerate(streams(index, seed, NOISE)):
            shape = (total, channels)
            normal = law == "normal"
            noise[:, series] = stream.standard_normal(shape) if normal else stream.laplace(0.0, 0.5**0.5, shape)
        noise = np.einsum("...ij,t...j->t...i", np.linalg.cholesky(self.noise), noise)
        return recursion(self.coefficients, before, noise)[burn_in:].swapaxes(0, 1)
