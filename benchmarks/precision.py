"""What bfloat16 in training gives: CPU time of a step beside float32, and the validation error after training.

    FORECHECK_DATA=folder python benchmarks/precision.py

Writes benchmarks/results/precision.md. Steps of both precisions are measured in turn, on 32 windows of 7 channels,
336 to 96; a column gives the median over rounds of the ratio in a round. Then one network is trained on a set by both,
with the same seeds.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from pathlib import Path

import torch

import forecheck as fc
from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.nn.seeding import initialise
from forecheck.training.loop import train, training_loss
from forecheck.training.precision import computed_in
from forecheck.training.recipe import Precision

RESULTS = Path(__file__).parent / "results"
TASK = Task(336, 96, 7, 24)
BATCH = 32
NETWORKS = ("patchtst", "samformer", "tsmixer", "latst", "samovar", "itransformer")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
TRAINED, SET, EPOCHS = "itransformer", "ETTh1", 2


def speed(name: str, rounds: int) -> tuple[int, float, float]:
    """Weights, milliseconds of a step in float32, and how many times faster one is in bfloat16."""
    module = registry.create(name, TASK, {}).module
    initialise(module, 0)
    module.train()
    x, y = torch.randn(BATCH, TASK.lookback, TASK.channels), torch.randn(BATCH, TASK.horizon, TASK.channels)
    found: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for number in range(rounds + 1):  # the first warms up
        for precision in PRECISIONS:
            started = time.process_time()
            module.zero_grad(set_to_none=True)
            with computed_in(precision, "cpu"):
                loss = training_loss(module, x, y)
            loss.backward()
            if number:
                found[precision].append(time.process_time() - started)
    ratios = [whole / half for whole, half in zip(*found.values(), strict=True)]
    weights = sum(each.numel() for each in module.parameters())
    return weights, 1e3 * statistics.median(found["float32"]), statistics.median(ratios)


def errors(seeds: int) -> dict[str, list[float]]:
    """The lowest validation error of every seed, by precision."""
    cut = prepare(fc.load(SET), TASK.lookback, TASK.horizon)
    found: dict[str, list[float]] = {}
    for precision in PRECISIONS:
        for seed in range(seeds):
            forecaster = registry.create(TRAINED, TASK, {"epochs": EPOCHS, "precision": precision})
            history = train(forecaster.module, cut.train, cut.validation, forecaster.config, seed)
            found.setdefault(precision, []).append(min(history.validation))
            print(TRAINED, precision, seed, round(found[precision][-1], 4), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(1)  # so that CPU time is time
    cpu = torch.cpu.get_capabilities()
    has = "with" if cpu.get("avx512_bf16") or cpu.get("amx_bf16") else "without"
    page = f"""\
# bfloat16 in training

`python benchmarks/precision.py` on one thread; Python {platform.python_version()}, torch {torch.__version__}, \
{cpu.get("cpu_name", platform.processor())} {has} products in bfloat16.

| network | weights | ms a step in float32 | times faster in bfloat16 |
|---|---|---|---|
"""
    for name in NETWORKS:
        weights, ms, ratio = speed(name, args.rounds)
        page += f"| {name} | {weights:,} | {ms:.0f} | {ratio:.2f} |\n"
        print(page.splitlines()[-1], flush=True)
    page += f"""
Forward and backward pass of {BATCH} windows of 7 channels, 336 → 96, medians of {args.rounds} rounds. In float32 our
own kernels are used where there are any.

{TRAINED} on {SET} after {EPOCHS} epochs, validation error:

| seed | {" | ".join(PRECISIONS)} |
|---|---|---|
"""
    by = errors(args.seeds)
    page += "".join(
        f"| {seed} | {' | '.join(f'{each:.4f}' for each in row)} |\n"
        for seed, row in enumerate(zip(*by.values(), strict=True))
    )
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "precision.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
