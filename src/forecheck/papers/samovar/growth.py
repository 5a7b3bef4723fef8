"""How large the outputs of a stack become with depth, before any training."""

from __future__ import annotations

from typing import Any

import torch

from forecheck.forecasters.base import Task
from forecheck.nn.var_attention import VarAttention
from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.samovar.networks import random_walks, tokens_of, untrained

TASK = {"ETT": (7, 64), "Weather": (21, 128), "ECL": (321, 544)}
"""Channels and width of the released scripts; 8 heads, horizon 96, lookback 1024."""


@torch.no_grad()
def growth(bench: Bench, size: str, scale: str, seed: int, windows: int) -> dict[str, Any]:
    """RMS of observations, of every layer's output and of the factors of a path, on random walks.

    Args:
        bench: not needed.
        size: of the network, one of `TASK`.
        scale: of its queries, see `SAMoVARConfig`.
        seed: of network and windows.
        windows: random walks that are read.

    Returns:
        The RMS by name, of `outputs` and `factors` by layer; `head width`; and `shortcut`, the RMS of the observations
        over that of the stack's output.
    """
    del bench
    channels, width = TASK[size]
    task = Task(1024, 96, channels)
    network = untrained("samovar", task, seed, width=width, heads=8, layers=3, scale=scale)
    assert isinstance(network.stack, VarAttention)
    found = network.stack.trace(tokens_of(network, random_walks(windows, task, seed)))
    q, v = found.coefficients
    past = torch.ones(q[0].shape[2], q[0].shape[2], dtype=torch.bool).tril()
    factors = [torch.matmul(above, below.mT)[..., past] for above, below in zip(q[1:], v, strict=False)]
    mixture = torch.stack(found.outputs).sum(dim=0)
    return {
        "head width": width // 8,
        "observations": _rms(found.observations),
        "outputs": [_rms(output) for output in found.outputs],
        "factors": [_rms(factor) for factor in factors],
        "shortcut": _rms(found.observations) / _rms(network.stack.combine(found.observations, mixture)),
    }


def _rms(x: torch.Tensor) -> float:
    return float(x.square().mean().sqrt())


GROWTH = Experiment(
    "growth",
    growth,
    quick=[
        {"size": size, "scale": scale, "seed": seed, "windows": windows}
        for size, windows, seeds in (("ETT", 16, 3), ("Weather", 6, 3), ("ECL", 1, 2))
        for scale in ("none", "width")
        for seed in range(seeds)
    ],
)
