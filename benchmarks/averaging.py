"""What weight averaging does to the loss and to its spread between seeds, with attention and without.

    FORECHECK_DATA=... python benchmarks/averaging.py --minutes 25

Writes benchmarks/results/averaging.json after every fit, goes on from there, and writes averaging.md.

PatchTST and its arm that is trained with the identity in attention's place, by the recipe of an audit (lr 1e-3,
onecycle, batch 32, 12,288 windows). Every fit is judged five ways: the best epoch by validation; the mean of the
weights of the last third of the steps; whichever of the two is better on validation, which is the recipe's option
`average`; that mean with the statistics of batch norms recomputed; and the last epoch. Averaging does not change
training, so all come from one fit. Test losses are of every fourth window.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.optim.swa_utils import update_bn

from forecheck.attention.replace import Replace
from forecheck.data.load import load
from forecheck.data.windows import prepare
from forecheck.forecasters.base import Task
from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig
from forecheck.training.averaging import WeightMean
from forecheck.training.loop import mean_squared_error, train

RESULTS = Path(__file__).parent / "results"
SETS = (("co2", 104, 26), ("ETTh1", 336, 96), ("ETTh2", 336, 96))
ARMS = {"attention": None, "identity": Replace("identity")}
WAYS = ("best epoch", "mean", "option", "recomputed", "last epoch")


def fit(name: str, lookback: int, horizon: int, arm: str, seed: int) -> dict[str, Any]:
    """Validation and test losses of one fit, every way."""
    panel = load(name)
    cut = prepare(panel, lookback, horizon)
    stride = max(1, len(cut.train) // 2048)
    epochs = min(40, round(12_288 / (len(cut.train) / stride)))
    recipe = PatchTSTConfig(lr=1e-3, schedule="onecycle", batch=32, train_stride=stride, epochs=epochs)
    model = PatchTST(Task(lookback, horizon, cut.train.channels, panel.frequency.period), recipe, ARMS[arm]).module
    windows, test = cut.train.strided(stride), cut.test.strided(4)
    steps, mean = epochs * -(-len(windows) // recipe.batch), WeightMean()
    taken = 0

    def add(*_: Any) -> None:
        nonlocal taken
        taken += 1
        if taken > steps - steps // 3:
            mean.add(model)
        if taken == steps:
            last.update({key: value.clone() for key, value in model.state_dict().items()})

    last: dict[str, torch.Tensor] = {}
    hook = register_optimizer_step_post_hook(add)
    started = time.perf_counter()
    history = train(model, cut.train, cut.validation, recipe, seed)
    hook.remove()
    validation, losses = history.validation[history.best], {"best epoch": mean_squared_error(model, test)}
    model.load_state_dict(mean.tensors)
    averaged, losses["mean"] = mean_squared_error(model, cut.validation), mean_squared_error(model, test)
    losses["option"] = losses["mean" if averaged <= validation else "best epoch"]
    update_bn((x for _, x, _ in windows.batches(recipe.micro_batch)), model)
    losses["recomputed"] = mean_squared_error(model, test)
    model.load_state_dict(last)
    losses["last epoch"] = mean_squared_error(model, test)
    return {
        "set": name,
        "arm": arm,
        "seed": seed,
        "validation": history.validation,
        "averaged": averaged,
        "test": losses,
        "seconds": time.perf_counter() - started,
    }


def table(found: list[dict[str, Any]]) -> str:
    """Mean loss, spread between seeds, how often the mean is kept; and the effect of attention by pairs of seeds."""
    by_arm: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in found:
        by_arm[one["set"], one["arm"]].append(one)
    lines = ["| set | arm | seeds | mean kept | " + " | ".join(WAYS) + " |", "|---" * (4 + len(WAYS)) + "|"]
    for (name, arm), fits in by_arm.items():
        kept = sum(one["averaged"] <= min(one["validation"]) for one in fits)
        cells = [_mean_and_spread([one["test"][way] for one in fits]) for way in WAYS]
        lines.append(f"| {name} | {arm} | {len(fits)} | {kept} | " + " | ".join(cells) + " |")
    lines += ["", "| set | identity against attention, % | " + " | ".join(WAYS) + " |", "|---" * (2 + len(WAYS)) + "|"]
    for name in dict.fromkeys(one["set"] for one in found):
        raw = {one["seed"]: one["test"] for one in by_arm[name, "attention"]}
        pairs = [(raw[one["seed"]], one["test"]) for one in by_arm[name, "identity"] if one["seed"] in raw]
        cells = [_mean_and_spread([100 * (b[way] / a[way] - 1) for a, b in pairs], 3) for way in WAYS]
        lines.append(f"| {name} | {len(pairs)} pairs of seeds | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean_and_spread(values: list[float], digits: int = 4) -> str:
    if not values:
        return "not run"
    spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}g}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--sets", nargs="*", default=[name for name, *_ in SETS])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started, kept = time.monotonic(), RESULTS / "averaging.json"
    found = json.loads(kept.read_text()) if kept.exists() else []
    done = {(one["set"], one["arm"], one["seed"]) for one in found}
    for seed in range(arguments.seeds):
        for name, lookback, horizon in SETS:
            for arm in ARMS:
                left = name in arguments.sets and (name, arm, seed) not in done
                if left and time.monotonic() - started < 60 * arguments.minutes:
                    found.append(fit(name, lookback, horizon, arm, seed))
                    kept.write_text(json.dumps(found, indent=1) + "\n")
    about = (
        f"`python benchmarks/averaging.py` on {platform.machine()}, one thread; Python {platform.python_version()}, "
        f"torch {torch.__version__}; load average {os.getloadavg()[0]:.1f} at the end.\n\nTest MSE (standardised "
        "units, every fourth window), mean over seeds ± standard deviation between seeds."
    )
    (RESULTS / "averaging.md").write_text(f"# Weight averaging\n\n{about}\n\n{table(found)}\n")


if __name__ == "__main__":
    main()
