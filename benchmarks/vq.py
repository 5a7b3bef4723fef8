"""Patch embeddings on the event set, whose optimum is known: linear, not linear, and by codes.

    python benchmarks/vq.py

Writes benchmarks/results/vq.md and vq.json. PatchTST is trained with every embedding, with attention and with the
identity in its place, and vq-tokens forecasts the codes themselves. One thread; seconds are of the processor, so other
work on the machine lengthens them little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from forecheck.attention.replace import Replace
from forecheck.calibration.positive import gain
from forecheck.data.synthetic import events
from forecheck.data.windows import Experiment, Windows, prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster, Task, predict_all
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.vq import VQForecaster
from forecheck.forecasters.vq_patchtst import VARIANTS
from forecheck.forecasters.vq_tokens import VQTokens
from forecheck.nn.patches import EmbeddingName
from forecheck.progress import Progress

RESULTS = Path(__file__).parent / "results"
CODES = {"vq_codes": 256, "vq_width": 64, "vq_updates": 300, "vq_batch": 2048}
TRAINING = {"batch": 64, "schedule": "onecycle", "lr": 4e-3, "dropout": 0.0}
SIZES = {"patch": 16, "width": 32, "heads": 4, "hidden": 64}
PATCHTST = {"stride": 16, "padding": False, "layers": 1, "norm": "layer", "residual_scores": False}
TOKENS = {"layers": 2}
TASK = Task(events.LOOKBACK, events.HORIZON, 1)


def error(forecaster: Forecaster, experiment: Experiment) -> float:
    """Mean squared error on the test windows, in the data's units."""
    truth = experiment.test.gather(slice(0, len(experiment.test)))[1]
    mse = (predict_all(forecaster, experiment.test) - truth).double().square().mean()
    return float(mse) * float(experiment.scaler.std[0, 0]) ** 2


class Codes:
    """The first stage, learnt once a seed: all that learn codes learn the same ones, of the same patches."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def give(self, forecaster: VQForecaster) -> None:
        """Make the forecaster take the codes that another has learnt, or keep those that it learns."""
        learn, autoencoder = forecaster.prepare(), forecaster.module.autoencoder
        kind = "learnt" if [*autoencoder.parameters()] else "raw"
        if learn is None:
            return

        def once(windows: Windows, seed: int, progress: Progress | None) -> None:
            if kind not in self.kept:
                learn(windows, seed, progress)
                self.kept[kind] = {key: value.clone() for key, value in autoencoder.state_dict().items()}
            autoencoder.load_state_dict(self.kept[kind])

        forecaster.prepare = lambda: once  # type: ignore[method-assign]


def fits(
    name: str, options: dict[str, Any], experiment: Experiment, seed: int, codes: Codes
) -> Iterator[tuple[str, NeuralForecaster, dict[str, Any]]]:
    """The forecaster fitted with attention, then with the identity in its place, and what is told of the fit."""
    for arm, edit in (("raw", None), ("identity", Replace("identity"))):
        before = time.process_time()
        kind = registry.find(name)
        assert issubclass(kind, NeuralForecaster)
        forecaster = kind(TASK, registry.read_config(kind, options), edit)
        if isinstance(forecaster, VQForecaster):
            codes.give(forecaster)
        report = forecaster.fit(experiment.train, experiment.validation, seed)
        told = {"vq": report.details.get("vq", {}), "epoch": report.details["best_epoch"]}
        yield arm, forecaster, told | {"seconds": time.process_time() - before}


def measure(windows: int, epochs: int, seeds: int) -> Iterator[dict[str, Any]]:
    """One dict a fit: what it is, its errors, and what it tells of its codes."""
    shared = TRAINING | SIZES | {"epochs": epochs}
    for seed in range(seeds):
        experiment = prepare(events.events(windows, seed), events.LOOKBACK, events.HORIZON, step=events.BLOCK)
        codes = Codes()
        linear = registry.create("linear", TASK)
        linear.fit(experiment.train, experiment.validation)
        yield {"seed": seed, "model": "linear, closed form", "arm": "", "mse": error(linear, experiment)}
        for embedding in (*get_args(EmbeddingName), *VARIANTS):
            coded = embedding in VARIANTS
            options = shared | PATCHTST | {"embedding": embedding} | (CODES if coded else {})
            name = "vq-patchtst" if coded else "patchtst"
            for arm, forecaster, told in fits(name, options, experiment, seed, codes):
                yield {"seed": seed, "model": embedding, "arm": arm, "mse": error(forecaster, experiment)} | told
        options = shared | TOKENS | CODES
        for arm, forecaster, told in fits("vq-tokens", options, experiment, seed, codes):
            for roll_out in ("expected", "greedy"):
                config = registry.read_config(VQTokens, options | {"roll_out": roll_out})
                other = VQTokens(TASK, config, forecaster.edit)
                other.restore(forecaster.tensors())
                row = {"seed": seed, "model": f"vq-tokens, {roll_out}", "arm": arm, "mse": error(other, experiment)}
                yield row | told


def cells(rows: list[dict[str, Any]], model: str) -> list[str]:
    """A line of the table."""

    def shown(arm: str) -> list[str]:
        errors = [row["mse"] for row in rows if (row["model"], row["arm"]) == (model, arm)]
        return [f"{1e3 * statistics.mean(errors):.2f}", f"{gain(statistics.mean(errors)):.2f}"] if errors else ["", ""]

    first = next(row for row in rows if row["model"] == model)
    found = [model, *shown(first["arm"]), *shown("identity")]
    codes = first.get("vq")
    if not codes:
        return [*found, "", "", ""]
    return [*found, f"{codes['usage']:.2f}", f"{codes['perplexity']:.0f}", f"{codes['reconstruction_mse']:.4f}"]


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    env, rows = result["environment"], result["rows"]
    page = f"""\
# Patch embeddings on the event set

`python benchmarks/vq.py --windows {result["windows"]} --epochs {result["epochs"]} --seeds {result["seeds"]}` on \
{env["cpu"]}, {env["cores"]} cores, one thread; Python {env["python"]}, torch {env["torch"]}; load average \
{env["load"][0]:.1f} at the start and {env["load"][1]:.1f} at the end, this run included; \
{result["cpu_seconds"]:.0f} s of processor time. Seeds of data and fit: {result["seeds"]}. With one, differences of a \
few hundredths of the share are not to be trusted.\
{"" if result["complete"] else " Cut off: what is missing was not run."}

{result["train"]} training and {result["test"]} test windows of the event set of arXiv 2509.20942, 336 to 96; patches \
of 16 side by side (`conv`: stride 16), width 32, one layer (vq-tokens: two), {result["epochs"]} epochs: short, \
no model is trained to its end. Codes: {CODES["vq_codes"]} of width {CODES["vq_width"]}, {CODES["vq_updates"]} updates \
of {CODES["vq_batch"]} patches, learnt once for all variants.

MSE is in the data's units, times 1000: the optimum is {1e3 * events.OPTIMUM:.2f}, always the average event \
{1e3 * events.AVERAGE_EVENT:.2f}, and the share is that of the gain from the second to the first. `identity` is \
trained with the identity in place of attention. Usage, perplexity and reconstruction are on training windows after \
the fit, reconstruction in units of windows normalised to variance 1.

| embedding | MSE | share | MSE, identity | share, identity | usage | perplexity | reconstruction MSE |
|---|---|---|---|---|---|---|---|
"""
    lines = [f"| {' | '.join(cells(rows, model))} |\n" for model in dict.fromkeys(row["model"] for row in rows)]
    return page + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=4000, help="of the event set, training, validation and test")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1, help="of data and fits")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of vq.md and vq.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    told = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = [line.split(":")[1].strip() for line in told if "model name" in line]
    sizes = prepare(events.events(args.windows, 0), events.LOOKBACK, events.HORIZON, step=events.BLOCK)
    result: dict[str, Any] = {
        "environment": {
            "cpu": cpu[0] if cpu else platform.processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "load": [os.getloadavg()[0]] * 2,
        },
        "windows": args.windows,
        "train": len(sizes.train),
        "test": len(sizes.test),
        "epochs": args.epochs,
        "seeds": args.seeds,
        "complete": False,
        "rows": [],
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for row in measure(args.windows, args.epochs, args.seeds):
        result["rows"].append(row)
        print(json.dumps(row), flush=True)
        write(result, args.out)
    result["complete"] = True
    write(result, args.out)
    print(markdown(result))


def write(result: dict[str, Any], folder: Path) -> None:
    """Both files, as far as the run has come."""
    result["cpu_seconds"] = time.process_time()
    result["environment"]["load"][1] = os.getloadavg()[0]
    (folder / "vq.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "vq.md").write_text(markdown(result))


if __name__ == "__main__":
    main()
