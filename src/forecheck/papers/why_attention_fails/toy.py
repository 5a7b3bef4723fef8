"""What is measured on the event set: what is learnt with attention and without, and where attention looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from forecheck.attention.replace import Replace
from forecheck.attention.sites import attach
from forecheck.data.panel import Panel
from forecheck.data.synthetic import events, recall
from forecheck.data.synthetic.event_errors import event_errors
from forecheck.data.windows import Experiment as Cut
from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.seeding import initialise
from forecheck.papers.experiment import Bench, Experiment
from forecheck.probes.patterns import PatternSums
from forecheck.trials.engines.base import Silent
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.trial import Trial

PATCH = 16
RANKS = 4
"""Events that nearly every window holds whole, counted from its end."""
EMBEDDINGS = ("linear", "mlp", "conv")
CODES = ("vq", "vq-residual", "vq-tokens")
_RECIPE = {"dropout": 0.0, "batch": 32, "schedule": "onecycle", "lr": 2e-2, "patience": 1000}
_SIZES = {"patch": PATCH, "width": 32, "heads": 4, "hidden": 64}
_PATCHTST = {"stride": PATCH, "padding": False, "norm": "layer", "residual_scores": False}
_FIRST_STAGE = {"vq_codes": 256, "vq_width": 64, "vq_batch": 2048}
_RECALL = _RECIPE | {"layers": 1, "epochs": 10, "lr": 1e-2}
_PATTERNS = 400


def references(bench: Bench, windows: int, seed: int) -> dict[str, Any]:
    """Errors by what is known of the states, learnt on as many other windows.

    Args:
        bench: not needed.
        windows: that forecasts are fitted to, and as many others that errors are averaged over.
        seed: of the data.
    """
    del bench
    found = event_errors(np.arange(windows), np.arange(windows, 2 * windows), seed)
    return {"errors": {name: float(each.mean()) for name, each in found.items()}}


def learnt(
    bench: Bench, seed: int, windows: int, epochs: int, layers: int, embedding: str, arm: str, updates: int = 0
) -> dict[str, Any]:
    """A forecaster trained on the event set, with attention (raw) or with its pattern replaced before training.

    Args:
        bench: its store holds the trials; reports progress.
        seed: of data and fit.
        windows: in all, of which 70 % are for training.
        epochs: of training.
        layers: of the forecaster.
        embedding: of patches, one of `EMBEDDINGS` or `CODES`.
        arm: `raw`, or a mode of `Replace`.
        updates: steps of the first stage, which learns the codes; only with `CODES`.

    Returns:
        `error` on the test windows in the data's units, those of the references on the same windows, and the `share`
        of the achievable gain; for a raw fit the errors after its attention was replaced, and where it looks.
    """
    panel = events.events(windows, seed)
    bench.store.put_panel(panel)
    trial = trial_of(panel, seed, epochs, layers, embedding, arm, updates)
    modes = ("identity", "mean") if arm == "raw" and embedding != "vq-tokens" else ()
    replaced = {mode: _edited(trial, mode, posthoc=True) for mode in modes}
    run_inline([trial, *replaced.values()], bench.store, _Told(bench))
    experiment, test, errors = _known(panel, windows, seed)
    result = bench.store.need(trial)
    error = result.summary["mse_real"]
    found: dict[str, Any] = {
        "error": error,
        "references": errors,
        "share": gain(error, errors),
        "share of the last event": gain(errors["last event"], errors),
        "parameters": result.summary["fit"]["parameters"],
        "codes": result.summary["fit"]["details"].get("vq"),
        "edited": {mode: bench.store.need(each).summary["mse_real"] for mode, each in replaced.items()},
    }
    if modes:
        trained = registry.load(result.folder / "model")
        assert isinstance(trained, NeuralForecaster)
        x, _ = experiment.test.gather(slice(0, _PATTERNS))
        index = test[:_PATTERNS]
        found["looks"] = looks(trained.module, x, index, seed)
        found["looks untrained"] = looks(untrained(trial), x, index, seed)
    return found


def linear(bench: Bench, seed: int, windows: int) -> dict[str, Any]:
    """The closed-form linear forecaster on the same windows.

    Args:
        bench: its store holds the trial.
        seed: of the data.
        windows: in all, of which 70 % are for training.

    Returns:
        Its `error`, and the `share` of the achievable gain.
    """
    panel = events.events(windows, seed)
    bench.store.put_panel(panel)
    trial = _trial(panel, "linear", {}, seed)
    run_inline([trial], bench.store)
    _, _, errors = _known(panel, windows, seed)
    error = bench.store.need(trial).summary["mse_real"]
    return {"error": error, "share": gain(error, errors)}


def recalled(bench: Bench, seed: int, windows: int, arm: str) -> dict[str, Any]:
    """The same model where the target repeats a patch that only a cue tells: attention is needed.

    Args:
        bench: its store holds the trial; reports progress.
        seed: of data and fit.
        windows: blocks of the series.
        arm: `raw`, or a mode of `Replace`.

    Returns:
        The `error` on standardised test windows.
    """
    panel = recall.recall(windows, seed)
    bench.store.put_panel(panel)
    options = _RECALL | _SIZES | _PATCHTST
    lengths = {"lookback": 4 * recall.BLOCK, "horizon": recall.BLOCK, "step": recall.BLOCK}
    trial = _edited(_trial(panel, "patchtst", options, seed, **lengths), arm)
    run_inline([trial], bench.store, _Told(bench))
    return {"error": bench.store.need(trial).summary["mse"]}


def _known(panel: Panel, windows: int, seed: int) -> tuple[Cut, np.ndarray[Any, np.dtype[np.int64]], dict[str, float]]:
    """The panel's windows, the numbers of the test windows, and the references' errors on these."""
    cut = prepare(panel, events.LOOKBACK, events.HORIZON, step=events.BLOCK)
    test = windows + 1 - len(cut.test) + np.arange(len(cut.test))
    known = event_errors(np.arange(1, len(cut.train) + 1), test, seed)
    return cut, test, {name: float(each.mean()) for name, each in known.items()}


def gain(error: float, errors: Mapping[str, float]) -> float:
    r"""Share of the achievable gain, :math:`(E_{avg} - E) / (E_{avg} - E_{opt})`: 0 for the average event."""
    return (errors["average event"] - error) / (errors["average event"] - errors["chain"])


def trial_of(panel: Panel, seed: int, epochs: int, layers: int, embedding: str, arm: str, updates: int) -> Trial:
    """The fit of a forecaster on the event set.

    Args:
        panel: the event set.
        seed: of the fit.
        epochs: of training.
        layers: of the forecaster.
        embedding: of patches, one of `EMBEDDINGS` or `CODES`.
        arm: `raw`, or a mode of `Replace`.
        updates: steps of the first stage, which learns the codes; only with `CODES`.
    """
    options: dict[str, Any] = _RECIPE | _SIZES | {"epochs": epochs, "layers": layers}
    if embedding.startswith("vq"):
        options |= _FIRST_STAGE | {"vq_updates": updates}
    if embedding == "vq-tokens":
        return _edited(_trial(panel, "vq-tokens", options, seed), arm)
    name = "vq-patchtst" if embedding.startswith("vq") else "patchtst"
    return _edited(_trial(panel, name, options | _PATCHTST | {"embedding": embedding}, seed), arm)


def _trial(
    panel: Panel,
    name: str,
    options: Mapping[str, Any],
    seed: int,
    lookback: int = events.LOOKBACK,
    horizon: int = events.HORIZON,
    step: int = events.BLOCK,
) -> Trial:
    config = asdict(registry.create(name, Task(lookback, horizon, 1), options).config)
    return Trial(panel.fingerprint, panel.split, lookback, horizon, name, config, step=step, seed=seed)


def untrained(trial: Trial) -> nn.Module:
    """The network that a fit starts from."""
    forecaster = registry.create(trial.forecaster, Task(trial.lookback, trial.horizon, 1), trial.config)
    assert isinstance(forecaster, NeuralForecaster)
    initialise(forecaster.module, trial.seed)
    return forecaster.module


def _edited(trial: Trial, mode: str, *, posthoc: bool = False) -> Trial:
    """With attention replaced before training, or in the trained model; `raw` leaves it as it is."""
    if mode == "raw":
        return trial
    edit = Replace(mode=mode).to_dict()  # type: ignore[arg-type]
    return replace(trial, edit=edit, posthoc=posthoc)


@torch.no_grad()
def looks(
    module: nn.Module, x: Float[Tensor, "window lookback 1"], index: Int[np.ndarray, " window"], seed: int
) -> list[dict[str, Any]]:
    r"""By layer, the weight on patches that hold an event against that on patches without any.

    Weights are times T, so 1 is uniform; means over windows and queries.

    Args:
        module: the network.
        x: windows, standardised as it reads them.
        index: their numbers in the event set.
        seed: of the event set.

    Returns:
        `by rank`, on the patch of the last, last but one, ... event; `others`, on patches without event; `ratio` of
        the mean event patch to the mean other one, over all heads, and `heads`, of every head by itself; `from
        events`, the ratio for queries that hold an event themselves, without the weight on themselves; `variation`,
        total variation of rows to uniform, and `content`, see `PatternSums`.
    """
    events_at, without = marks(index, seed, x.shape[1] // PATCH)
    found: list[dict[str, Any]] = []
    with attach(module, x) as attached:
        sums = [PatternSums(site) for site in attached.sites]
        patterns: list[list[Tensor]] = [[] for _ in attached.sites]
        for site, total, kept in zip(attached.sites, sums, patterns, strict=True):
            site.observe(_keeper(total, kept))
        attached(x)
    for total, kept in zip(sums, patterns, strict=True):
        weights = torch.cat(kept).double() * without.shape[1]  # (window, head, query, key)
        received = weights.mean(dim=2)  # (window, head, key)
        on_events = torch.stack([_mean(received, mask) for mask in events_at])  # (rank, head)
        any_event = events_at.any(dim=0)
        on_all, on_others = _mean(received, any_event), _mean(received, without)
        among = any_event[:, :, None] & any_event[:, None] & ~torch.eye(without.shape[1], dtype=torch.bool)
        beside = any_event[:, :, None] & without[:, None]
        pairs = [(weights * mask[:, None]).sum() / mask.sum() / weights.shape[1] for mask in (among, beside)]
        summary = total.summary()
        found.append(
            {
                "by rank": on_events.mean(dim=1).tolist(),
                "others": float(on_others.mean()),
                "ratio": float(on_all.mean() / on_others.mean()),
                "heads": (on_all / on_others).tolist(),
                "from events": float(pairs[0] / pairs[1]),
                "variation": summary["total_variation"],
                "content": summary["content_share"],
            }
        )
    return found


def _keeper(total: PatternSums, kept: list[Tensor]) -> Callable[[Tensor], None]:
    """Hands patterns to both."""

    def keep(weights: Tensor) -> None:
        total.add(weights)
        kept.append(weights)

    return keep


def marks(
    index: Int[np.ndarray, " window"], seed: int, patches: int
) -> tuple[Bool[Tensor, "rank window patch"], Bool[Tensor, "window patch"]]:
    """Patches that hold the middle of a whole, visible event, by its rank from the end; and those without any event.

    An event of height 0.02 is not visible; its patches are in neither class, nor are those that hold an edge alone.

    Args:
        index: numbers of windows in the event set.
        seed: of the event set.
        patches: of a window, end to end from its first step.
    """
    states, starts, _ = events.event_states(index, seed)
    rows = np.arange(len(index))
    whole = (starts >= 0) & (starts + len(events.TRIANGLE) <= events.LOOKBACK)
    last = (starts + len(events.TRIANGLE) <= events.LOOKBACK).sum(axis=1) - 1
    at = np.zeros((RANKS, len(index), patches), dtype=bool)
    for rank in range(RANKS):
        event = last - rank
        good = whole[rows, event] & (np.abs(events.STATES[states[rows, event]]) > 0.1)
        at[rank, rows[good], (starts[rows, event][good] + len(events.TRIANGLE) // 2) // PATCH] = True
    first = PATCH * np.arange(patches)
    # Its first and last step are zero.
    touched = (starts[..., None] + len(events.TRIANGLE) - 2 >= first) & (starts[..., None] + 1 < first + PATCH)
    return torch.from_numpy(at), torch.from_numpy(~touched.any(axis=1))


def _mean(received: Float[Tensor, "window head patch"], mask: Bool[Tensor, "window patch"]) -> Float[Tensor, " head"]:
    return (received * mask[:, None]).sum(dim=(0, 2)) / mask.sum()


class _Told(Silent):
    """Hands a trial's progress to the bench."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def progressed(self, trial: Trial, fraction: float, word: str) -> None:
        """A trial got so far; post-hoc trials take little."""
        if not trial.posthoc:
            self._bench.progress(fraction, word)


_QUICK = {"windows": 6000, "epochs": 8}
_FULL = {"windows": 10_000, "epochs": 10}
_SEEDS, _MORE_SEEDS = range(3), range(4)
REFERENCES = Experiment("references", references, [{"windows": 20_000, "seed": seed} for seed in range(5)])
LINEAR = Experiment(
    "linear",
    linear,
    [{"windows": _QUICK["windows"], "seed": seed} for seed in _SEEDS],
    [{"windows": _FULL["windows"], "seed": seed} for seed in _MORE_SEEDS],
)
RETRAINED = Experiment(
    "retrained",
    learnt,
    [
        {"seed": seed, "layers": 1, "embedding": "linear", "arm": arm} | _QUICK
        for arm in ("raw", "mean")
        for seed in _SEEDS
    ],
    [
        {"seed": seed, "layers": 1, "embedding": "linear", "arm": arm} | _FULL
        for arm in ("raw", "mean", "identity", "fixed")
        for seed in _MORE_SEEDS
    ],
)
STACKED = Experiment(
    "stacked",
    learnt,
    [
        {"seed": seed, "layers": 3, "embedding": "linear", "arm": arm} | _QUICK
        for arm in ("raw", "mean")
        for seed in _SEEDS
    ],
    [
        {"seed": seed, "layers": 3, "embedding": "linear", "arm": arm} | _FULL
        for arm in ("raw", "mean")
        for seed in _MORE_SEEDS
    ],
)
EMBEDDED = Experiment(
    "embedded",
    learnt,
    [
        {"seed": seed, "layers": 1, "embedding": "mlp", "arm": arm} | _QUICK
        for arm in ("raw", "mean")
        for seed in _SEEDS
    ],
    [
        {"seed": seed, "layers": 1, "embedding": embedding, "arm": arm} | _FULL
        for embedding in ("mlp", "conv")
        for arm in ("raw", "mean")
        for seed in _SEEDS
    ],
)
CODED = Experiment(
    "coded",
    learnt,
    [
        {"seed": seed, "layers": 1, "embedding": "vq", "arm": arm, "updates": 200} | _QUICK
        for arm in ("raw", "mean")
        for seed in _SEEDS
    ],
    [
        {"seed": seed, "layers": 1, "embedding": embedding, "arm": arm, "updates": 500} | _FULL
        for embedding in CODES
        for arm in ("raw", "mean")
        for seed in _SEEDS
    ],
)
RECALLED = Experiment(
    "recalled",
    recalled,
    [{"seed": seed, "windows": 3000, "arm": arm} for arm in ("raw", "mean") for seed in _SEEDS],
    [{"seed": seed, "windows": 8000, "arm": arm} for arm in ("raw", "mean") for seed in _MORE_SEEDS],
)
