"""Bytes of ELSA's states, counted on the tensors of a forecaster that was pruned."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from forecheck.papers.experiment import Bench, Experiment
from forecheck.sparsity.elsa import Elsa
from forecheck.sparsity.prunable import prunable
from forecheck.sparsity.stored import Format

_BLOCK = 256
_LEVELS = 256
"""Values that share a scale in moments of eight bits, and levels that a table names, as torchao.optim has them."""


def memory(bench: Bench, lookback: int, horizon: int) -> dict[str, Any]:
    """Bytes of weights, z, u and Adam's two moments, in FP32 and in few bits.

    Args:
        bench: its `progress` is called as parts of the experiment finish.
        lookback, horizon: shape of the map.
    """
    network = nn.Linear(lookback, horizon, bias=False)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, lookback)).sum().backward()
    optimizer.step()
    state = optimizer.state[network.weight]
    size = network.weight.numel()
    held = size * network.weight.element_size()
    moments = sum(state[name].numel() * state[name].element_size() for name in ("exp_avg", "exp_avg_sq"))
    few = 2 * (size + 4 * -(-size // _BLOCK) + 4 * _LEVELS)
    bench.progress(1.0, "bytes")
    return {
        "weights": size,
        "whole": held + moments + _copies(network, ("fp32", "fp32")),
        "copies": held + moments + _copies(network, ("fp8", "bf16")),
        "low": held + few + _copies(network, ("fp8", "bf16")),
    }


def _copies(network: nn.Module, formats: tuple[Format, Format]) -> int:
    elsa = Elsa(prunable(network).weights, 0.9, formats=formats)
    return sum(stored.bytes for group in (elsa.z, elsa.u) for stored in group.values())


MEMORY = Experiment("memory", memory, quick=[{"lookback": 336, "horizon": 96}])
