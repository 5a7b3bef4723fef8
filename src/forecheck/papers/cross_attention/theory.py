"""Deep cross-attention that inverts a covariance of its own in every prompt; a reconstruction of the paper's model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import minimize, minimize_scalar
from torch import Tensor

from forecheck.papers.in_context.theory.linear_self_attention import gram, read

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)


@dataclass(frozen=True, eq=False)
class Factors:
    r"""Tasks with factors of their own: :math:`x = M f + \epsilon`, :math:`y = b^\top f`.

    Factors f and noise epsilon are standard normal, and the modalities are stacked in x. Covariance and best predictor
    of a task are

    .. math:: \Sigma = I + M M^\top, \qquad E[y \mid x] = w^\top x, \qquad w = M (I + M^\top M)^{-1} b

    Args:
        loadings: M.
        response: b.

    Source: reconstructed from arXiv 2602.04872, whose laws could not be read; the published limit is met (`best_step`).
    """

    loadings: Float[Tensor, "task width factor"]
    response: Float[Tensor, "task factor"]

    def weights(self) -> Float[Tensor, "task width"]:
        """The best predictor w."""
        return torch.einsum("tdf,tf->td", self.loadings, torch.linalg.solve(self._inner(), self.response))

    def bayes_error(self) -> Float[Tensor, " task"]:
        r"""Its squared error :math:`b^\top (I + M^\top M)^{-1} b`."""
        return (self.response * torch.linalg.solve(self._inner(), self.response)).sum(dim=1)

    def excess(self, weights: Float[Tensor, "task width"]) -> Float[Tensor, " task"]:
        r"""Error of other weights beyond it, over all queries: :math:`(v - w)^\top \Sigma (v - w)`."""
        missed = weights - self.weights()
        along = torch.einsum("tdf,td->tf", self.loadings, missed)
        return missed.square().sum(dim=1) + along.square().sum(dim=1)

    def _inner(self) -> Float[Tensor, "task factor factor"]:
        return torch.eye(self.loadings.shape[2], dtype=self.loadings.dtype) + self.loadings.mT @ self.loadings

    def prompts(self, context: int, seed: int = 0) -> tuple[Float[Tensor, "task row column"], Float[Tensor, " task"]]:
        """Prompts of (x; y) columns whose last label is zero, and that label."""
        tasks, width, factors = self.loadings.shape
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(tasks, width + factors, context + 1, generator=generator, dtype=self.loadings.dtype)
        hidden = drawn[:, width:]
        y = torch.einsum("tf,tfc->tc", self.response, hidden)
        target = y[:, -1].clone()
        y[:, -1] = 0
        return torch.cat([self.loadings @ hidden + drawn[:, :width], y[:, None]], dim=1), target


def draw_factors(count: int, width: int, low: float, high: float, factors: int = 1, seed: int = 0) -> Factors:
    r"""Orthogonal loadings in isotropic directions, :math:`M^\top M` diagonal, uniform in [low, high]; b = r^(-1/2).

    Args:
        count: tasks.
        width: of x; at least `factors`.
        low: lower bound of the eigenvalues m of M'M.
        high: their upper bound.
        factors: r, factors a task.
        seed: of all tasks.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(count, width, factors, generator=generator, dtype=torch.float64))[0]
    strengths = low + (high - low) * torch.rand(count, 1, factors, generator=generator, dtype=torch.float64)
    return Factors(directions * strengths.sqrt(), torch.full((count, factors), factors**-0.5, dtype=torch.float64))


def predict(
    prompt: Float[Tensor, "task row column"], depth: int, step: float, coupling: float | None = None
) -> Float[Tensor, " task"]:
    r"""Layers of linear cross-attention with skip connections and x given to each anew, then self-attention.

    .. math:: z_0 = 0, \quad z_{t+1} = z_t + \alpha x_q + \beta S z_t, \quad S = \frac1L \sum_i x_i x_i^\top, \qquad
        \hat y = \frac1L \sum_i y_i x_i^\top z_T

    Queries come from z, keys and values from the context's x. With beta = -alpha it is Richardson's iteration for
    S^{-1} x_q, so the prediction tends to regression in context, if it converges (`diverges`).

    Args:
        prompt: (x; y) columns, the query last.
        depth: T; one layer is linear self-attention.
        step: alpha.
        coupling: beta; -alpha if not given.
    """
    known, query = gram(prompt), prompt[:, :-1, -1]
    beta = -step if coupling is None else coupling
    z = torch.zeros_like(query)
    for _ in range(depth):
        z = z + step * query + beta * torch.einsum("tij,tj->ti", known[:, :-1, :-1], z)
    rows = torch.eye(prompt.shape[1], dtype=prompt.dtype)
    return read(known, rows[-1:], rows[None, :, :-1], z)


def learnt_weights(
    prompt: Float[Tensor, "task row column"], depth: int, step: float, coupling: float | None = None
) -> Float[Tensor, "task width"]:
    r"""The weights of x_q in `predict`, which is linear in it: the polynomial of S applied to the context's labels.

    .. math:: \alpha \sum_{t < T} (I + \beta S)^t \; \frac1L \sum_i y_i x_i

    With them errors are taken over all queries at once (`Factors.excess`), at far less variance than over one query.

    Args:
        prompt: (x; y) columns, the query last; it is not read.
        depth: T, the number of layers.
        step: alpha.
        coupling: beta; -alpha if not given.
    """
    known = gram(prompt)
    labels = known[:, :-1, -1]
    beta = -step if coupling is None else coupling
    w = torch.zeros_like(labels)
    for _ in range(depth):
        w = w + step * labels + beta * torch.einsum("tij,tj->ti", known[:, :-1, :-1], w)
    return w


def best_step(low: float, high: float) -> float:
    r"""The step with the least worst contraction, the limit of trained steps as depth grows.

    .. math:: \alpha^* = \frac{2}{2 + \underline m + \bar m}, \qquad
        \max_{\lambda \in [1 + \underline m, 1 + \bar m]} |1 - \alpha^* \lambda|
        = \frac{\bar m - \underline m}{2 + \underline m + \bar m}

    Args:
        low, high: bounds of the eigenvalues m of M'M, over all tasks.

    Source: arXiv 2602.04872 (the limit); derived here from the reconstruction.
    """
    return 2 / (2 + low + high)


def excess(depth: int, step: float, low: float, high: float, coupling: float | None = None) -> float:
    r"""Error beyond Bayes with unlimited context, one factor of strength m uniform in [low, high].

    .. math:: E \Big[ \frac{m}{1 + m} (1 - \lambda P_T(\lambda))^2 \Big], \qquad \lambda = 1 + m, \qquad
        P_T(\lambda) = \alpha \sum_{t < T} (1 + \beta \lambda)^t

    whose square is :math:`(1 - \alpha\lambda)^{2T}` for beta = -alpha. At depth 1 it is positive for every alpha
    unless m is constant: one layer has one map for all tasks. By Gauss-Legendre quadrature, exact to rounding up to
    depth 100.

    Args:
        depth: T, the number of layers.
        step: alpha.
        low: lower bound of m.
        high: upper bound of m.
        coupling: beta; -alpha if not given.
    """
    m = low + (high - low) * (_NODES + 1) / 2
    eigenvalue = 1 + m
    beta = -step if coupling is None else coupling
    left = 1 - step * eigenvalue * ((1 + beta * eigenvalue) ** np.arange(depth)[:, None]).sum(axis=0)
    return float(_WEIGHTS / 2 @ (m / eigenvalue * left**2))


def trained_step(depth: int, low: float, high: float) -> float:
    """The step alpha (beta = -alpha) that minimises `excess`.

    The excess is convex in it but flat, so its logarithm is searched; gradient descent gets slow from depth 10 on.

    Args:
        depth: T, the number of layers.
        low: lower bound of the eigenvalues m of M'M.
        high: their upper bound.
    """
    found = minimize_scalar(
        lambda step: np.log(excess(depth, step, low, high)),
        bounds=(0.0, 2 / (1 + high)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(found.x)


def trained_pair(depth: int, low: float, high: float) -> tuple[float, float]:
    """Alpha and beta that minimise `excess` together, searched from `trained_step`; a single layer has no beta.

    Args:
        depth: T, the number of layers; at least 2.
        low: lower bound of the eigenvalues m of M'M.
        high: their upper bound.
    """
    step = trained_step(depth, low, high)
    found = minimize(
        lambda pair: np.log(excess(depth, pair[0], low, high, pair[1])),
        np.array([step, -step]),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 4000},
    )
    return float(found.x[0]), float(found.x[1])


def context_covariance(prompt: Float[Tensor, "task row column"]) -> Float[Tensor, "task width width"]:
    """S, the second moments of the context's x."""
    return gram(prompt)[:, :-1, :-1]


def diverges(covariance: Float[Tensor, "task width width"], step: float) -> Bool[Tensor, " task"]:
    r"""Whether the iteration grows with depth in a prompt: an eigenvalue of S above :math:`2 / \alpha`; needs no label.

    Sample eigenvalues spread around 1 + m as context shrinks, so a step that is best without limit diverges at depth.
    """
    return torch.linalg.eigvalsh(covariance)[:, -1] > 2 / step


def safe_step(covariance: Float[Tensor, "task width width"]) -> Float[Tensor, " task"]:
    r"""The fastest step for a prompt's own spectrum, :math:`2 / (\lambda_{\min} + \lambda_{\max})`; never diverges."""
    eigenvalues = torch.linalg.eigvalsh(covariance)
    return 2 / (eigenvalues[:, 0] + eigenvalues[:, -1])
