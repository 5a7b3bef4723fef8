"""Regression in context: when linear attention is a step of gradient descent, and what its first guess decides."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.papers.in_context.theory.linear_self_attention import gram, read


@dataclass(frozen=True, eq=False)
class Tasks:
    """Regression tasks as prompts of (x; y) columns; the last column is the query, its label slot zero.

    Args:
        prompt: row = width + 1, column = context + 1.
        weights: w of every task.
        target: the query's label without noise, w'x.
    """

    prompt: Float[Tensor, "task row column"]
    weights: Float[Tensor, "task width"]
    target: Float[Tensor, " task"]


def draw_tasks(
    count: int,
    context: int,
    mean: Float[Tensor, " width"],
    spread: float = 1.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Tasks:
    r"""Tasks whose weights have a prior mean.

    .. math:: x \sim N(0, I_d), \quad w \sim N(\bar w, \tau^2 I_d), \quad y_i = w^\top x_i + N(0, s^2)

    Args:
        count: tasks.
        context: C, labelled examples a task.
        mean: prior mean of w.
        spread: tau.
        noise: s.
        seed: of all tasks.

    Source: arXiv 2512.04268, section 5 (d = C = 10); the law of x and w is the usual one, not quoted from there.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=mean.dtype)

    weights = mean + spread * normal(count, len(mean))
    x = normal(count, len(mean), context + 1)
    y = torch.einsum("td,tdc->tc", weights, x)
    labels = y + noise * normal(count, context + 1)
    labels[:, -1] = 0
    return Tasks(torch.cat([x, labels[:, None]], dim=1), weights, y[:, -1])


def predict(
    prompt: Float[Tensor, "task row column"],
    guess: Float[Tensor, " width"],
    values: Float[Tensor, "head row"],
    key_queries: Float[Tensor, "head row width"],
) -> Float[Tensor, " task"]:
    r"""One layer with a linear guess in the label slot (yq-LSA, if one head).

    .. math:: \hat y = \theta^\top x_q + \sum_h v_h^\top G A_h x_q

    On Hankel prompts of a series the guess is a linear forecast, and attention a correction of it: with theta = phi and
    v = 0 it is the best one, so the gap of `in_context.gap` is that of a slot that holds zero.

    Args:
        prompt: (x; y) columns, the query last.
        guess: theta.
        values: v_h.
        key_queries: A_h.

    Source: arXiv 2512.04268; that the guess is linear in the query is inferred.
    """
    query = prompt[:, :-1, -1]
    return query @ guess + read(gram(prompt), values, key_queries, query)


def gradient_step_weights(
    start: Float[Tensor, " width"], step: float
) -> tuple[Float[Tensor, " width"], Float[Tensor, "1 row"], Float[Tensor, "1 row width"]]:
    r"""Guess, v and A with which `predict` is one step of gradient descent on the context's squared error.

    .. math:: \theta = w_0, \quad v = (-w_0; 1), \quad A = (\eta I_d; 0) \quad \Rightarrow \quad
        \hat y = x_q^\top \Big( w_0 + \eta \frac1C \sum_i (y_i - w_0^\top x_i) x_i \Big)

    Without the guess no number of heads does this unless w_0 = 0: their weights are then a linear function of the Gram
    matrix without a constant term.
    """
    width = len(start)
    values = torch.cat([-start, start.new_ones(1)])[None]
    key_queries = torch.cat([step * torch.eye(width, dtype=start.dtype), start.new_zeros(1, width)])[None]
    return start, values, key_queries


def best_step(distance: float, width: int, context: int, noise: float = 0.0) -> float:
    r"""The step that leaves the least error after one step of gradient descent.

    .. math:: \eta^* = \frac{\tau^2 C}{\tau^2 (C + d + 1) + s^2}, \qquad \tau^2 = \frac{E \|w - w_0\|^2}{d}

    Args:
        distance: :math:`E \|w - w_0\|^2`: d tau^2 from the prior mean, d tau^2 + \|mean\|^2 from zero.
        width: d.
        context: C.
        noise: s, standard deviation of the context's labels.
    """
    square = distance / width
    return square * context / (square * (context + width + 1) + noise**2)


def step_error(distance: float, width: int, context: int, noise: float = 0.0, step: float | None = None) -> float:
    r"""Mean squared error of the query's noise-free label after one step of gradient descent.

    .. math:: d \tau^2 \Big( 1 - 2 \eta + \eta^2 \frac{C + d + 1}{C} \Big) + \eta^2 \frac{d s^2}{C}
        \overset{\eta^*}{=} d \tau^2 (1 - \eta^*)

    without noise and with tau = 1: d (d + 1) / (C + d + 1).

    Args:
        distance, width, context, noise: as in `best_step`.
        step: eta; `best_step` if not given.
    """
    eta = best_step(distance, width, context, noise) if step is None else step
    kept = 1 - 2 * eta + eta**2 * (context + width + 1) / context
    return distance * kept + eta**2 * width * noise**2 / context
