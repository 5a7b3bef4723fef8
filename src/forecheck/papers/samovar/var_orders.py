"""Vector autoregressions of unseen order: the published set of SAMoVAR, bit by bit, unstable samples included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from forecheck.papers.in_context.theory.autoregressive import recursion

LOOKBACK = 64
"""Steps of input; one step is to be forecast."""
CHANNELS = 2
TRAIN, VALIDATION = 20_000, 2_000
"""Samples."""
NOISE, LIMIT = 0.05, 15.0
"""Standard deviation of the innovations, and where values are clipped."""
_MAX_ORDER = 4

Part = Literal["train", "validation"]


@dataclass(frozen=True, eq=False)
class VarSet:
    """Samples of vector autoregressions.

    Args:
        values: input and target.
        coefficients: true ones; lags beyond a sample's order are zero.
        order: of every sample.
    """

    values: Float[np.ndarray, "sample time channel"]
    coefficients: Float[np.ndarray, "sample lag channel channel"]
    order: Int[np.ndarray, " sample"]

    def oracle(self) -> Float[np.ndarray, "sample channel"]:
        """The forecast of the last step by the true coefficients."""
        recent = self.values[:, -2 : -2 - _MAX_ORDER : -1]
        return np.einsum("slij,slj->si", self.coefficients, recent)


def var_orders(part: Part, count: int | None = None) -> VarSet:
    r"""Samples of orders 1 and 2 with coefficients in (-0.5, 0.5) to train on, 3 and 4 in (-0.25, 0.25) to validate on.

    .. math:: x_t = \sum_{k \le p} \Phi_k x_{t-k} + \epsilon_t, \quad \epsilon_t \sim N(0, 0.05^2 I), \quad
        x_1 \dots x_p \sim N(0, I)

    Nothing makes them stable: 1.5 % of training samples and one of validation are not, and these few carry the squared
    error of a constant forecast. Paths are clipped when they are done. `autoregressive.scaled_coefficients` draws
    stable ones.

    Args:
        part: which one.
        count: the first so many samples; all of them if not given.

    Source: arXiv 2502.07244, released data set (seed 2025; sample i is drawn from numpy's old generator with seed i,
    whose first uniform number is not used). Its code says orders {1, 2} and {3, 4}, its text {1, 2, 3} and {3, 4, 5}.
    """
    stream = np.random.RandomState(2025)
    orders = {"train": stream.randint(1, 3, TRAIN), "validation": stream.randint(3, 5, VALIDATION)}
    order = orders[part][:count]
    bound = 0.5 if part == "train" else 0.25
    values = np.empty((len(order), LOOKBACK + 1, CHANNELS))
    coefficients = np.zeros((len(order), _MAX_ORDER, CHANNELS, CHANNELS))
    for p in np.unique(order):
        of_order = np.flatnonzero(order == p)
        before = np.empty((p, len(of_order), CHANNELS))
        noise = np.empty((LOOKBACK + 1 - p, len(of_order), CHANNELS))
        for row, sample in enumerate(of_order):
            stream.seed(sample)
            stream.rand()
            before[:, row] = stream.standard_normal((p, CHANNELS))
            drawn = stream.uniform(-bound, bound, (p, CHANNELS, CHANNELS))
            coefficients[sample, :p] = drawn.astype(np.float32)
            noise[:, row] = NOISE * stream.standard_normal((len(noise), CHANNELS))
        path = np.concatenate([before, recursion(coefficients[of_order, :p], before, noise)])
        values[of_order] = path.swapaxes(0, 1)
    return VarSet(np.clip(values, -LIMIT, LIMIT), coefficients, order)
