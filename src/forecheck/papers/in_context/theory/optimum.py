"""Forecasting in context with one layer of linear attention: its gap to the linear predictor, and its roll-outs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.papers.in_context.theory.linear_self_attention import gram

Predict = Callable[[Float[Tensor, "batch time"]], Float[Tensor, " batch"]]
"""The next value of histories."""


def gap(explained: float, columns: int, excess_kurtosis: float = 0.0) -> float:
    r"""Excess error of the closed-form head over the best linear predictor, which no single layer removes at finite n.

    .. math:: \frac{2 + \kappa}{n + 2 + \kappa} (\gamma_0 - \sigma^2)

    The layer's label slot begins at zero, so it must make the constant 1 out of its context: the residual variance
    over sigma^2, whose relative variance is (2 + kappa) / n, is the best quadratic form for it to first order in 1/n.
    Any number of heads do better by O(1/n^2) (`heads.relaxed_optimum`).

    Exact for normal innovations at any n: the residuals are n innovations, the query is linear in them and in what was
    before, and weighting by the square of an innovation turns chi^2_n into chi^2_{n+2}; with the factor n / (n + 2) the
    squared error is 2 / (n + 2) either way. For others the second order in 1/n is missing: with Laplace innovations 9 %
    at n = 50, if all of the query is made of innovations of the context.

    Args:
        explained: gamma_0 - sigma^2, variance of the series less that of its innovations.
        columns: n, complete columns of the prompt.
        excess_kurtosis: kappa of the innovations; 0 if normal, 3 if Laplace.

    Source: arXiv 2510.09776 proves a strict gap of order 1/n; the constant and the exact form are derived here.
    """
    return (2 + excess_kurtosis) / (columns + 2 + excess_kurtosis) * explained


def closed_form(
    coefficients: Float[Tensor, " lag"], noise: float, columns: int, excess_kurtosis: float = 0.0
) -> tuple[Float[Tensor, "1 row"], Float[Tensor, "1 row lag"]]:
    r"""Weights of the one head that attains `gap` (for `linear_self_attention.read` or `as_layer`).

    .. math:: u = (-\phi_p, \dots, -\phi_1, 1), \quad v = \frac{n}{(n + 2 + \kappa) \sigma^2} u, \quad
        A = u (\phi_p, \dots, \phi_1) \quad \Rightarrow \quad
        \hat y = \frac{n}{n + 2 + \kappa} \frac{\hat\sigma^2}{\sigma^2} \phi^\top x_q

    with the residual variance of the context in place of the constant 1.

    Args:
        coefficients: phi_1 to phi_p of the process.
        noise: sigma^2.
        columns, excess_kurtosis: as in `gap`.
    """
    backwards = coefficients.flip(0)
    u = torch.cat([-backwards, backwards.new_ones(1)])
    shrink = columns / (columns + 2 + excess_kurtosis)
    return (shrink / noise * u)[None], torch.outer(u, backwards)[None]


def least_squares_in_context(prompt: Float[Tensor, "batch row column"]) -> Float[Tensor, " batch"]:
    r"""The baseline that sees no more than attention does: regression on the columns of the prompt, no intercept.

    .. math:: \hat y = x_q^\top G_{xx}^{-1} G_{xy}

    Its excess error is about :math:`p \sigma^2 / n`.
    """
    known = gram(prompt)
    weights = torch.linalg.solve(known[:, :-1, :-1], known[:, :-1, -1])
    return (weights * prompt[:, :-1, -1]).sum(dim=1)


def preconditioner(
    coefficients: Float[Tensor, "process lag"], autocovariances: Float[Tensor, "process lag_and_one"]
) -> tuple[Float[Tensor, "lag lag_and_one"], float]:
    r"""What one layer can do for many processes with unlimited context: one fixed map of the covariances.

    .. math:: \hat w = B (\gamma_0, \dots, \gamma_p), \qquad \min_B E[(\phi - B\gamma)^\top \Gamma_p (\phi - B\gamma)]

    Divide the autocovariances by gamma_0 for prompts of unit variance. Any number of heads.

    Args:
        coefficients: phi_1 to phi_p.
        autocovariances: gamma_0 to gamma_p.

    Returns:
        B, and its excess error as a share of the variance that the processes explain, E[phi' Gamma phi].
    """
    order = coefficients.shape[1]
    lags = torch.arange(order)
    toeplitz = autocovariances[:, (lags[:, None] - lags).abs()]
    count = len(coefficients)
    second = torch.einsum("tij,tk,tl->ikjl", toeplitz, autocovariances, autocovariances) / count
    cross = torch.einsum("tij,tj,tk->ik", toeplitz, coefficients, autocovariances) / count
    size = cross.numel()
    # A pseudo-inverse: the autocovariances of a few processes do not determine B.
    inverse = torch.linalg.pinv(second.reshape(size, size), hermitian=True, rtol=1e-12)
    matrix = (inverse @ cross.flatten()).view_as(cross)
    missed = coefficients - autocovariances @ matrix.mT
    excess, explained = (torch.einsum("ti,tij,tj->", w, toeplitz, w) for w in (missed, coefficients))
    return matrix, (excess / explained).item()


def roll_out(predict: Predict, history: Float[Tensor, "batch time"], steps: int) -> Float[Tensor, "batch step"]:
    """Free-running forecasts: every prediction is appended to the history, which grows; overflow stays infinite.

    Args:
        predict: gives the next value of histories of any length.
        history: what is known before the first forecast.
        steps: how many are forecast.
    """
    begun = history.shape[1]
    for _ in range(steps):
        history = torch.cat([history, predict(history)[:, None]], dim=1)
    # Infinite terms of both signs cancel to nan; what has overflowed once is lost.
    return history[:, begun:].nan_to_num(nan=math.inf)


def median_decay(rolled: Float[Tensor, "batch step"], scale: float) -> Float[Tensor, " step"]:
    """Median size of roll-outs at every step, in units of the series' standard deviation.

    A few roll-outs that blow up ruin every mean; they are counted by `divergence_share`.
    """
    return rolled.abs().median(dim=0).values / scale


def divergence_share(rolled: Float[Tensor, "batch step"], scale: float, limit: float = 50.0) -> float:
    """Share of roll-outs that leave `limit` standard deviations at any step.

    Args:
        rolled: the roll-outs.
        scale: standard deviation of the series.
        limit: in standard deviations.
    """
    return (rolled.abs() > limit * scale).any(dim=1).double().mean().item()


def collapse_step(
    rolled: Float[Tensor, "batch step"], scale: float, run: int = 8, share: float = 0.05
) -> Float[Tensor, " batch"]:
    """The first step (from 0) that begins `run` values below `share` of the standard deviation; infinite if none.

    Args:
        rolled: the roll-outs; at least `run` steps.
        scale: standard deviation of the series.
        run: consecutive values that have to be small.
        share: of the standard deviation, below which a value is small.

    Source: arXiv 2510.09776, code (run = max(5, min(20, steps // 5)), share 0.05).
    """
    below = (rolled.abs() < share * scale).unfold(1, run, 1).all(dim=2)
    first = below.int().argmax(dim=1).double()
    return torch.where(below.any(dim=1), first, math.inf)
