"""Untrained networks of the SAMoVAR family, and windows to read."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.arx import ArxNetwork
from forecheck.nn.seeding import initialise


def untrained(name: str, task: Task, seed: int, away: float = 0.0, **options: object) -> ArxNetwork:
    """A network in double precision, as it starts, and with noise on all its weights if `away` is not 0.

    Noise makes it as general as a trained one: at the start biases are zero and its maps are nearly so.

    Args:
        name: of the forecaster.
        task: lookback, horizon and channels.
        seed: of weights and noise.
        away: standard deviation of normal noise on all weights.
        **options: of the forecaster.

    Raises:
        UsageError: if there is no such forecaster or option.
    """
    forecaster = registry.create(name, task, options)
    assert isinstance(forecaster, NeuralForecaster)
    network = forecaster.module.double().eval()
    assert isinstance(network, ArxNetwork)
    initialise(network, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(away * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return network


def random_walks(windows: int, task: Task, seed: int) -> Float64[Tensor, "window time channel"]:
    """Windows of independent random walks with normal steps of variance 1.

    Args:
        windows: how many.
        task: lookback and channels.
        seed: of all windows.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (windows, task.lookback, task.channels)
    return torch.randn(shape, generator=generator, dtype=torch.float64).cumsum(dim=1)


@torch.no_grad()
def tokens_of(network: ArxNetwork, x: Float64[Tensor, "window time channel"]) -> Float64[Tensor, "series token width"]:
    """What the stack of a network is given."""
    tokens: Tensor = network.tokens(network.tokens.patches_of(network.normalise(x).z))
    return tokens
