"""Models that are equal by construction, or nearly, must come out as no difference; and how much data that takes."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.calibration.context import Context
from forecheck.calibration.decisions import BLOCKS, MARGIN, STRETCHES, equivalence_power
from forecheck.calibration.negative import TINY, compare_fits, fits, season_experiment
from forecheck.calibration.result import Check, Part, Table, percent
from forecheck.data.windows import Experiment
from forecheck.forecasters import registry
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.feedforward import FeedForward
from forecheck.trials.run import blind
from forecheck.trials.score import score
from forecheck.trials.store import Result

SEEDS = 3
NEAR = 0.001
"""Relative excess loss of the nearly equal model."""
_FOUND, _NEARLY = 1.0, 0.95


class WithBranch(nn.Module):
    """A network with a frozen branch that adds nothing.

    Args:
        base: the network.
        lookback: steps of input.
        horizon: steps of its forecast.
    """

    def __init__(self, base: nn.Module, lookback: int, horizon: int) -> None:
        super().__init__()
        self.base = base
        self.branch = nn.Linear(lookback, horizon).requires_grad_(requires_grad=False)
        nn.init.zeros_(self.branch.weight)
        nn.init.zeros_(self.branch.bias)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The network's forecast plus that of the branch."""
        forecast: Tensor = self.base(x) + self.branch(x.mT).mT
        return forecast


class WithNoise(nn.Module):
    """A network whose forecasts get noise of a given variance, the same at every pass over the windows."""

    def __init__(self, base: nn.Module, variance: float) -> None:
        super().__init__()
        self.base = base
        self.scale = variance**0.5
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The forecast and noise."""
        y: Tensor = self.base(x)
        return y + self.scale * torch.randn(y.shape, generator=self.generator)


def _permuted(model: NeuralForecaster, _experiment: Experiment, _result: Result) -> None:
    """Put the hidden units of every feed-forward part into another order."""
    for part in model.module.modules():
        if isinstance(part, FeedForward):
            order = torch.randperm(part.inner.out_features, generator=torch.Generator().manual_seed(0))
            with torch.no_grad():
                part.inner.weight.copy_(part.inner.weight[order])
                part.inner.bias.copy_(part.inner.bias[order])
                part.outer.weight.copy_(part.outer.weight[:, order])


def _branched(model: NeuralForecaster, _experiment: Experiment, _result: Result) -> None:
    """Add a frozen branch of zeros."""
    model.module = WithBranch(model.module, model.task.lookback, model.task.horizon)


def _same(_model: NeuralForecaster, _experiment: Experiment, _result: Result) -> None:
    """Nothing: the saved weights under another name."""


def _refitted(model: NeuralForecaster, experiment: Experiment, result: Result) -> None:
    """Train once more with the same seed."""
    train, validation = blind(experiment)
    again = type(model)(model.task, model.config)
    again.fit(train, validation, result.trial.seed)
    model.module = again.module


def _nearly(model: NeuralForecaster, _experiment: Experiment, result: Result) -> None:
    """Add as much noise to the forecasts as makes the expected loss 0.1 % larger."""
    model.module = WithNoise(model.module, NEAR * float(result.summary["mse"]))


Variant = Callable[[NeuralForecaster, Experiment, Result], None]
VARIANTS: dict[str, Variant] = {
    "the same weights under another name": _same,
    "trained again with the same seed": _refitted,
    "hidden units in another order": _permuted,
    "a frozen branch of zeros added": _branched,
    "loss + 0.1 %": _nearly,
}


def _rescored(result: Result, experiment: Experiment, variant: Variant) -> Result:
    """The result of a fit whose model was changed by `variant`."""
    model = registry.load(result.folder / "model")
    assert isinstance(model, NeuralForecaster)
    model.module = copy.deepcopy(model.module)
    variant(model, experiment, result)
    return replace(result, arrays={"mse": score(model, experiment.test).mse})


def _repetition(experiment: Experiment, results: list[Result]) -> dict[str, Any]:
    return {
        name: compare_fits(experiment, results, [_rescored(result, experiment, variant) for result in results])
        for name, variant in VARIANTS.items()
    }


def run_equivalence(context: Context) -> Part:
    """Equal models on several panels, and the power of the equivalence test against sample size."""
    count = context.scale.equivalence
    experiments = [season_experiment(index) for index in range(count)]
    # Seeds of the negative control, whose fits can be used again.
    planned = [fits(one, TINY, range(6 * index, 6 * index + SEEDS)) for index, one in enumerate(experiments)]
    for experiment in experiments:
        context.means.store.put_panel(experiment.panel)
    context.means([trial for trials in planned for trial in trials])
    total, found = count + len(BLOCKS) * len(STRETCHES), []
    for index, (experiment, trials) in enumerate(zip(experiments, planned, strict=True)):
        context.report("equivalence", index, total)
        results = [context.means.store.need(trial) for trial in trials]
        key: dict[str, Any] = {
            "part": "equivalence",
            "trials": [trial.address for trial in trials],
            "variants": list(VARIANTS),
        }
        found.append(context.once(key, partial(_repetition, experiment, results)))
    power: dict[tuple[int, float], float] = {}
    repeats = context.scale.decisions
    for blocks in BLOCKS:
        for stretch in STRETCHES:
            context.report("equivalence", count + len(power), total)
            key = {"part": "power", "blocks": blocks, "stretch": stretch, "repeats": repeats}
            hits = context.once(key, partial(equivalence_power, blocks, stretch, repeats))
            power[blocks, stretch] = hits / repeats
    context.report("equivalence", total, total)
    return describe(found, power)


def describe(found: list[dict[str, Any]], power: dict[tuple[int, float], float]) -> Part:
    """Checks of every variant, and the table of power."""
    checks, rows = [], []
    for name in VARIANTS:
        said = {
            question: Counter(one[name][question]["outcome"] for one in found)
            for question in ("architecture", "checkpoint")
        }
        bound = _NEARLY if name == "loss + 0.1 %" else _FOUND
        hits = said["architecture"]["no difference"]
        checks.append(Check.share(f"no difference: {name}", hits, len(found), bound, above=True))
        effects = [one[name]["architecture"]["effect"] for one in found]
        same_of_these = percent(said["checkpoint"]["no difference"] / len(found))
        rows.append([name, f"{100 * min(effects):+.4f} to {100 * max(effects):+.4f} %", same_of_these])
    columns = ("second model", "effects", "no difference, asked of these fits")
    tables = [
        Table("Equal models", columns, rows),
        Table(
            "Power: how often equal losses are found equivalent",
            ("n/H", *(f"{stretch:g}" for stretch in STRETCHES)),
            [[str(blocks), *(percent(power[blocks, stretch]) for stretch in STRETCHES)] for blocks in BLOCKS],
            "Columns: standard deviation of the mean loss difference over H windows, as a multiple of the margin "
            f"({100 * MARGIN:g} % of the loss). ETTh1 at horizon 96 has n/H = 29.",
        ),
    ]
    return Part("equivalence", "Equivalence: equal models", _ABOUT, checks, tables)


_ABOUT = (
    f"A small PatchTST is trained with {SEEDS} seeds on fresh panels, and the same fits, changed so that nothing or "
    "next to nothing changes, stand in for the replaced arm. The verdict must be *no difference* (TOST at 5 %, margin "
    "1 %)."
)
