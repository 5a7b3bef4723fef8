"""Thinking longer at test time: a trained matrix applied k times, when it helps, and when it overshoots."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import nnls
from torch import Tensor


def hardness(covariance: Float[Tensor, "width width"]) -> float:
    r"""Of a task: :math:`\mathrm{tr} \Lambda / \lambda_{\min}(\Lambda)`, at least d.

    Source: arXiv 2510.03605, theorem 3.3.
    """
    return (covariance.trace() / torch.linalg.eigvalsh(covariance)[0]).item()


def trained_matrix(covariance: Float[Tensor, "width width"], length: int) -> Float[Tensor, "width width"]:
    r"""What training on prompts of n noise-free examples, :math:`x \sim N(0, \Lambda)`, leaves in the weights.

    .. math:: \Gamma = \Big( 1 + \frac1n \Big) \Lambda + \frac{\mathrm{tr} \Lambda}{n} I, \qquad
        \Gamma^{-1} = E[S] E[S^2]^{-1}, \quad S = \frac1n X X^\top

    Source: arXiv 2510.03605, theorem 3.1.
    """
    eye = torch.eye(len(covariance), dtype=covariance.dtype)
    return (1 + 1 / length) * covariance + covariance.trace() / length * eye


def trained_mixture(
    covariances: Float[Tensor, "kind width width"], shares: Float[Tensor, " kind"], length: int
) -> Float[Tensor, "width width"]:
    r"""The same for training on several kinds of tasks: the matrix in the place of Gamma.

    .. math:: \Gamma^{-1} = \bar\Lambda \Big( \sum_\ell \pi_\ell \Lambda_\ell \Gamma_\ell \Big)^{-1}, \qquad
        \bar\Lambda = \sum_\ell \pi_\ell \Lambda_\ell

    Not symmetric in general. Derived here; the paper bounds it.

    Args:
        covariances: Lambda of every kind.
        shares: pi; they sum to 1.
        length: n, examples a training prompt.
    """
    second = sum(share * kind @ trained_matrix(kind, length) for share, kind in zip(shares, covariances, strict=True))
    mean = torch.einsum("k,kij->ij", shares, covariances)
    return torch.linalg.solve(mean, second, left=False)


def embed(x: Float[Tensor, "width length"], y: Float[Tensor, " length"]) -> Float[Tensor, "row column"]:
    r"""The prompt of a task whose answer is its weights: rows (x; y; w; 1), the last column (0; 0; w_0 = 0; 1)."""
    width, length = x.shape
    prompt = x.new_zeros(2 * width + 2, length + 1)
    prompt[:width, :-1], prompt[width, :-1], prompt[-1, -1] = x, y, 1
    return prompt


def layer_weights(
    matrix: Float[Tensor, "width width"],
) -> tuple[Float[Tensor, "row row"], Float[Tensor, "row row"]]:
    r"""Value and key-query matrices with which one layer is one step of `chain`.

    .. math:: V_{w,x} = -\Gamma^{-1}, \qquad W_{x,w} = I, \quad W_{y,1} = -1

    Source: arXiv 2510.03605, theorem 3.1.
    """
    width = len(matrix)
    value, key_query = matrix.new_zeros(2, 2 * width + 2, 2 * width + 2)
    value[width + 1 : -1, :width] = -torch.linalg.inv(matrix)
    key_query[:width, width + 1 : -1] = torch.eye(width, dtype=matrix.dtype)
    key_query[width, -1] = -1
    return value, key_query


def chain(
    x: Float[Tensor, "task width length"],
    y: Float[Tensor, "task length"],
    matrix: Float[Tensor, "width width"],
    steps: int,
) -> Float[Tensor, "task step width"]:
    r"""Estimates of w after 1 to k steps of thought, each the layer applied to the last one.

    .. math:: w_{i+1} = w_i - \Gamma^{-1} (S w_i - \tfrac1m X y), \quad w_0 = 0
        \quad \Rightarrow \quad w_k = \big( I - (I - \Gamma^{-1} S)^k \big) w \text{ if } y = X^\top w

    A thought that is appended to the prompt has no x, so later steps attend to the examples only. O(k d^2) a task.

    Args:
        x, y: examples; y may be noisy.
        matrix: Gamma.
        steps: k.

    Source: arXiv 2510.03605, proposition 3.2; counted so that w_k has taken k steps.
    """
    length = x.shape[2]
    slope = torch.linalg.solve(matrix, x @ x.mT / length)
    push = torch.linalg.solve(matrix, torch.einsum("tdm,tm->td", x, y).mT / length).mT
    w = torch.zeros_like(push)
    thoughts = []
    for _ in range(steps):
        w = w - torch.einsum("tij,tj->ti", slope, w) + push
        thoughts.append(w)
    return torch.stack(thoughts, dim=1)


def chain_error(
    matrix: Float[Tensor, "width width"], covariance: Float[Tensor, "*task width width"], steps: int
) -> Float[Tensor, "*task step"]:
    r"""Expected squared error of w after 1 to k steps, :math:`w \sim N(0, I)`, given the prompt.

    .. math:: E \|w_k - w\|^2 = \|(I - \Gamma^{-1} S)^k\|_F^2

    Give the covariance of the test inputs for S to have a prompt without limit; if it is the training covariance with
    eigenvalues lambda_j, the error is :math:`\sum_j (1 + n / (1 + \mathrm{tr}\Lambda / \lambda_j))^{-2k}`.

    Args:
        matrix: Gamma.
        covariance: S of every prompt, second moments of its x.
        steps: k.
    """
    left = torch.eye(len(matrix), dtype=matrix.dtype) - torch.linalg.solve(matrix, covariance)
    power, errors = left, []
    for _ in range(steps):
        errors.append(power.square().sum(dim=(-2, -1)))
        power = power @ left
    return torch.stack(errors, dim=-1)


def scaling_law(covariance: Float[Tensor, "width width"], length: int, steps: int) -> float:
    r"""Upper bound of the error after k steps, for prompts without limit: length of training against thought.

    .. math:: d \Big( 1 + \frac{n}{1 + \mathrm{Hard}(\Lambda)} \Big)^{-2k}

    Args:
        covariance: Lambda, of training and test.
        length: n, examples a training prompt.
        steps: k.

    Source: arXiv 2510.03605, corollary 3.5, whose factor 1 + o(1) hides what short prompts do (`top_eigenvalue`).
    """
    return len(covariance) * (1 + length / (1 + hardness(covariance))) ** (-2.0 * steps)


def direct_bound(covariance: Float[Tensor, "width width"], length: int, prompt: int) -> float:
    r"""Upper bound of the error after one step, trained on n and tested on m examples; loose.

    .. math:: \frac{d}{n^2} (1 + \mathrm{Hard})^2 + \frac{d}{m} (1 + \mathrm{Hard})

    Args:
        covariance: Lambda, of training and test.
        length: n, examples a training prompt.
        prompt: m, examples a test prompt.

    Source: arXiv 2510.03605, theorem 3.3.
    """
    one = 1 + hardness(covariance)
    return len(covariance) * (one**2 / length**2 + one / prompt)


def top_eigenvalue(
    matrix: Float[Tensor, "width width"], covariance: Float[Tensor, "*task width width"]
) -> Float[Tensor, "*task"]:
    r"""The detector of overthinking that needs no label: the largest eigenvalue of :math:`\Gamma^{-1} S`.

    Above 2 thoughts diverge, exactly. It happens where training knew a direction too little (Lambda small beside the
    test covariance, n large), and in short prompts even if training was on the very same task.

    Args:
        matrix: Gamma, symmetric (`trained_matrix`).
        covariance: of the prompt's x, or the test covariance.
    """
    half = torch.linalg.inv(torch.linalg.cholesky(matrix))
    return torch.linalg.eigvalsh(half @ covariance @ half.mT)[..., -1]


def select_tasks(
    covariances: Float[Tensor, "kind width width"], target: Float[Tensor, "width width"]
) -> Float[Tensor, " kind"]:
    r"""The shares of kinds of tasks to train on, for a target covariance: a quadratic programme on the simplex.

    .. math:: \min_\pi \Big\| I - \Sigma^{-1} \sum_\ell \pi_\ell \Lambda_\ell \Big\|_F^2, \qquad
        \pi_\ell \ge 0, \quad \sum_\ell \pi_\ell = 1

    Solved exactly as non-negative least squares: on the simplex the residual is linear in pi, and the best pi for
    :math:`\|R \pi\|^2 + (1 - 1^\top \pi)^2` is the best one on the simplex times a number.

    Source: arXiv 2510.03605, section 4.
    """
    residuals = torch.eye(len(target), dtype=target.dtype) - torch.linalg.solve(target, covariances)
    rows = np.vstack([residuals.flatten(1).numpy().T, np.ones(len(covariances))])
    shares, _ = nnls(rows, np.append(np.zeros(len(rows) - 1), 1.0))
    return torch.from_numpy(shares / shares.sum())
