"""`forecheck.prune`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from forecheck.errors import UsageError
from forecheck.forecasters.calling import named_call
from forecheck.forecasters.external import Wrap
from forecheck.forecasting.pruned import PrunedForecaster, run_prune
from forecheck.forecasting.saved import check_place, load_fit, save_fit
from forecheck.sparsity.elsa import Penalty, Projection, Schedule
from forecheck.sparsity.masks import Scope, check_sparsity
from forecheck.sparsity.methods import Goal
from forecheck.sparsity.parts import Kind
from forecheck.sparsity.prune import Steps
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol, whole
from forecheck.verbs.common import Options, Shown, as_panel, means_of

MethodName = Literal["elsa", "gradual-magnitude", "magnitude", "wanda"] | str  # noqa: PYI051  editors offer the names


def prune(
    data: Any,
    *,
    horizon: int | None = None,
    model: Any = "patchtst",
    model_dir: Path | str | None = None,
    sparsity: float = 0.9,
    method: MethodName = "elsa",
    scope: Scope | None = None,
    pattern: tuple[int, int] | Kind | None = None,
    ignore: Sequence[str] = (),
    steps: int = 1024,
    lr: float = 3e-3,
    strength: float = 0.1,
    schedule: Schedule = "cosine",
    projection: Projection = "plain",
    interval: int = 32,
    low_memory: bool = False,
    seed: int = 0,
    lookback: int | None = None,
    split: str | None = None,
    margin: float = 0.01,
    period: int | None = None,
    options: Options | None = None,
    wrap: str | Wrap | None = None,
    output: Path | str | None = None,
    workers: Workers = None,
    device: str = "cpu",
    store: Path | str | None = None,
    progress: Shown = False,
) -> PrunedForecaster:
    """Prune a trained forecaster, and say what it costs and what it gains.

    Args:
        data: a panel, a named set, a file or a frame.
        horizon: steps to forecast; None for those of a saved fit.
        model: name of a forecaster that is trained, which it is if the store does not have it yet; or an `nn.Module`
            that takes windows (batch, lookback, channel) in standardised units, of which a copy is pruned.
        model_dir: folder of a saved fit that is pruned instead of `model`. Scales, horizon and lookback are those of
            the fit, and so is the split, if none is given; the folder stays as it is unless it is `output` as well.
        sparsity: share of the prunable weights that become zero, in [0, 1).
        method: `elsa` (Lee et al. 2026, arXiv 2510.01650), `gradual-magnitude` (Zhu & Gupta 2018), or one-shot
            `magnitude` or `wanda` with training under the mask; without where `steps` is 0.
        scope: compare weights within a `layer` or over all, `global`; None for what suits the method.
        pattern: n and m, to keep n of every m inputs instead of a share; or `heads` or `units`, to prune whole
            attention heads, or whole hidden units between two linear maps, of which `sparsity` is then the share.
        ignore: names of parameters or modules to leave alone, with `*` and `?`.
        steps: of Adam, with a learning rate that falls linearly to zero.
        lr: learning rate at first.
        strength: of ELSA's pull to sparse weights, lambda.
        schedule: of lambda.
        projection: of ELSA: weighs by Adam's second moments (`aware`), or not (`plain`).
        interval: steps between two projections or masks.
        low_memory: keep ELSA's copies in 8 and 16 bits.
        seed: of the order of windows, and of dropout.
        lookback: steps of input; None for those of the forecaster.
        split: `70/10/20`, `8640+2880+2880` or two dates; None for that of a saved fit, or the data's standard split.
        margin: relative difference of test MSE below which dense and pruned count as equal.
        period: steps a season; None for that of the data.
        options: by forecaster, options that differ from the defaults.
        wrap: `wrap(model, x)` or `wrap(model, x, times)` gives the forecast of windows x, for networks of your own that
            are called otherwise, as in `audit`; `tslib` for models of Time-Series-Library.
        output: folder to save the pruned fit in, for `forecast(model_dir=...)`.
        workers: processes, None for one a core, 0 for none; or a Ray cluster, `forecheck.Ray("auto")`.
        device: where networks are computed: auto, cpu, cuda, cuda:1 or mps. Results are kept by kind of device.
        store: folder of results, or a URL; None for the user's cache.
        progress: True for a bar, or a function that is called with the share that is done and a word.

    Returns:
        The pruned forecaster: `.info`, `.module`, `.masks`, and `.fitted` for forecasts. Heads and units that became
        zero are taken out of the network where it then forecasts the same, which is checked.

    Raises:
        UsageError: if there is nothing to prune, or what is asked for cannot be.
    """
    check_sparsity(sparsity)
    if model_dir is None and not isinstance(model, str | nn.Module):
        raise UsageError(
            f"{type(model).__name__} is no network",
            "Give a torch.nn.Module, as the one inside it, or the name of a forecaster.",
        )
    if wrap is not None and (model_dir is not None or isinstance(model, str)):
        raise UsageError("wrap is for networks of your own, and other models are called without it", "Leave it out.")
    if output is not None:
        if model_dir is None and not isinstance(model, str):
            raise UsageError("only forecasters by name are saved", "Save the returned module by your own means.")
        check_place(Path(output))
    formats: Any = ("fp8", "bf16") if low_memory else ("fp32", "fp32")
    goal = Goal(sparsity, scope, pattern, steps, interval, Penalty(strength, schedule), projection, formats)
    if model_dir is None and horizon is None:
        raise UsageError("say how many steps to forecast (--horizon), or name a saved fit (--model-dir)")
    if model_dir is not None:
        horizon = load_fit(Path(model_dir)).horizon if horizon is None else horizon
        model = Path(model_dir)
    protocol = Protocol(whole("horizon", horizon), lookback, split, period=period, margin=margin)
    with means_of(workers, store, progress, device=device) as means:
        pruned = run_prune(
            as_panel(data),
            protocol,
            means,
            model,
            goal,
            method=method,
            training=Steps(steps, lr, seed=seed),
            ignore=ignore,
            options=options,
            wrap=named_call(wrap),
        )
    if output is not None and pruned.fitted is not None:
        save_fit(pruned.fitted, Path(output))
    return pruned
