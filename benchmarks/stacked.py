"""Whether training several seeds as one batched network is faster than one after the other.

    python benchmarks/stacked.py

Writes benchmarks/results/stacked.md. Weights of five seeds are stacked and one step of all is taken by `torch.func`'s
`vmap` and `grad`, each seed on windows of its own (32 windows of 7 channels, 336 to 96), without dropout; beside it the
steps one after the other, by our kernels and by plain operations of torch, in turn, in CPU time of one thread.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.nn.plain import plainly
from forecheck.nn.seeding import initialise
from forecheck.training.loop import training_loss

RESULTS = Path(__file__).parent / "results"
TASK = Task(336, 96, 7, 24)
BATCH = 32
NETWORKS = ("samformer", "latst", "patchtst", "itransformer")


def network(name: str, seed: int) -> nn.Module:
    """One seed's, without dropout."""
    known = registry.defaults(registry.find(name))
    options = {key: 0.0 for key in ("dropout", "attention_dropout") if key in known}
    module = registry.create(name, TASK, options).module
    initialise(module, seed)
    return module.train()


def ways(name: str, seeds: int) -> dict[str, Callable[[], Any]]:
    """One step of all seeds: stacked, and one after the other."""
    modules = [network(name, seed) for seed in range(seeds)]
    x = torch.randn(seeds, BATCH, TASK.lookback, TASK.channels)
    y = torch.randn(seeds, BATCH, TASK.horizon, TASK.channels)
    held, buffers = stack_module_state(modules)
    weights = {name: each.detach() for name, each in held.items()}
    base = network(name, 0)

    def loss(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.mse_loss(functional_call(base, (weights, buffers), (x,)), y)

    def stacked() -> None:
        with plainly():
            vmap(grad(loss))(weights, buffers, x, y)

    def ours() -> None:
        for module, windows, targets in zip(modules, x, y, strict=True):
            module.zero_grad(set_to_none=True)
            training_loss(module, windows, targets).backward()

    def plain() -> None:
        with plainly():
            ours()

    return {"stacked": stacked, "our kernels": ours, "plain": plain}


def measure(name: str, seeds: int, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every way, by round."""
    found: dict[str, list[float]] = {}
    steps = ways(name, seeds)
    for number in range(rounds + 1):  # the first warms up
        for way, step in steps.items():
            started = time.process_time()
            step()
            if number:
                found.setdefault(way, []).append(time.process_time() - started)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(1)  # so that CPU time is time
    cpu = torch.cpu.get_capabilities().get("cpu_name", platform.processor())
    page = f"""\
# Several seeds as one network

`python benchmarks/stacked.py` on one thread of {cpu}; Python {platform.python_version()}, torch {torch.__version__}.

A training step of {args.seeds} seeds as one batched network, against the same steps one after the other: how many times
faster it is. Medians of {args.rounds} rounds; {BATCH} windows a seed, 7 channels, 336 → 96, no dropout.

| network | our kernels, ms | times faster than them | times faster than plain operations |
|---|---|---|---|
"""
    for name in NETWORKS:
        found = measure(name, args.seeds, args.rounds)
        ratios = [
            statistics.median(other / own for own, other in zip(found["stacked"], found[way], strict=True))
            for way in ("our kernels", "plain")
        ]
        page += (
            f"| {name} | {1e3 * statistics.median(found['our kernels']):.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |\n"
        )
        print(page.splitlines()[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "stacked.md").write_text(page)


if __name__ == "__main__":
    main()
