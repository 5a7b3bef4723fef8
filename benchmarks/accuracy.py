"""Test accuracy of our forecasters on the standard sets and horizons, beside published numbers.

    FORECHECK_DATA=folder python benchmarks/accuracy.py [--minutes 60] [--sets ETTh1] [--models anchored samovar]

Every cell (set, horizon, model) is kept in benchmarks/results/accuracy.json as soon as it is done, and what is there is
not run again: stop it whenever you like and go on later. Cells of closed forms come first, then those that train in
minutes; a fit that was interrupted goes on from its last epoch. Every test window counts, and all choices (strength,
epoch, weights) are made on validation windows. The page benchmarks/results/accuracy.md is written after every cell.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import torch

import forecheck as fc
from forecheck.data.load import load
from forecheck.files import replace_file
from forecheck.forecasting.selection import own_lookbacks

RESULTS = Path(__file__).parent / "results"
SETS = {"ETTh1": 24, "ETTh2": 24, "exchange_rate": 1, "weather": 144}
"""Sets and their seasons."""
HORIZONS = (96, 192, 336, 720)


class Entry(NamedTuple):
    """A model of the table: what it is fitted with.

    Attributes:
        lookback: L, steps of input; 0 for the model's own, cut to what the data allow.
        options: that differ from the defaults.
        about: what a reader has to know of these.
        also: further lookbacks; the one with the lowest validation error counts.
    """

    lookback: int
    options: dict[str, Any]
    about: str = ""
    also: tuple[int, ...] = ()


MODELS = {
    "last": Entry(336, {}),
    "seasonal": Entry(336, {}),
    "nlinear": Entry(336, {}, "closed form, ridge by validation"),
    "rlinear": Entry(336, {}, "closed form, ridge by validation"),
    "linear": Entry(336, {}, "closed form, ridge by validation"),
    "dlinear": Entry(336, {}, "closed form, ridge by validation"),
    "anchored": Entry(0, {}, "closed form"),
    "dlinear-sgd": Entry(336, {}),
    "anchored-net": Entry(0, {}, "anchored, and a network as far as it is certain to help"),
    "samovar": Entry(
        0,
        {},
        "lookback by validation: 1024, 2048 or that of its scripts (1024 / 2048 / 2048 / 4096, as far as the training "
        "part reaches)",
        (1024, 2048),
    ),
    "patchtst": Entry(336, {"epochs": 40}, "its ETTh1 size for all sets; 40 of 100 epochs (lr is down to 2 % by then)"),
    "itransformer": Entry(96, {}),
    "tsmixer": Entry(336, {"patience": 5}),
}
PUBLISHED: dict[tuple[str, str], dict[int, float]] = {
    # Why Attention Fails, replies to reviewers, raw attention (their settings).
    ("patchtst", "ETTh1"): {96: 0.383, 192: 0.419, 336: 0.428, 720: 0.450},
    ("patchtst", "ETTh2"): {96: 0.277, 192: 0.340, 336: 0.328, 720: 0.382},
    ("patchtst", "weather"): {96: 0.154, 192: 0.198, 336: 0.247, 720: 0.318},
}
AVERAGES = {
    # SAMoVAR's poster, table 1: mean over the four horizons.
    ("samovar", "ETTh1"): 0.401,
    ("samovar", "ETTh2"): 0.324,
    ("samovar", "weather"): 0.214,
    ("itransformer", "ETTh1"): 0.454,
    ("itransformer", "ETTh2"): 0.374,
    ("itransformer", "weather"): 0.232,
    ("patchtst", "ETTh1"): 0.413,
    ("patchtst", "ETTh2"): 0.330,
    ("patchtst", "weather"): 0.221,
    ("dlinear-sgd", "ETTh1"): 0.422,
    ("dlinear-sgd", "ETTh2"): 0.426,
    ("dlinear-sgd", "weather"): 0.233,
}


def cells(sets: list[str], models: list[str]) -> list[tuple[str, int, str]]:
    """Set, horizon and model of every cell: closed forms first, then model by model and set by set."""
    closed = [model for model in models if list(MODELS).index(model) < list(MODELS).index("dlinear-sgd")]
    first = [(name, horizon, model) for name in sets for horizon in HORIZONS for model in closed]
    rest = [(name, horizon, model) for name in sets for model in models if model not in closed for horizon in HORIZONS]
    return [cell for cell in first + rest if cell[2] != "seasonal" or SETS[cell[0]] > 1]


def measure(name: str, horizon: int, model: str, seed_count: int, store: Path | None) -> dict[str, Any]:
    """One cell: of several lookbacks the one with the lowest validation error."""
    entry = MODELS[model]
    own = entry.lookback or own_lookbacks(load(name), horizon, [model])[model]
    lookbacks = dict.fromkeys([own, *entry.also])
    tried = [fitted(name, horizon, model, lookback, seed_count, store) for lookback in lookbacks]
    best = min(tried, key=lambda cell: cell["validation_mse"])
    if entry.also:
        best["tried"] = {cell["lookback"]: [cell["validation_mse"], cell["mse"]] for cell in tried}
    return best


def fitted(name: str, horizon: int, model: str, lookback: int, seed_count: int, store: Path | None) -> dict[str, Any]:
    """The cell of one lookback."""
    entry = MODELS[model]
    load_average = os.getloadavg()[0]
    report = fc.backtest(
        name,
        [model],
        horizon=horizon,
        lookback=lookback,
        seeds=seed_count,
        period=SETS[name],
        options={model: entry.options} if entry.options else None,
        workers=0,
        store=store,
    )
    row = report.data["table"][0]
    kept = ("mse", "mae", "validation_mse", "seconds", "parameters", "seeds")
    return {
        "set": name,
        "horizon": horizon,
        "model": model,
        "lookback": lookback,
        "test_windows": next(b["windows"] for b in report.data["protocol"]["borders"] if b["part"] == "test"),
        "load_average": load_average,
        **{key: row[key] for key in kept},
        "options": entry.options,
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    env = result["environment"]
    done = {(cell["set"], cell["horizon"], cell["model"]): cell for cell in result["cells"]}
    page = f"""\
# Accuracy

`python benchmarks/accuracy.py`: one thread of {env["cores"]} cores, Python {env["python"]}, torch {env["torch"]}. \
Mean squared and mean absolute error in units standardised by the training rows, over every test window of the \
standard splits. Strength, epoch and weights are chosen on validation windows. Fits ran beside other work: seconds are \
upper bounds. *Not run* cells were not reached yet; the script goes on with them.

Published numbers are other people's code, settings, lookbacks and seeds, and some drop the last test batch: PatchTST \
by horizon from *Why Attention Fails* (replies to reviewers), averages from SAMoVAR's poster.

"""
    for name, season in SETS.items():
        page += f"## {name}\n\n| model | lookback | " + " | ".join(f"{h} MSE / MAE" for h in HORIZONS)
        page += " | mean MSE | published mean | fit (s) | parameters | seeds |\n|" + "---|" * (len(HORIZONS) + 7) + "\n"
        for model in MODELS:
            mine = [done.get((name, horizon, model)) for horizon in HORIZONS]
            found = [cell for cell in mine if cell]
            if model == "seasonal" and season == 1:
                continue
            numbers = " | ".join(
                f"{cell['mse']:.4f} / {cell['mae']:.4f}{_published(model, name, horizon)}" if cell else "not run"
                for horizon, cell in zip(HORIZONS, mine, strict=True)
            )
            whole = len(found) == len(HORIZONS)
            mean = f"{statistics.mean(cell['mse'] for cell in found):.4f}" if whole else ""
            average = AVERAGES.get((model, name))
            page += (
                f"| {model} | {_span([cell['lookback'] for cell in found])} | {numbers} | {mean} "
                f"| {f'{average:.3f}' if average else ''} | {_span([round(cell['seconds'], 1) for cell in found])} "
                f"| {_span([cell['parameters'] for cell in found])} | {_span([cell['seeds'] for cell in found])} |\n"
            )
        page += "\n"
    page += "## Models\n\n"
    page += "".join(f"- {model}: {entry.about or 'defaults'}.\n" for model, entry in MODELS.items())
    note = RESULTS / "accuracy_note.md"
    return page + (f"\n{note.read_text()}" if note.exists() else "")


def _published(model: str, name: str, horizon: int) -> str:
    number = PUBLISHED.get((model, name), {}).get(horizon)
    return f" ({number:.3f})" if number else ""


def _span(values: list[Any]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def write(result: dict[str, Any], out: Path) -> None:
    """Both files, whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    replace_file(out / "accuracy.json", lambda part: _write(part, json.dumps(result, indent=1) + "\n"))
    replace_file(out / "accuracy.md", lambda part: _write(part, markdown(result)))


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no new cell after so many")
    parser.add_argument("--store", type=Path, help="folder of fits; the user's cache if not given")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of accuracy.md and accuracy.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    path = args.out / "accuracy.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"cells": []}
    result["environment"] = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    known = {(cell["set"], cell["horizon"], cell["model"]) for cell in result["cells"]}
    started = time.monotonic()
    for name, horizon, model in cells(args.sets, args.models):
        if (name, horizon, model) in known:
            continue
        if time.monotonic() - started > 60 * args.minutes:
            break
        cell = measure(name, horizon, model, args.seeds, args.store)
        place = name, horizon, model
        result["cells"] = [each for each in result["cells"] if (each["set"], each["horizon"], each["model"]) != place]
        result["cells"].append(cell)
        write(result, args.out)
        print(name, horizon, model, f"{cell['mse']:.4f} {cell['mae']:.4f} {cell['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
