"""Layers that are trained: one as published, and deeper ones and softmax on standardised windows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.in_context.series import (
    PROCESSES,
    Prompts,
    in_context_regression,
    process,
    prompts_of,
    variance,
)
from forecheck.papers.in_context.theory.autoregressive import Autoregression, rejected_coefficients
from forecheck.papers.in_context.theory.heads import Moments, fit_heads
from forecheck.papers.in_context.theory.linear_self_attention import LinearSelfAttention, as_layer, hankel, read
from forecheck.papers.in_context.theory.optimum import closed_form

NOISE = 0.05
"""Standard deviation of the innovations in the paper's sweeps."""
SERIES = 50_000
"""Steps; the first 80 % to train on, as published. Its last eighth stops the training, not the test part."""


def split(order: int, seed: int, columns: int, scaled: bool) -> tuple[Tensor, float, list[Prompts]]:
    """Coefficients and noise variance of a random process, and prompts to train, to stop and to test on.

    Args:
        order: p.
        seed: of process and series.
        columns: n, complete columns of a prompt.
        scaled: whether the series is divided by the standard deviation of its training part.
    """
    drawn = rejected_coefficients(np.array([seed]), order)[..., 0, 0]
    series = Autoregression.scalar(drawn, NOISE**2).simulate(np.array([seed]), SERIES)[0, :, 0]
    scale = series[: SERIES * 7 // 10].std() if scaled else 1.0
    phi = torch.from_numpy(drawn[0])
    cuts = [0, SERIES * 7 // 10, SERIES * 8 // 10, SERIES]
    parts = [torch.from_numpy(series[a:b] / scale) for a, b in pairwise(cuts)]
    windows = [part.unfold(0, order + columns + 1, 1) for part in parts]
    return phi, float(NOISE**2 / scale**2), [prompts_of(part, phi) for part in windows]


def error(made: Tensor, prompts: Prompts) -> float:
    """Mean squared error."""
    return (made - prompts.target).square().mean().item()


def published(
    bench: Bench, order: int, seed: int, columns: int, scaled: bool, epochs: int, patience: int
) -> dict[str, Any]:
    """One layer by Adam, 1e-3, batches of 512; test errors over that of regression on the whole training part.

    Only the last row of P and the first p columns of Q meet the prediction; the others have no gradient, so training
    them alone on Gram matrices is training the layer.

    Args:
        bench: reports progress.
        order: p.
        seed: of process, series, initial weights and batches.
        columns: n, complete columns of a prompt.
        scaled: see `split`.
        epochs: at most.
        patience: epochs without progress on the held-out part after which training ends; 0 for never.

    Returns:
        The ratios of the `trained` layer and of others; `curve`, the trained layer's held-out error after each epoch
        over that of the regression; and `blocks`, mean losses in consecutive tenths of the test part.
    """
    phi, noise, (train, held_out, test) = split(order, seed, columns, scaled)
    generator = torch.Generator().manual_seed(seed)
    values = (0.01 * torch.randn(1, order + 1, generator=generator, dtype=torch.float64)).requires_grad_()
    key_queries = (0.01 * torch.randn(1, order + 1, order, generator=generator, dtype=torch.float64)).requires_grad_()
    optimiser = torch.optim.Adam([values, key_queries], lr=1e-3)
    kept, since, curve = np.inf, 0, []
    for epoch in range(epochs):
        order_of_windows = torch.randperm(len(train.target), generator=generator)
        for begun in range(0, len(train.target), 512):
            batch = order_of_windows[begun : begun + 512]
            made = read(train.gram[batch], values, key_queries, train.query[batch])
            loss = (made - train.target[batch]).square().mean()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
        with torch.no_grad():
            reached = error(read(held_out.gram, values, key_queries, held_out.query), held_out)
        curve.append(reached)
        kept, since = (reached, 0) if reached < kept else (kept, since + 1)
        bench.progress((epoch + 1) / epochs, f"epoch {epoch + 1}")
        if patience and since >= patience:
            break
    weights = closed_form(phi, noise, columns)
    head = fit_heads(Moments.of(train.gram, train.query, train.target), 1, 60, 3, seed, start=weights[0])
    lags = torch.linalg.lstsq(train.query, train.target[:, None]).solution[:, 0]
    with torch.no_grad():
        linear = error(test.query @ lags, test)
        found = {
            "trained": error(read(test.gram, values, key_queries, test.query), test),
            "fitted": error(read(test.gram, head.values, head.key_queries, test.query), test),
            "closed form": error(read(test.gram, *weights, test.query), test),
            "in context": error(in_context_regression(test), test),
            "the process itself": error(test.best, test),
            "zero": error(torch.zeros_like(test.target), test),
        }
        base = error(held_out.query @ lags, held_out)
        forecasts = {
            "trained": read(test.gram, values, key_queries, test.query),
            "fitted": read(test.gram, head.values, head.key_queries, test.query),
            "linear": test.query @ lags,
        }
        losses = {name: (made - test.target).square() for name, made in forecasts.items()}
    return {name: each / linear for name, each in found.items()} | {
        "epochs run": len(curve),
        # Means over consecutive tenths of the test part: windows overlap, and so long blocks hardly depend.
        "blocks": {name: [part.mean().item() for part in loss.tensor_split(10)] for name, loss in losses.items()},
        "curve": [each / base for each in curve],
    }


def deep(
    bench: Bench, process_name: str, columns: int, layers: int, softmax: bool, seed: int, steps: int
) -> dict[str, Any]:
    """Layers trained on windows of unit variance: the excess over the best linear predictor, as a share of its error.

    Linear layers begin at the closed form of one head in the first layer and small random weights, so that a stack is
    not worse for being harder to train from nothing; softmax layers begin at random. Last weights.

    Args:
        bench: reports progress.
        process_name: one of `PROCESSES`.
        columns: n, complete columns of a prompt.
        layers: L, of one head each.
        softmax: whether attention is softmax attention.
        seed: of windows, initial weights and batches.
        steps: of Adam, on 128 windows each.

    Returns:
        The `excess`; the `curve` of training losses in variances of the innovations; and the excess of `one layer,
        closed form`.
    """
    order = len(PROCESSES[process_name])
    scale = variance(process(process_name)) ** 0.5
    data = [_windows(process_name, columns, count, seed=3 * seed + k) for k, count in enumerate((40_000, 10_000))]
    (train, target), (test, wanted) = [(windows[:, :-1] / scale, windows[:, -1] / scale) for windows in data]
    phi = torch.tensor(PROCESSES[process_name])
    model = LinearSelfAttention(order + 1, layers, softmax=softmax, scale=0.3 if softmax else 0.03, seed=seed)
    if not softmax:
        values, key_queries = as_layer(*closed_form(phi, 1 / scale**2, columns))
        with torch.no_grad():
            model.values[0] += values
            model.key_queries[0] += key_queries
    optimiser = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps, pct_start=0.2)
    generator = torch.Generator().manual_seed(seed)
    curve = []
    for step in range(steps):
        batch = torch.randint(len(train), (128,), generator=generator)
        loss = (model(hankel(train[batch], order)) - target[batch]).square().mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % max(steps // 50, 1) == 0:
            curve.append((step + 1, loss.item() * scale**2))
            bench.progress(step / steps, f"step {step}")
    with torch.no_grad():
        made = torch.cat([model(hankel(part, order)) for part in test.split(1000)])
    best = test[:, -order:] @ phi.flip(0)
    floor = (best - wanted).square().mean().item()
    # The difference to the best forecast is the excess, at less variance than a difference of errors.
    return {
        "excess": (made - best).square().mean().item() / floor,
        "curve": curve,
        "one layer, closed form": 2 / (columns + 2) * (scale**2 - 1),
    }


def _windows(name: str, columns: int, count: int, seed: int) -> Tensor:
    steps = len(PROCESSES[name]) + columns + 1
    made = process(name).simulate(np.arange(count), steps, seed=seed)[..., 0]
    return torch.from_numpy(made).float()


PUBLISHED = Experiment(
    "published",
    published,
    quick=[
        {"order": 3, "seed": seed, "columns": 25, "scaled": scaled, "epochs": 100, "patience": 8}
        for scaled in (False, True)
        for seed in range(100, 103)
    ],
    full=[
        {"order": order, "seed": seed, "columns": columns, "scaled": scaled, "epochs": epochs, "patience": patience}
        for scaled, epochs, patience, orders, lengths in (
            (False, 100, 8, (3, 5), (25, 100)),
            (True, 100, 8, (3, 5), (25, 100)),
            (True, 400, 0, (3,), (25,)),
        )
        for order in orders
        for columns in lengths
        for seed in range(100, 104)
    ],
)
DEEP = Experiment(
    "deep",
    deep,
    quick=[
        {"process_name": "AR(3) slow", "columns": 25, "layers": layers, "softmax": softmax, "seed": seed, "steps": 800}
        for layers, softmax in ((1, False), (2, False), (3, False), (1, True))
        for seed in range(3)
    ],
    full=[
        {"process_name": "AR(3) slow", "columns": 25, "layers": layers, "softmax": softmax, "seed": seed, "steps": 2500}
        for layers, softmax in ((1, False), (2, False), (3, False), (1, True), (2, True))
        for seed in range(3)
    ],
)
