"""`forecheck.forecast`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forecheck.data.panel import Panel
from forecheck.errors import UsageError
from forecheck.forecasting.beside import check_uses
from forecheck.forecasting.candidates import FORECAST_CANDIDATES
from forecheck.forecasting.combined import Combined
from forecheck.forecasting.forecast import Forecast, make_forecast, run_forecast
from forecheck.forecasting.saved import load_fit
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol, whole
from forecheck.verbs.common import Names, Options, Shown, as_panel, given, levels, means_of, several


def forecast(
    data: Any,
    *,
    horizon: int | None = None,
    model: str = "auto",
    model_dir: Path | str | None = None,
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
    integer: bool = False,
    workers: Workers = None,
    device: str = "cpu",
    store: Path | str | None = None,
    progress: Shown = False,
) -> Forecast:
    """Forecast with what works; see `forecheck.forecasting.fit.run_fit`.

    Args:
        data: a panel, a named set, a file or a frame; for a saved fit with the channels and the step of its data.
        horizon: H, steps to forecast; None for those of a saved fit.
        model: name of a forecaster, `combination`, or `auto`.
        model_dir: folder of a fit that was saved by `fit`. Nothing is fitted then, and horizon, lookback and all other
            choices are those of the fit.
        level: coverages of intervals in percent, one or several.
        lookback: L, steps of input of forecasters of windows; None for each model's own, as far as the data allow.
        split: the parts on which forecasters of windows are fitted, chosen and calibrated: `70/10/20`, `8640+2880+2880`
            or two dates; None for the data's standard split.
        candidates: what `auto` chooses from.
        margin: relative difference of loss below which `auto` counts two forecasters as equal.
        period: steps a season; None for that of the data's frequency.
        options: by forecaster, options that differ from the defaults.
        refit: whether closed-form models are refitted on all rows once their options are chosen.
        known: columns that are known for the steps after the end, as `forecheck.load` takes them and the next ones. A
            panel has its own, a saved fit names them. They are used if rolling origins say that they help.
        static: columns that say what a series is.
        calendar: features of the stamps.
        future: the steps after the end, a file or a frame; else they are rows with empty targets.
        past: columns that are known up to the end alone. They are used if rolling origins say that they help.
        integer: round forecasts and ends of intervals to whole numbers, of data that are such.
        workers: processes, None for one a core, 0 for none; or a Ray cluster, `forecheck.Ray("auto")`.
        device: where networks are computed: auto, cpu, cuda, cuda:1 or mps. Results are kept by kind of device.
        store: folder of results, or a URL; None for the user's cache.
        progress: True for a bar, or a function that is called with the share that is done and a word.

    Returns:
        A forecast: `.to_pandas()`, `.to_polars()`, `.to_arrow()`, `.write(path)`, and `.info` on why this model.

    Raises:
        DataError: if the data or the folder cannot be used as they are.
        UsageError: if the saved fit has another horizon or lacks a level; or neither horizon nor folder is given.
    """
    level = levels(level)
    horizon = None if horizon is None else whole("horizon", horizon)
    beside = {"known": known, "static": static, "calendar": calendar, "future": future, "past": past}
    if model_dir is not None:
        fitted = load_fit(Path(model_dir))
        if isinstance(fitted, Combined) and not isinstance(data, Panel) and not set(given(beside)) - {"future"}:
            beside |= fitted.asked
        panel = as_panel(data, beside)
        if not isinstance(fitted, Combined):
            check_uses(panel, fitted.forecaster.name)
        if horizon not in (None, fitted.horizon):
            raise UsageError(
                f"the fit in {model_dir} forecasts {fitted.horizon} steps, not {horizon}",
                "Leave the horizon out, or fit again.",
            )
        return make_forecast(fitted, panel, level, integer=integer)
    if horizon is None:
        raise UsageError("say how many steps to forecast (--horizon), or name a saved fit (--model-dir)")
    panel = as_panel(data, beside)
    protocol = Protocol(horizon, lookback, split, period=period, margin=margin)
    with means_of(workers, store, progress, device=device) as means:
        return run_forecast(
            panel,
            protocol,
            means,
            model=model,
            candidates=several(candidates),
            levels=level,
            options=options,
            refit=refit,
            integer=integer,
        )
