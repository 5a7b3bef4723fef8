"""`forecheck.fit`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forecheck.forecasting.candidates import FORECAST_CANDIDATES
from forecheck.forecasting.combined import Combined
from forecheck.forecasting.fit import run_fit
from forecheck.forecasting.fitted import Fitted
from forecheck.forecasting.saved import check_place, save_fit
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol
from forecheck.verbs.common import Names, Options, Shown, as_panel, levels, means_of, several


def fit(
    data: Any,
    *,
    horizon: int,
    model: str = "auto",
    level: float | Sequence[float] = (),
    lookback: int | None = None,
    split: str | None = None,
    candidates: Names = FORECAST_CANDIDATES,
    margin: float = 0.01,
    period: int | None = None,
    options: Options | None = None,
    refit: bool = True,
    known: Names = (),
    static: Names = (),
    calendar: Names = (),
    future: Any = None,
    past: Names = (),
    output: Path | str | None = None,
    workers: Workers = None,
    device: str = "cpu",
    store: Path | str | None = None,
    progress: Shown = False,
) -> Fitted | Combined:
    """Fit a model once, for forecasts later, `forecast(data, model_dir=FOLDER)`; see `forecheck.forecasting.fit`.

    Args:
        data: a panel, a named set, a file or a frame.
        horizon: H, steps to forecast.
        model: name of a forecaster, `combination`, or `auto`.
        level: coverages in percent that must be there, beside 1, 2, ..., 99 as far as the data have enough windows.
        lookback: L, steps of input of forecasters of windows; None for each model's own, as far as the data allow.
        split: the parts on which forecasters of windows are fitted, chosen and calibrated: `70/10/20`, `8640+2880+2880`
            or two dates; None for the data's standard split.
        candidates: what `auto` chooses from.
        margin: relative difference of loss below which `auto` counts two forecasters as equal.
        period: steps a season; None for that of the data's frequency.
        options: by forecaster, options that differ from the defaults.
        refit: whether closed-form models are refitted on all rows once their options are chosen.
        known: columns that are known for the steps after the end, as `forecheck.load` takes them and the next ones. A
            panel has its own. They are used if rolling origins say that they help.
        static: columns that say what a series is.
        calendar: features of the stamps.
        future: the steps after the end, a file or a frame; else they are rows with empty targets.
        output: folder to save the fit in; an earlier fit there is replaced.
        workers: processes, None for one a core, 0 for none; or a Ray cluster, `forecheck.Ray("auto")`.
        device: where networks are computed: auto, cpu, cuda, cuda:1 or mps. Results are kept by kind of device.
        store: folder of results, or a URL; None for the user's cache.
        progress: True for a bar, or a function that is called with the share that is done and a word.

    Returns:
        The fit: `.info` on why this model, and `.forecaster` and `.widths` of the intervals unless it is a combination,
        which keeps nothing but its description and is made anew of the data that it forecasts.

    Raises:
        DataError: if the data cannot be used as they are, or have too few windows for a level.
        UsageError: if a name, option or level is wrong, or the folder holds something else.
    """
    if output is not None:
        check_place(Path(output))
    panel = as_panel(data, {"known": known, "static": static, "calendar": calendar, "future": future, "past": past})
    protocol = Protocol(horizon, lookback, split, period=period, margin=margin)
    with means_of(workers, store, progress, device=device) as means:
        fitted = run_fit(
            panel,
            protocol,
            means,
            model=model,
            candidates=several(candidates),
            levels=levels(level),
            every_percent=True,
            options=options,
            refit=refit,
        )
    if output is not None:
        save_fit(fitted, Path(output))
    return fitted
