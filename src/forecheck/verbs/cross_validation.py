"""`forecheck.cross_validation`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forecheck.forecasting.crossed import CrossValidation, run_cross_validation
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol
from forecheck.verbs.common import Names, Options, Shown, as_panel, levels, means_of, several


def cross_validation(
    data: Any,
    models: Sequence[str] | None = None,
    *,
    horizon: int = 96,
    level: float | Sequence[float] = (),
    lookback: int | None = None,
    split: str | None = None,
    period: int | None = None,
    step: int = 1,
    refit: int | None = None,
    options: Options | None = None,
    known: Names = (),
    static: Names = (),
    calendar: Names = (),
    future: Any = None,
    past: Names = (),
    workers: Workers = None,
    device: str = "cpu",
    store: Path | str | None = None,
    progress: Shown = False,
) -> CrossValidation:
    """The forecasts that a backtest scores, beside what came, as a frame: `unique_id, ds, cutoff, y`, and the models.

    Args:
        data: a panel, a named set, a file or a frame. What `backtest` fitted on it is not fitted again.
        models: names of forecasters, or `library:model`; None for those that `auto` chooses from.
        horizon: H, steps to forecast.
        level: coverages of intervals in percent, one or several.
        lookback: L, steps of input of all models; None for each model's own, as far as the data allow.
        split: `70/10/20`, `8640+2880+2880` or two dates; None for the data's standard split.
        period: steps a season; None for that of the data's frequency.
        step: rows between two forecast origins (24: one forecast a day on hourly data).
        refit: rows of the test part after which models in closed form are refitted on all rows before, with what
            validation chose; None for never. Trained models are fitted once.
        options: by forecaster, options that differ from the defaults.
        known: columns that are known for the steps after the end, as `forecheck.load` takes them and the next ones. The
            combination uses them, with the true values of the horizon; other models see the channels alone,
            `combination:channels` among them.
        static: columns that say what a series is.
        calendar: features of the stamps.
        future: the steps after the end, a file or a frame; else they are rows with empty targets.
        workers: processes, None for one a core, 0 for none; or a Ray cluster, `forecheck.Ray("auto")`.
        device: where networks are computed: auto, cpu, cuda, cuda:1 or mps. Results are kept by kind of device.
        store: folder of results, or a URL; None for the user's cache.
        progress: True for a bar, or a function that is called with the share that is done and a word.

    Returns:
        A frame: `.to_pandas()`, `.to_polars()`, `.to_arrow()`, `.write(path)`.

    Raises:
        DataError: if the data cannot be used as they are, or have too few validation windows for a level.
        UsageError: if a name, option or level is wrong.
    """
    panel = as_panel(data, {"known": known, "static": static, "calendar": calendar, "future": future, "past": past})
    protocol = Protocol(horizon, lookback, split, step, period)
    with means_of(workers, store, progress, device=device) as means:
        return run_cross_validation(
            panel,
            None if models is None else several(models),
            protocol,
            means,
            levels=levels(level),
            options=options,
            refit=refit,
        )
