"""Pruned forecasters on ETTh1, 336 to 96: ELSA and its baselines at the same steps, data and number of settings tried.

    FORECHECK_DATA=folder python benchmarks/sparsity.py [--work folder] [--minutes 60] [--models nlinear patchtst]

Every cell (model, seed, sparsity, method) is a file of `--work` as soon as it is done, and what is there is not run
again: stop it whenever you like and go on later. Each method that trains tries the same number of settings for the same
steps on the same windows in the same order; the one with the lowest validation loss of the cut network is scored on
test windows, and no other. The page benchmarks/results/sparsity.md is written after every cell.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from torch import Tensor, nn

from forecheck.data.load import load
from forecheck.data.windows import Experiment
from forecheck.files import replace_file
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.seeding import reseed
from forecheck.papers.elsa.forecasters import Network, Way
from forecheck.sparsity.elsa import Penalty
from forecheck.sparsity.methods import Goal
from forecheck.sparsity.prune import Pruned, Steps, prune_network
from forecheck.sparsity.windows import batches_of
from forecheck.statistics.inference import Comparison, compare
from forecheck.training.loop import mean_squared_error, training_loss
from forecheck.trials.protocol import Protocol

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2)
SPARSITIES = (0.9, 0.95, 0.8, 0.5)
MARGIN = 0.02
CONVERGED = 0.05
BATCH, STEPS = 16, 512
RATES, ELSA_RATES = (1e-3, 3e-3), (3e-3, 1e-2)
"""Learning rates tried, as many for every method; ELSA has to move all weights that are not to stay."""
VALIDATED = 8
"""Every so many validation windows, at a look."""
PENALTY = Penalty(0.1, "cosine")


def rates_of(way: Way) -> tuple[float, ...]:
    """Learning rates to try."""
    if not way.trained:
        return RATES[:1]  # which no step takes
    return ELSA_RATES if way.method == "elsa" else RATES


WAYS = {
    "magnitude, one shot": Way("magnitude", trained=False),
    "Wanda, one shot": Way("wanda", trained=False),
    "magnitude, then trained": Way("magnitude"),
    "Wanda, then trained": Way("wanda"),
    "gradual magnitude": Way("gradual-magnitude"),
    "ELSA, plain": Way("elsa"),
    "ELSA, aware": Way("elsa", projection="aware"),
}
DENSE = "dense, trained on"
"""Nothing is cut: what the steps do by themselves."""
MODELS: dict[str, dict[str, Any]] = {
    "nlinear": {},
    "patchtst": {"width": 16, "hidden": 64, "layers": 2, "stride": 16, "dropout": 0.2, "lr": 1e-3, "epochs": 8},
    "itransformer": {"width": 64, "heads": 4, "hidden": 128, "lr": 1e-3, "epochs": 8},
}


def dense(model: str, experiment: Experiment, seed: int, work: Path) -> nn.Module:
    """The trained network that is pruned; it is trained once a seed."""
    task = Task(experiment.train.lookback, experiment.train.horizon, experiment.train.channels)
    kind = registry.find(model)
    if not issubclass(kind, NeuralForecaster):
        closed = kind(task)
        closed.fit(experiment.train, experiment.validation)
        held = closed.tensors()
        network = Network(task.lookback, task.horizon, 0)
        network.map[0].load_state_dict({"weight": held["weight"][0].T, "bias": held["bias"][0]})
        return network
    path = work / f"{model}-{seed}-dense"
    if not path.exists():
        forecaster = kind(task, kind.Config(**MODELS[model]))
        forecaster.fit(experiment.train, experiment.validation, seed)
        torch.save(forecaster.module.state_dict(), path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    forecaster = kind(task, kind.Config(**MODELS[model]))
    forecaster.module.load_state_dict(torch.load(path, weights_only=True))
    return forecaster.module.eval()


@torch.no_grad()
def losses(network: nn.Module, experiment: Experiment) -> Tensor:
    """Mean squared error of every test window."""
    network.eval()
    return torch.cat([(network(x) - y).square().mean(dim=(1, 2)) for _, x, y in experiment.test.batches(128)])


def pruned(network: nn.Module, experiment: Experiment, sparsity: float, way: Way, rate: float, seed: int) -> Pruned:
    """One try of a setting."""
    steps = STEPS if way.trained else 0
    few = replace(experiment.validation, origins=experiment.validation.origins[::VALIDATED])
    reseed(network, seed, 0)
    return prune_network(
        copy.deepcopy(network),
        training_loss,
        batches_of(experiment.train, BATCH, seed),
        lambda each: mean_squared_error(each, few),
        Goal(sparsity, steps=steps, penalty=PENALTY, projection=way.projection),
        method=way.method,
        training=Steps(steps, rate, seed=seed),
    )


def measure(network: nn.Module, experiment: Experiment, sparsity: float, way: Way, seed: int) -> dict[str, Any]:
    """One cell: the setting that validation chooses, on test windows."""
    started = time.perf_counter()
    tried = [(rate, pruned(network, experiment, sparsity, way, rate, seed)) for rate in rates_of(way)]
    rate, best = min(tried, key=lambda each: each[1].validation[1])
    return {
        "start": losses(network, experiment).numpy(),
        "losses": losses(best.model, experiment).numpy(),
        "rate": rate if way.trained else 0.0,
        "residual": best.trace[-1].get("residual", np.nan),
        "kept": min(best.trace, key=lambda look: look["validation"])["step"],
        "sparsity": best.sparsity,
        "prunable": sum(weight.size for weight in best.prunable.weights),
        "validation": best.validation[1],
        "seconds": time.perf_counter() - started,
    }


def cells(models: Sequence[str]) -> Iterator[tuple[str, int, float, str]]:
    """Model, seed, sparsity and way: all of one sparsity before the next."""
    for model in models:
        for sparsity in SPARSITIES:
            for seed in SEEDS:
                for name in WAYS:
                    yield model, seed, sparsity, name
            if sparsity == SPARSITIES[0]:
                for seed in SEEDS:
                    yield model, seed, 0.0, DENSE


def path_of(work: Path, model: str, seed: int, sparsity: float, name: str) -> Path:
    """Where a cell is kept."""
    return work / f"{model}-{seed}-{sparsity:g}-{name.replace(', ', '-').replace(' ', '-')}.npz"


def write_cell(path: Path, found: dict[str, Any]) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **found)
    part.replace(path)


def read(work: Path, models: Sequence[str]) -> dict[tuple[str, float, str], list[dict[str, Any]]]:
    """Cells that are done, the seeds of one beside each other."""
    found: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    for model, seed, sparsity, name in cells(models):
        path = path_of(work, model, seed, sparsity, name)
        if path.exists():
            with np.load(path) as held:
                found.setdefault((model, sparsity, name), []).append({"seed": seed, **dict(held)})
    return found


def judged(rows: Sequence[dict[str, Any]], horizon: int) -> Comparison:
    """Test losses beside those of the dense start of the same seeds; the spread between seeds enters."""
    before = np.stack([each["start"] for each in rows]).astype(np.float64)
    after = np.stack([each["losses"] for each in rows]).astype(np.float64)
    (found,) = compare([after - before], float(before.mean()), horizon, margin=MARGIN, over_seeds="if several")
    return found


def cell(rows: Sequence[dict[str, Any]], horizon: int) -> str:
    """A cell of the table."""
    if not rows:
        return "not run"
    found = judged(rows, horizon)
    low, high = (100 * each for each in found.interval)
    mse = np.mean([each["losses"].mean() for each in rows])
    return f"{mse:.4f} ({100 * found.effect:+.1f} % [{low:+.1f}, {high:+.1f}])" + "*" * (len(rows) < len(SEEDS))


def residuals(rows: Sequence[dict[str, Any]]) -> str:
    """ELSA's last relative residuals, and whether it converged."""
    if not rows:
        return "not run"
    values = [float(each["residual"]) for each in rows]
    met = sum(value < CONVERGED for value in values)
    low, high = (f"{value:.3f}" for value in (min(values), max(values)))
    return f"{low if low == high else f'{low} to {high}'}, {met} of {len(values)} converged"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n"


def page(found: dict[tuple[str, float, str], list[dict[str, Any]]], models: Sequence[str], horizon: int) -> str:
    """The results as Markdown."""
    shown = sorted(SPARSITIES)
    text = f"""\
# Sparse forecasters

`python benchmarks/sparsity.py`: one thread of {os.cpu_count()} cores, Python {platform.python_version()}, torch \
{torch.__version__}. ETTh1, 336 steps to 96, standard split, {len(SEEDS)} seeds. Test MSE in standardised units, in \
brackets its distance to that of the dense start and the 95 % interval over windows and seeds (*: not all seeds are \
done). Shares are of the prunable weights, the head among them.

Every method that trains tries {len(RATES)} learning rates ({_told(RATES)}; ELSA {_told(ELSA_RATES)}) for {STEPS} \
steps of {BATCH} windows in the same order; the one with the lowest validation loss of the cut network is scored on \
all test windows. One-shot masks have nothing to tune. ELSA's penalty ({PENALTY.strength:g}, {PENALTY.schedule}) was \
the same everywhere; it was chosen before this grid, see the note. "Converged" is a last relative residual under \
{CONVERGED:g}. Masks are within a layer; those of gradual magnitude over all layers.

"""
    for model in models:
        done = [row for (which, *_), rows in found.items() if which == model for row in rows]
        if not done:
            continue
        starts = {row["seed"]: row["start"].mean() for row in done}
        text += f"## {model}: {int(done[0]['prunable']):,} prunable weights, dense start "
        text += f"{np.mean(list(starts.values())):.4f}\n\n"
        text += f"The same steps without a mask: {cell(found.get((model, 0.0, DENSE), []), horizon)}.\n\n"
        rows = [[name, *(cell(found.get((model, each, name), []), horizon) for each in shown)] for name in WAYS]
        text += table(["method", *(f"{100 * each:g} %" for each in shown)], rows)
        rows = [
            [name, *(residuals(found.get((model, each, name), [])) for each in shown)]
            for name, way in WAYS.items()
            if way.method == "elsa"
        ]
        text += table(["last relative residual", *(f"{100 * each:g} %" for each in shown)], rows)
    note = RESULTS / "sparsity_note.md"
    return text + (note.read_text() if note.exists() else "")


def _told(rates: Sequence[float]) -> str:
    return " and ".join(f"{rate:g}" for rate in rates)


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no new cell after so many")
    parser.add_argument("--work", type=Path, default=Path("sparsity-work"), help="folder of finished cells")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of sparsity.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    experiment = Protocol(96, 336).cut(load("ETTh1"))
    started = time.monotonic()
    for model, seed, sparsity, name in cells(args.models):
        path = path_of(args.work, model, seed, sparsity, name)
        if path.exists() or time.monotonic() - started > 60 * args.minutes:
            continue
        network = dense(model, experiment, seed, args.work)
        found = measure(network, experiment, sparsity, WAYS.get(name, Way("magnitude")), seed)
        write_cell(path, found)
        print(model, seed, sparsity, name, f"{found['losses'].mean():.4f} {found['seconds']:.1f} s", flush=True)
        text = page(read(args.work, list(MODELS)), list(MODELS), experiment.test.overlap)
        replace_file(args.out / "sparsity.md", lambda part, text=text: part.write_text(text))


if __name__ == "__main__":
    main()
