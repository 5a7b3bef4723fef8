"""E8: one layer of softmax attention on vectors, trained on coupled autoregressions, and its local scores."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from forecheck.papers.curse_of_attention.theory.matrix_attention import turn
from forecheck.papers.curse_of_attention.toy import log_times
from forecheck.papers.experiment import Bench, Experiment

Kind = Literal["linear", "tanh"]
Head = Literal["last", "flatten"]
CHANNELS, TOKENS = 4, 12
NOISE = 0.5
COUPLING = 0.2
TRAIN, TEST = 512, 4000
TIMES = 25
_BEFORE = 60
_RATES = {"adam": 0.01, "sgd": 0.2}


def series(kind: Kind, persistence: float, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    r"""Windows (sample, token, channel) and next vectors of :math:`x' = g(A x) + e`.

    A is the persistence times I and a coupling of spectral norm 0.2, so that it contracts; g is the identity or tanh,
    e normal of standard deviation 0.5, whose square is the smallest error a channel.

    Args:
        kind: of g, `linear` or `tanh`.
        persistence: factor of I in A.
        count: windows, each from a path of its own; A is the same for all.
        generator: of A and noise.
    """
    coupling = torch.randn(CHANNELS, CHANNELS, generator=generator, dtype=torch.float64)
    step = persistence * torch.eye(CHANNELS, dtype=torch.float64)
    step += COUPLING * coupling / torch.linalg.matrix_norm(coupling, 2)
    path = [torch.zeros(count, CHANNELS, dtype=torch.float64)]
    for _ in range(_BEFORE + TOKENS):
        mean = path[-1] @ step.T
        noise = NOISE * torch.randn(count, CHANNELS, generator=generator, dtype=torch.float64)
        path.append((torch.tanh(mean) if kind == "tanh" else mean) + noise)
    return torch.stack(path[-TOKENS - 1 : -1], dim=1), path[-1]


def local_scores(
    bench: Bench, kind: Kind, persistence: float, head: Head, optimizer: str, seed: int, steps: int
) -> dict[str, Any]:
    r"""Cases and local attention over a training of :math:`\mathrm{Attn} = \mathrm{softmax}(X W X^\top) X W_V`.

    Head `last` forecasts by the last row, so that only its query has a gradient; `flatten` by a linear map of all rows.

    Args:
        bench: reports progress.
        kind: of the series, `linear` or `tanh`.
        persistence: of the series, see `series`.
        head: `last` or `flatten`.
        optimizer: `adam` or `sgd`, on all windows at once.
        seed: of series and weights.
        steps: of training.

    Returns:
        `readings` at log-spaced `times`, and squared errors of the trained network and of references on fresh windows,
        by whether the last and the next value of a channel have the same sign.
    """
    generator = torch.Generator().manual_seed(seed)
    x, y = series(kind, persistence, TRAIN + TEST, generator)
    x, fresh, y, target = x[:TRAIN], x[TRAIN:], y[:TRAIN], y[TRAIN:]
    flat = head == "flatten"
    shapes = [(CHANNELS, CHANNELS), (CHANNELS, CHANNELS), *([(TOKENS * CHANNELS, CHANNELS)] if flat else [])]
    weights = [
        (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()
        for shape, scale in zip(shapes, (0.1, CHANNELS**-0.5, (TOKENS * CHANNELS) ** -0.5), strict=False)
    ]
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    descent = kinds[optimizer](weights, lr=_RATES[optimizer])
    times = [0, *log_times(steps, TIMES)]
    found: dict[str, list[float]] = {}
    for time in range(steps + 1):
        attended = attention(x, *weights[:2])
        attended.retain_grad()
        loss = (forecast(attended, weights) - y).square().mean(0).sum() / 2
        descent.zero_grad()
        torch.autograd.backward(loss)
        if time in times:
            upstream = attended.grad
            assert upstream is not None
            for name, value in readings(x, weights[0].detach(), weights[1].detach(), TRAIN * upstream, flat).items():
                found.setdefault(name, []).append(value)
            bench.progress(time / steps, f"step {time}")
        if time < steps:
            descent.step()
    with torch.no_grad():
        ours = forecast(attention(fresh, *weights[:2]), weights)
    linear = fresh[:, -1] @ torch.linalg.lstsq(x[:, -1], y).solution
    agree = fresh[:, -1] * target > 0
    return {
        "times": times,
        **found,
        "noise floor": NOISE**2,
        **{
            f"{name}, {signs}": float((forecasts - target).square()[chosen].mean())
            for name, forecasts in (("attention", ours), ("linear", linear), ("zero", 0 * target))
            for signs, chosen in (("consistent", agree), ("inconsistent", ~agree))
        },
        "share inconsistent": float((~agree).double().mean()),
    }


def attention(x: Tensor, scores: Tensor, values: Tensor) -> Tensor:
    """Attn of every window, (sample, token, channel).

    Args:
        x: X, windows of tokens, (sample, token, channel).
        scores: W.
        values: W_V.
    """
    return torch.softmax(x @ scores @ x.mT, dim=-1) @ x @ values


def forecast(attended: Tensor, weights: list[Tensor]) -> Tensor:
    """By the last row, or by a linear map of all."""
    return attended.flatten(1) @ weights[2] if len(weights) > 2 else attended[:, -1]


def readings(x: Tensor, scores: Tensor, values: Tensor, upstream: Tensor, every: bool) -> dict[str, float]:
    r"""Shares of queries by their cases, and what a step of gradient descent by one window alone does to it.

    .. math:: \Delta(X W X^\top) = -\eta \, X \frac{\partial L_i}{\partial W} X^\top, \qquad
        \Delta S_{kk} \propto S_{kk} \bigl(\Delta_{kk} - \sum_j S_{kj} \Delta_{kj}\bigr)

    Args:
        x: X, windows of tokens, (sample, token, channel).
        scores: W.
        values: W_V.
        upstream: gradient of every window's own loss with respect to its Attn.
        every: whether all queries count, or the last one only.

    Returns:
        Means over windows and queries: the weight of a token on itself, how often it is of case 1 by the paper's and by
        the `exact` criterion and how often its weight `falls`, and how often two of these agree.
    """
    found = turn(x, scores, values, upstream)
    move = -x @ found.gradient @ x.mT
    local = found.pattern.diagonal(dim1=-2, dim2=-1)
    change = move.diagonal(dim1=-2, dim2=-1) - (found.pattern * move).sum(-1)
    asked = slice(None) if every else slice(-1, None)
    falls, case, slips = change[:, asked] < 0, found.naive[:, asked] > 0, found.slips[:, asked]
    return {
        "local attention": _mean(local[:, asked]),
        "case 1": _mean(case),
        "exact": _mean(slips),
        "falls": _mean(falls),
        "case tells score": _mean(case == slips),
        "case tells attention": _mean(case == falls),
        "exact tells attention": _mean(slips == falls),
    }


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def _settings(kinds: tuple[Kind, ...], persistences: tuple[float, ...], optimizer: str, seeds: int, steps: int) -> Any:
    return [
        {
            "kind": kind,
            "persistence": persistence,
            "head": head,
            "optimizer": optimizer,
            "seed": seed,
            "steps": steps,
        }
        for kind in kinds
        for persistence in persistences
        for head in ("last", "flatten")
        for seed in range(seeds)
    ]


LOCAL = Experiment(
    "local scores",
    local_scores,
    quick=[
        *_settings(("linear", "tanh"), (0.7, -0.7), "adam", 6, 300),
        *_settings(("linear",), (0.7,), "sgd", 6, 300),
    ],
    full=[
        *_settings(("linear", "tanh"), (0.7, -0.7), "adam", 6, 800),
        *_settings(("linear",), (0.7, -0.7), "sgd", 6, 800),
    ],
)
