"""Prune a trained forecaster on its own windows, and say what it costs and gains."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from forecheck.data.panel import Panel
from forecheck.data.windows import Experiment
from forecheck.devices import kind_of
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.external import Wrap
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.packed import pack
from forecheck.forecasting.backtest import plan
from forecheck.forecasting.beside import check_uses
from forecheck.forecasting.external_network import bare, trainable
from forecheck.forecasting.fit import calibrated_widths
from forecheck.forecasting.fitted import Fitted
from forecheck.forecasting.saved_network import saved_network
from forecheck.forecasting.selection import own_lookbacks
from forecheck.nn.placed import place
from forecheck.outputs import write_output
from forecheck.sparsity.methods import Goal
from forecheck.sparsity.prunable import head_of, prunable
from forecheck.sparsity.prune import CONVERGED, Pruned, Steps, describe, prune_network
from forecheck.sparsity.removal import Removal, remove_dead
from forecheck.sparsity.sizes import bytes_of, timed, weights_of
from forecheck.sparsity.windows import batches_of
from forecheck.statistics.inference import AS_FORECASTER, compare
from forecheck.statistics.metrics import loss_by_time
from forecheck.training.loop import mean_squared_error, training_loss
from forecheck.trials.describe import describe_protocol, header
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.record import Key
from forecheck.trials.score import score

_BATCH = 64
_PERCENTS = range(1, 100)
_TIMED = 32
"""Windows at a time."""


@dataclass(frozen=True, eq=False)
class PrunedForecaster:
    """A forecaster with fewer weights.

    Attributes:
        module: its network, without the heads and hidden units that became zero.
        fitted: the fit, with intervals calibrated anew, to save and forecast with; None for a network of one's own.
        masks: by name of a weight, where weights stayed, in the shapes before heads and units were taken out.
        info: what was pruned, and what it costs and gains, as JSON types.
    """

    module: nn.Module
    fitted: Fitted | None
    masks: dict[str, Tensor]
    info: dict[str, Any]

    def __repr__(self) -> str:
        before, after = self.info["mse"]
        return (
            f"<PrunedForecaster {self.info['model']}: {100 * self.info['sparsity']:.1f} % of "
            f"{self.info['prunable']:,} weights are zero, test MSE {before:.4f} to {after:.4f}>"
        )

    def to_html(self, path: str | Path | None = None) -> str:
        """One offline HTML page: cost and gain, how it went, and where the zeros are. Also written to `path`."""
        from forecheck.reports.pruning_html import render

        page = render(self.info)
        if path is not None:
            write_output(path, page.encode())
        return page


@dataclass(frozen=True)
class _Network:
    """A network as a forecaster that can be scored."""

    module: nn.Module

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """The forecast of windows."""
        forecast: Tensor = self.module.eval()(x)
        return forecast


def run_prune(
    panel: Panel,
    protocol: Protocol,
    means: Means,
    model: str | nn.Module | Path,
    goal: Goal,
    *,
    method: str = "elsa",
    training: Steps,
    ignore: Sequence[str] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    wrap: Wrap | None = None,
) -> PrunedForecaster:
    """Prune a forecaster on training windows; what is kept is chosen on validation, and it is judged on test windows.

    A forecaster by name is trained first, unless the store has it. A saved fit keeps its scales, horizon and lookback.
    A network of one's own is copied in single precision; it has to take windows (batch, lookback, channel) in
    standardised units, or `wrap` has to call it with them.

    Args:
        panel: the data.
        protocol: horizon and split; lookback, for a network of one's own.
        means: engine and store; an interrupted run goes on from there.
        model: name of a forecaster that is trained, folder of a saved fit of one, or a network.
        goal: see `forecheck.sparsity.methods.Goal`.
        method: see `prune_network`.
        training: steps, and how they are made.
        ignore: see `forecheck.sparsity.prunable`.
        options: of the forecaster, by its name, where they differ from the defaults.
        wrap: how a network of one's own is called, see `forecheck.forecasters.external.external`.

    Raises:
        UsageError: if there is no network to prune, or what is asked for cannot be.
        DataError: see `forecheck.data.windows.prepare`.
    """
    dense, experiment, first, notes = _trained(panel, protocol, means, model, options or {})
    if first is None:
        dense, experiment = trainable(dense, experiment, protocol.season(panel), wrap, trained=training.count > 0)
    name = type(bare(dense)).__name__ if first is None else first.name
    dense, module = copy.deepcopy(dense), copy.deepcopy(dense)
    for network in (dense, module):
        place(network, means.device)
    train, validation = experiment.train.on(means.device), experiment.validation.on(means.device)
    batches = batches_of(train, getattr(getattr(first, "config", None), "batch", _BATCH), training.seed)
    key = _key(name, experiment, dense, goal, method, training, ignore, kind_of(means.device))
    found = prune_network(
        module,
        training_loss,
        batches,
        lambda network: mean_squared_error(network, validation),
        goal,
        method=method,
        training=training,
        ignore=ignore,
        checkpoint=means.store.state_of(key),
        progress=lambda done, _: means.watcher.part(f"pruning {name}", done * training.count, training.count),
    )
    means.store.forget(key)
    for network in (dense, module):  # judged where it will be used
        place(network, "cpu")
    masks = {weight: mask.cpu() for weight, mask in found.masks.items()}
    found.warnings.extend(notes)
    _, x, _ = next(iter(experiment.test.batches(_TIMED)))
    removal = remove_dead(module, x)
    info = header("prune") | {
        "model": name,
        "protocol": describe_protocol(experiment, [1, 0], 0.0),
        "method": method,
        "goal": asdict(goal),
        "training": asdict(training),
        **_pruned(found, x),
        **_gained(dense, removal, x),
        **_judged(_Network(dense), _Network(removal.model), experiment, protocol.margin),
    }
    if training.count and info["outcome"] == "better":
        how = " (--set epochs)" if isinstance(model, str) else ""
        info["warnings"].append(_TRAINED_ON.format(training.count, how))
    return PrunedForecaster(bare(removal.model), _fitted(first, removal, experiment, info), masks, info)


_TRAINED_ON = (
    "the pruned network was trained for {} more steps, the dense one was not: that it is better says the dense one "
    "needed more training, not that weights were in the way; train it longer{} and compare again"
)


def _trained(
    panel: Panel,
    protocol: Protocol,
    means: Means,
    model: str | nn.Module | Path,
    options: Mapping[str, Mapping[str, Any]],
) -> tuple[nn.Module, Experiment, NeuralForecaster | None, list[str]]:
    """The network, the windows it is for, the forecaster that it belongs to, if it has a name, and what to know."""
    if isinstance(model, Path):
        if options:
            raise UsageError("options have no effect on a saved fit", "Leave them out, or fit again.")
        saved, experiment, notes = saved_network(model, panel, protocol)
        means.store.put_panel(experiment.panel)
        return saved.module, experiment, saved, notes
    if isinstance(model, nn.Module):
        if protocol.lookback is None:
            raise UsageError("the lookback of a network of your own is not known", "Name it: lookback=96.")
        if options:
            raise UsageError("options are of forecasters by name; a network of your own has none here")
        check_uses(panel, type(model).__name__)
        return model, protocol.cut(panel), None, []
    if not issubclass(registry.find(model), NeuralForecaster):
        trained = [each.name for each in registry.all_forecasters() if issubclass(each, NeuralForecaster)]
        raise UsageError(f"{model} has no network to prune", f"Those that have one: {', '.join(trained)}.")
    check_uses(panel, model)
    own = own_lookbacks(panel, protocol.horizon, [model], protocol.lookback, protocol.split)
    experiment = protocol.cut(panel, own[model])
    (trial,) = plan(experiment, [model], options, 1, protocol.season(panel), own, device=means.device)[model]
    means.store.put_panel(panel)
    means([trial])
    first = registry.load(means.store.need(trial).folder / "model")
    assert isinstance(first, NeuralForecaster)
    return first.module, experiment, first, []


def _key(
    name: str,
    experiment: Experiment,
    dense: nn.Module,
    goal: Goal,
    method: str,
    training: Steps,
    ignore: Sequence[str],
    device: str,
) -> Key:
    """Of the state of an interrupted run: another network, other data, or another kind of device are another run."""
    digest = hashlib.sha256()
    for key, value in dense.state_dict().items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    described = describe(goal, method, training, ()) | {
        "model": name,
        "weights": digest.hexdigest(),
        "panel": experiment.panel.fingerprint,
        "split": experiment.split,
        "shape": [experiment.test.lookback, experiment.test.horizon],
        "ignore": list(ignore),
        "device": device,
    }
    return Key.of("checkpoint", f"pruning of {name}", described, "forecheck.sparsity.prune")


def _pruned(found: Pruned, x: Tensor) -> dict[str, Any]:
    """What was pruned, and how that went."""
    weights = found.prunable.weights
    head = head_of(found.model, prunable(found.model, frozen=True).weights, x)
    table = [
        {
            "weight": weight.name,
            "shape": list(weight.value.shape),
            "size": weight.size,
            "zero": int((weight.value == 0).sum()),
            "head": weight.name == head,
        }
        for weight in weights
    ]
    return {
        "sparsity": found.sparsity,
        "prunable": sum(weight.size for weight in weights),
        "weights": table,
        "left_out": found.prunable.left_out,
        "validation_mse": list(found.validation),
        "trace": found.trace,
        "converged": CONVERGED,
        "warnings": found.warnings,
    }


def _gained(dense: nn.Module, removal: Removal, x: Tensor) -> dict[str, Any]:
    """What became smaller or faster."""
    module = removal.model
    seconds = timed(_Network(dense).predict, _Network(module).predict, x)
    counts = [weights_of(dense), weights_of(module)]
    return {
        "removed": removal.removed,
        "stays": removal.notes,
        "parameters": [each["parameters"] for each in counts],
        "nonzero": [each["nonzero"] for each in counts],
        "bytes": [bytes_of(dense.state_dict()), bytes_of(pack(module.state_dict()))],
        "windows_timed": len(x),
        "milliseconds": [1000 * seconds.before[0], 1000 * seconds.after[0]],
        "milliseconds_intervals": [[1000 * each for each in one[1:]] for one in (seconds.before, seconds.after)],
        "speed": _speed(removal, seconds.ratio),
        "speed_up": {"ratio": seconds.ratio[0], "interval": list(seconds.ratio[1:])} if removal.removed else None,
    }


def _speed(removal: Removal, ratio: tuple[float, float, float]) -> str:
    """What is known of speed. Where nothing was taken out a difference of the seconds is one of the machine."""
    if not removal.removed:
        return "no speed-up: zeros that lie anywhere are multiplied like other numbers"
    middle, low, high = ratio
    said = f"{middle:.2f} times as fast [{low:.2f}, {high:.2f}] with what was taken out"
    return said if low > 1 else f"not shown to be faster: {said}"


def _judged(dense: _Network, pruned: _Network, experiment: Experiment, margin: float) -> dict[str, Any]:
    """Test losses before and after, compared."""
    scores = [score(each, experiment.test) for each in (dense, pruned)]
    times = experiment.panel.time[experiment.test.origins]
    before, after = (loss_by_time(each.mse, times) for each in scores)
    (found,) = compare([(after - before)[None]], float(before.mean()), experiment.test.overlap, margin=margin)
    return {
        "mse": [float(np.nanmean(each.mse)) for each in scores],
        "mae": [float(np.nanmean(each.mae)) for each in scores],
        "outcome": AS_FORECASTER[found.outcome],
        "effect": found.effect,
        "interval": list(found.interval),
        "margin": margin,
        "why": found.reason,
    }


def _fitted(
    first: NeuralForecaster | None, removal: Removal, experiment: Experiment, info: Mapping[str, Any]
) -> Fitted | None:
    """The fit of a forecaster by name, with intervals of the pruned network."""
    if first is None:
        return None
    first.resize(removal.sizes)
    first.module.load_state_dict(removal.model.state_dict())
    first.module.eval()
    panel = experiment.panel
    said = {
        "model": first.name,
        "rule": _rule(info),
        "lookback": experiment.test.lookback,
        "test_mse": info["mse"][1],
        "calibration_windows": len(experiment.test),
        "refitted": False,
        "split": experiment.split,
        "read": panel.described,
        "notes": list(info["warnings"]),
    }
    widths = calibrated_widths(first, experiment, list(_PERCENTS), set())
    origin = {"data": info["protocol"], "pruned": {key: info[key] for key in ("method", "goal", "training")}}
    return Fitted(first, experiment.scaler, panel.series, panel.channels, panel.frequency, widths, said, origin)


def _rule(info: Mapping[str, Any]) -> str:
    pattern = info["goal"]["pattern"]
    whole = f", whole {pattern}" if isinstance(pattern, str) else ""
    return f"pruned to {100 * info['sparsity']:.3g} % zeros by {info['method']}{whole}"
