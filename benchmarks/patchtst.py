"""Training PatchTST: windows a second beside neuralforecast's, and the accuracy that the speed leads to.

    python -m venv peer && peer/bin/pip install neuralforecast==3.3.0 torch==2.13.0
    FORECHECK_DATA=folder python benchmarks/patchtst.py --peer-python peer/bin/python --accuracy 40

Writes benchmarks/results/patchtst.md and patchtst.json; without `--accuracy` an accuracy measured before is kept.

Both train the same network (patch 16, stride 8, width 16, 4 heads, feed-forward 128, 3 layers, dropout 0.3, BatchNorm,
residual scores, float32) on batches of 128 windows of 7 channels, 896 series of 336 steps to 96, with Adam. Ours is
timed through the training loop that users run: choosing and cutting the windows, dropout streams, gradients, Adam.
neuralforecast is timed without what its trainer adds: one ready batch in memory, the model's forward pass, its own MSE,
gradients, Adam. Every run is a process of its own; both keep freed memory (glibc settings, as forecheck's own workers
do), since otherwise much of what is measured is the system handing out pages.
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
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
LOOKBACK, HORIZON, CHANNELS, BATCH = 336, 96, 7, 128
WARM_UP = 3
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "2147483647",
    "MALLOC_TOP_PAD_": "67108864",
}


def ours(steps: int) -> dict[str, Any]:
    """Windows a second of our training loop on noise; what is trained on does not change the work."""
    import numpy as np

    from forecheck.data.windows import Windows
    from forecheck.forecasters.base import Task
    from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig

    def noise(count: int) -> Windows:
        values = np.random.default_rng(0).normal(size=(count + LOOKBACK + HORIZON - 1, CHANNELS))
        return Windows(values, LOOKBACK, HORIZON, np.arange(LOOKBACK, LOOKBACK + count))

    forecaster = PatchTST(Task(LOOKBACK, HORIZON, CHANNELS), PatchTSTConfig(epochs=1, batch=BATCH))
    forecaster.fit(noise(WARM_UP * BATCH), noise(1))
    report = forecaster.fit(noise(steps * BATCH), noise(1))
    return {"windows_per_second": report.details["windows_per_second"], "parameters": report.parameters}


def peer(steps: int) -> dict[str, Any]:
    """Windows a second of neuralforecast's PatchTST on one ready batch of noise."""
    import torch
    from neuralforecast.losses.pytorch import MSE
    from neuralforecast.models import PatchTST

    sizes: dict[str, Any] = {"encoder_layers": 3, "n_heads": 4, "hidden_size": 16, "linear_hidden_size": 128}
    model = PatchTST(h=HORIZON, input_size=LOOKBACK, **sizes, dropout=0.3, patch_len=16, stride=8, loss=MSE())
    assert any(isinstance(module, torch.nn.BatchNorm1d) for module in model.modules())
    assert model.hparams["res_attention"]
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    x, y = torch.randn(BATCH * CHANNELS, LOOKBACK, 1), torch.randn(BATCH * CHANNELS, HORIZON, 1)
    mask = torch.ones_like(y)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        model.loss(y=y, y_hat=model({"insample_y": x}), mask=mask).backward()
        optimizer.step()

    for _ in range(WARM_UP):
        step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    speed = steps * BATCH / (time.perf_counter() - started)
    return {
        "windows_per_second": speed,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


def work(contestant: str, threads: int, steps: int) -> dict[str, Any]:
    """One run, in this process."""
    import torch

    torch.set_num_threads(threads)
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu = time.process_time()
    found = {"ours": ours, "peer": peer}[contestant](steps)
    found["cpu_s"] = time.process_time() - cpu
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found["torch_mb"] = imported / 1024
    found["torch"] = torch.__version__
    if contestant == "peer":
        import neuralforecast

        found["version"] = neuralforecast.__version__
    return found


def run(python: str, contestant: str, threads: int, steps: int) -> dict[str, Any]:
    """One run, in a process of its own."""
    counts = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS")}
    command = [python, __file__, "--worker", contestant, "--threads", str(threads), "--steps", str(steps)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | KEEP_MEMORY | counts)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"load": os.getloadavg()[0]}


def compare(peer_python: str, threads: list[int], rounds: int, steps: int) -> list[dict[str, Any]]:
    """Both contestants in turns, for every number of threads."""
    pythons = {"ours": sys.executable, "peer": peer_python}
    rows = []
    for count in threads:
        runs: dict[str, list[dict[str, Any]]] = {contestant: [] for contestant in pythons}
        for number in range(rounds):
            for contestant, python in pythons.items():
                runs[contestant].append(run(python, contestant, count, steps))
                speed = runs[contestant][-1]["windows_per_second"]
                print(f"{count} threads, round {number + 1}: {contestant} {speed:.0f} windows/s", flush=True)
        row: dict[str, Any] = {"threads": count, "rounds": rounds, "steps": steps, "runs": runs}
        for contestant, found in runs.items():
            row[contestant] = statistics.median(one["windows_per_second"] for one in found)
            row[f"{contestant}_mb"] = statistics.median(one["peak_mb"] for one in found)
        pairs = zip(runs["ours"], runs["peer"], strict=True)
        row["ratios"] = [one["windows_per_second"] / other["windows_per_second"] for one, other in pairs]
        row["ratio"] = statistics.median(row["ratios"])
        rows.append(row)
    return rows


def accuracy(epochs: int, seed: int, threads: int) -> dict[str, Any]:
    """Our PatchTST at its defaults on ETTh1: test errors of the epoch that is best on validation."""
    import torch

    from forecheck.data.load import load
    from forecheck.data.windows import prepare
    from forecheck.forecasters.base import Task
    from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig

    torch.set_num_threads(threads)
    experiment = prepare(load("ETTh1"), LOOKBACK, HORIZON)
    forecaster = PatchTST(Task(LOOKBACK, HORIZON, CHANNELS), PatchTSTConfig(epochs=epochs))

    def say(done: float, word: str) -> None:
        if "validation" in word:
            print(f"{100 * done:.0f} % {word}", flush=True)

    report = forecaster.fit(experiment.train, experiment.validation, seed, say)
    squared = absolute = 0.0
    for _, x, y in experiment.test.batches(BATCH):
        difference = (forecaster.predict(x) - y).double()
        squared += float(difference.square().sum())
        absolute += float(difference.abs().sum())
    count = len(experiment.test) * HORIZON * CHANNELS
    return {
        "set": "ETTh1",
        "seed": seed,
        "epochs": epochs,
        "best_epoch": report.details["best_epoch"] + 1,
        "validation_mse": min(report.details["validation_loss"]),
        "test_mse": squared / count,
        "test_mae": absolute / count,
        "test_windows": len(experiment.test),
        "seconds": report.seconds,
        "threads": threads,
    }


def environment(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Machine and versions."""
    told = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = [line.split(":")[1].strip() for line in told if "model name" in line]
    first, other = (rows[0]["runs"][contestant][0] for contestant in ("ours", "peer"))
    return {
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": first["torch"],
        "peer_torch": other["torch"],
        "neuralforecast": other["version"],
        "parameters": {"ours": first["parameters"], "peer": other["parameters"]},
        "load": [
            min(loads := [one["load"] for row in rows for many in row["runs"].values() for one in many]),
            max(loads),
        ],
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    env, counts = result["environment"], result["environment"]["parameters"]
    page = f"""\
# Training PatchTST

`python benchmarks/patchtst.py` on {env["cpu"]}, {env["cores"]} cores; Python {env["python"]}, torch {env["torch"]}; \
neuralforecast {env["neuralforecast"]} with torch {env["peer_torch"]}. Load average right after a run, the run itself \
included: {env["load"][0]:.1f} to {env["load"][1]:.1f}.

Both train the same network ({counts["ours"]} parameters here, {counts["peer"]} there: patch 16, stride 8, width 16, \
4 heads, feed-forward 128, 3 layers, dropout 0.3, BatchNorm, residual scores, float32) by Adam on batches of {BATCH} \
windows of {CHANNELS} channels, {LOOKBACK} → {HORIZON}, with values of noise. Ours is timed through the training loop \
that users run, cutting the windows and drawing the dropout included; neuralforecast by its model's forward pass, its \
MSE, gradients and Adam on one batch ready in memory, without its trainer and its making of windows. Each run is a \
process of its own, the two take turns, and both keep freed memory (`{"`, `".join(KEEP_MEMORY)}` set alike).

| threads | ours (windows/s) | neuralforecast (windows/s) | times faster | of single rounds | peak memory (MB) |
|---|---|---|---|---|---|
"""
    for row in result["speed"]:
        low, high = min(row["ratios"]), max(row["ratios"])
        page += (
            f"| {row['threads']} | {row['ours']:.0f} | {row['peer']:.0f} | **{row['ratio']:.2f}** "
            f"| {low:.2f}-{high:.2f} | {row['ours_mb']:.0f} against {row['peer_mb']:.0f} |\n"
        )
    page += (
        f"\nMedians of {row['rounds']} rounds of {row['steps']} steps. Peak memory is of the whole process, "
        "all imports included.\n\n## Accuracy at these settings\n\n"
    )
    found = result.get("accuracy")
    if found is None:
        return page + "Not measured yet: `--accuracy EPOCHS`.\n"
    return page + (
        f"Our PatchTST at its defaults, {found['set']} {LOOKBACK} → {HORIZON}, seed {found['seed']}: test MSE "
        f"**{found['test_mse']:.4f}**, MAE {found['test_mae']:.4f} on all {found['test_windows']} test windows after "
        f"{found['epochs']} epochs in {found['seconds'] / 60:.0f} minutes ({found['threads']} threads); validation "
        f"(MSE {found['validation_mse']:.4f}) was best after epoch {found['best_epoch']}.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has neuralforecast")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads")
    parser.add_argument(
        "--rounds", type=int, default=5, help="runs of each, in turns; 0 keeps the speeds measured before"
    )
    parser.add_argument("--steps", type=int, default=15, help="timed steps a run")
    parser.add_argument("--accuracy", type=int, metavar="EPOCHS", help="also train on ETTh1 and score the test windows")
    parser.add_argument("--seed", type=int, default=0, help="of the accuracy run")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of patchtst.md and patchtst.json")
    parser.add_argument("--worker", choices=("ours", "peer"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(work(args.worker, args.threads[0], args.steps)))
        return
    file = args.out / "patchtst.json"
    result: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    if args.rounds:
        result["speed"] = compare(args.peer_python, args.threads, args.rounds, args.steps)
        result["environment"] = environment(result["speed"])
    if args.accuracy:
        result["accuracy"] = accuracy(args.accuracy, args.seed, max(args.threads))
    args.out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    (args.out / "patchtst.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
