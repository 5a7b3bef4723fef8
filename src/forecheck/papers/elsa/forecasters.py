"""Small forecasters that are pruned in every way from the same start."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.data.load import load
from forecheck.data.windows import Experiment as Cut
from forecheck.nn.seeding import derive
from forecheck.papers.experiment import Bench, Experiment
from forecheck.sparsity.elsa import Penalty, Projection
from forecheck.sparsity.methods import Goal
from forecheck.sparsity.prune import Pruned, Steps, prune_network
from forecheck.sparsity.stored import Format
from forecheck.sparsity.windows import batches_of
from forecheck.training.loop import mean_squared_error, training_loss
from forecheck.trials.protocol import Protocol

_BATCH, _RATE = 32, 3e-3
_START = 1e-3
"""Learning rate of the dense network."""


class Way(NamedTuple):
    """How a network is pruned: method, whether it takes steps, and how ELSA projects and stores."""

    method: str
    trained: bool = True
    projection: Projection = "plain"
    formats: tuple[Format, Format] = ("fp32", "fp32")


LOW: tuple[Format, Format] = ("fp8", "bf16")
WAYS = {
    "magnitude": Way("magnitude", trained=False),
    "wanda": Way("wanda", trained=False),
    "magnitude, trained": Way("magnitude"),
    "gradual": Way("gradual-magnitude"),
    "plain": Way("elsa"),
    "aware": Way("elsa", projection="aware"),
    "plain, low": Way("elsa", formats=LOW),
    "aware, low": Way("elsa", projection="aware", formats=LOW),
}


class Network(nn.Module):
    """A linear map, or two with a kink between them, of the window less its last value; shared by channels."""

    def __init__(self, lookback: int, horizon: int, width: int) -> None:
        super().__init__()
        maps = [nn.Linear(lookback, horizon)]
        if width:
            maps = [nn.Linear(lookback, width), nn.Linear(width, width), nn.Linear(width, horizon)]
        kinks: list[nn.Module] = [nn.ReLU() for _ in maps]
        self.map = nn.Sequential(*[part for pair in zip(maps, kinks, strict=True) for part in pair][:-1])

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast every channel by itself."""
        last = x[:, -1:]
        forecast: Tensor = self.map((x - last).mT).mT + last
        return forecast


def pruned(
    bench: Bench, data: str, lookback: int, horizon: int, width: int, sparsity: float, steps: int, seed: int
) -> dict[str, Any]:
    """Test MSE of the dense start, of the same steps without a mask, and of every way; ELSA's last residuals.

    Args:
        bench: its `progress` is called as parts of the experiment finish.
        data: name of a set.
        lookback, horizon: steps of input and of forecast.
        width: of the hidden layers; 0 for a linear map.
        sparsity: share of zeros.
        steps: that every way takes; the start is trained for twice as many.
        seed: of the start, and of the order of windows.
    """
    cut = Protocol(horizon, lookback).cut(load(data))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive(seed, "elsa") & 0xFFFFFFFF)
        network = Network(lookback, horizon, width)
    start = _run(network, cut, Way("magnitude"), 0.0, 2 * steps, _START, seed)
    found: dict[str, Any] = {"dense": mean_squared_error(start.model, cut.test), "residuals": {}}
    further = _run(start.model, cut, Way("magnitude"), 0.0, steps, _RATE, seed + 1)
    found["dense, trained"] = mean_squared_error(further.model, cut.test)
    for place, (name, way) in enumerate(WAYS.items()):
        each = _run(start.model, cut, way, sparsity, steps if way.trained else 0, _RATE, seed + 1)
        found[name] = mean_squared_error(each.model, cut.test)
        if way.method == "elsa":
            found["residuals"][name] = each.trace[-1]["residual"]
        bench.progress((place + 1) / len(WAYS), f"{data}, {name}")
    return found


def _run(network: nn.Module, cut: Cut, way: Way, sparsity: float, steps: int, rate: float, seed: int) -> Pruned:
    """A copy of the network, pruned; what is kept is chosen on validation windows."""
    return prune_network(
        copy.deepcopy(network),
        training_loss,
        batches_of(cut.train, _BATCH, seed),
        lambda each: mean_squared_error(each, cut.validation),
        Goal(sparsity, steps=steps, penalty=Penalty(), projection=way.projection, formats=way.formats),
        method=way.method,
        training=Steps(steps, rate, seed=seed),
    )


def _settings(
    shapes: list[tuple[str, int, int]], sparsities: tuple[float, ...], steps: int, seeds: int
) -> list[dict[str, Any]]:
    return [
        {
            "data": data,
            "lookback": lookback,
            "horizon": horizon,
            "width": width,
            "sparsity": sparsity,
            "steps": steps,
            "seed": seed,
        }
        for data, lookback, horizon in shapes
        for width in (0, 64)
        for sparsity in sparsities
        for seed in range(seeds)
    ]


_SMALL = [("co2", 104, 26), ("elec_equip", 36, 12)]
PRUNED = Experiment(
    "pruned",
    pruned,
    quick=_settings(_SMALL[:1], (0.9,), 512, 3),
    full=[*_settings(_SMALL, (0.9, 0.95), 2048, 8), *_settings([("ETTh1", 336, 96)], (0.9, 0.95), 2048, 4)],
)
