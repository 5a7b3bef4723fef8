"""SAMoVAR's linear attention, and a whole training step, against the cumulative-sum form of the official code.

    python benchmarks/samovar.py

Writes benchmarks/results/samovar.md and samovar.json. The cumulative-sum form builds k_t v_t' at every token, sums over
tokens, and multiplies with the queries: linear in the tokens, but it keeps head width numbers for every number of its
input. Every run is a process of its own on one thread; contestants take turns, so that a busy machine slows all alike,
and all keep freed memory (glibc settings, as forecheck's own workers do).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SHAPES = {(224, 22, 8, 8): 10, (64, 22, 8, 116): 1}  # series, tokens, heads, head width: timed passes a run
LOOKBACK, HORIZON, CHANNELS, BATCH, STEPS_AN_EPOCH = 1024, 96, 7, 32, 236
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "2147483647",
    "MALLOC_TOP_PAD_": "67108864",
}


def attention(contestant: str) -> Callable[..., Any]:
    """The layer (series, head, token, width) of a contestant."""
    import torch

    from forecheck.nn.linear_attention import causal_linear_attention

    def cumulative(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        sums = torch.einsum("shta,shtb->shtab", k, v).cumsum(dim=2)
        return torch.einsum("shta,shtab->shtb", q, sums)

    return {"ours": causal_linear_attention, "cumulative": cumulative}[contestant]


def peak_mb() -> float:
    """High-water mark of the process's resident set."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def layer(contestant: str, shape: list[int], repeats: int) -> dict[str, Any]:
    """Seconds of the fastest forward and backward pass of the layer, after one that warms up."""
    import torch

    torch.set_num_threads(1)
    series, tokens, heads, width = shape
    mix = attention(contestant)
    small = [torch.randn(1, 1, 2, 2, requires_grad=True) for _ in range(3)]
    mix(*small).sum().backward()
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(series, heads, tokens, width, generator=generator) for _ in range(4)]
    if contestant == "ours":  # each in the memory layout that suits it: ours as the network hands it over
        made = [one.mT.contiguous().mT for one in made]
    *inputs, direction = made
    for one in inputs:
        one.requires_grad_()
    before = peak_mb()
    mix(*inputs).backward(direction)
    used = peak_mb() - before
    seconds = []
    for _ in range(repeats):
        for one in inputs:
            one.grad = None
        started = time.perf_counter()
        mix(*inputs).backward(direction)
        seconds.append(time.perf_counter() - started)
    with torch.no_grad():
        digest = (mix(*inputs) * direction).sum(dim=(1, 2, 3))[:3].tolist()
    return {"seconds": min(seconds), "mb": used, "digest": digest}


def training(contestant: str, steps: int) -> dict[str, Any]:
    """Seconds a step of the training loop that users run, at the defaults, on noise."""
    import numpy as np
    import torch

    from forecheck.data.windows import Windows
    from forecheck.forecasters.base import Task
    from forecheck.forecasters.samovar import SAMoVAR, SAMoVARConfig

    torch.set_num_threads(1)

    def noise(count: int) -> Windows:
        values = np.random.default_rng(0).normal(size=(count + LOOKBACK + HORIZON - 1, CHANNELS))
        return Windows(values, LOOKBACK, HORIZON, np.arange(LOOKBACK, LOOKBACK + count))

    forecaster = SAMoVAR(Task(LOOKBACK, HORIZON, CHANNELS), SAMoVARConfig(epochs=1))
    for each in forecaster.module.stack.attentions:
        each.forward = attention(contestant)
    forecaster.fit(noise(2 * BATCH), noise(1))
    report = forecaster.fit(noise(steps * BATCH), noise(1))
    speed = report.details["windows_per_second"]
    return {"seconds": BATCH / speed, "mb": peak_mb(), "parameters": report.parameters}


def run(work: dict[str, Any]) -> dict[str, Any]:
    """One piece of work, in a process of its own."""
    counts = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    command = [sys.executable, __file__, "--worker", json.dumps(work)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | KEEP_MEMORY | counts)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"load": os.getloadavg()[0]}


def compare(work: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Both contestants in turns."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "cumulative": []}
    for number in range(rounds):
        for contestant, found in runs.items():
            found.append(run(work | {"contestant": contestant}))
            print(f"{work}, round {number + 1}: {contestant} {1e3 * found[-1]['seconds']:.1f} ms", flush=True)
    row: dict[str, Any] = {"work": work, "runs": runs}
    for contestant, found in runs.items():
        row[contestant] = statistics.median(one["seconds"] for one in found)
        row[f"{contestant}_mb"] = statistics.median(one["mb"] for one in found)
    pairs = zip(runs["ours"], runs["cumulative"], strict=True)
    row["ratios"] = [other["seconds"] / one["seconds"] for one, other in pairs]
    row["ratio"] = statistics.median(row["ratios"])
    return row


def measure(rounds: int, steps: int) -> dict[str, Any]:
    """All comparisons."""
    import torch

    told = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = [line.split(":")[1].strip() for line in told if "model name" in line]
    layers = [
        compare({"part": "layer", "shape": list(shape), "repeats": repeats}, rounds)
        for shape, repeats in SHAPES.items()
    ]
    for row in layers:
        ours, other = (row["runs"][name][0]["digest"] for name in ("ours", "cumulative"))
        assert all(abs(a - b) < 1e-3 * max(abs(x) for x in other) for a, b in zip(ours, other, strict=True))
    whole = compare({"part": "training", "steps": steps}, rounds)
    loads = [one["load"] for row in [*layers, whole] for many in row["runs"].values() for one in many]
    environment = {
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": [min(loads), max(loads)],
    }
    return {"environment": environment, "rounds": rounds, "layers": layers, "training": whole}


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    env, whole = result["environment"], result["training"]
    page = f"""\
# SAMoVAR against its cumulative-sum form

`python benchmarks/samovar.py` on {env["cpu"]}, {env["cores"]} cores, one thread; Python {env["python"]}, torch \
{env["torch"]}. Load average right after a run, the run itself included: {env["load"][0]:.1f} to {env["load"][1]:.1f}; \
above 1 the machine was busy with other work, which the contestants, taking turns, share.

## The layer, forward and backward

Causal linear attention in float32: ours (here masked products, since tokens are few) against running sums of k v', \
which is how the official code computes it. Both give the same numbers, each from the memory layout that suits it; the \
fastest pass of a run counts ({", ".join(str(row["work"]["repeats"]) for row in result["layers"])} timed, after one to \
warm up). Memory is the growth of the process's resident set in the first pass.

| series, tokens, heads, head width | ours (ms) | cumulative sum (ms) | times faster | of single rounds | memory (MB) |
|---|---|---|---|---|---|
"""
    for row in result["layers"]:
        page += (
            f"| {', '.join(map(str, row['work']['shape']))} | {1e3 * row['ours']:.1f} | {1e3 * row['cumulative']:.1f} "
            f"| **{row['ratio']:.1f}** | {min(row['ratios']):.1f}-{max(row['ratios']):.1f} "
            f"| {row['ours_mb']:.0f} against {row['cumulative_mb']:.0f} |\n"
        )
    parameters = whole["runs"]["ours"][0]["parameters"]
    return (
        page
        + f"""
## A whole training step

The default network for ETTh1 ({parameters} parameters, {LOOKBACK} → {HORIZON}, {CHANNELS} channels, batches of \
{BATCH}) in the training loop that users run, on values of noise: windows, dropout, both losses, gradients, clipping, \
AdamW. The other contestant is the same network with the cumulative sum in place of the layer, so it has the benefit \
of all that is fast around it. An epoch is {STEPS_AN_EPOCH} steps, here by the mean of {whole["work"]["steps"]}.

| | step (ms) | epoch (s) | peak memory of the process (MB) |
|---|---|---|---|
| ours | {1e3 * whole["ours"]:.0f} | {STEPS_AN_EPOCH * whole["ours"]:.0f} | {whole["ours_mb"]:.0f} |
| cumulative sum | {1e3 * whole["cumulative"]:.0f} | {STEPS_AN_EPOCH * whole["cumulative"]:.0f} \
| {whole["cumulative_mb"]:.0f} |

**{whole["ratio"]:.2f}** times faster ({min(whole["ratios"]):.2f}-{max(whole["ratios"]):.2f} in single rounds). \
Medians of {result["rounds"]} rounds throughout.
"""
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant, in turns")
    parser.add_argument("--steps", type=int, default=6, help="timed training steps a run")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of samovar.md and samovar.json")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work = args.worker
        part = {"layer": layer, "training": training}[work.pop("part")]
        print(json.dumps(part(**work)))
        return
    result = measure(args.rounds, args.steps)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "samovar.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.out / "samovar.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
