"""`forecheck.cross_validation`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forecheck.forecasting.crossed import CrossValidation, run_cross_validation
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol
from forecheck.verbs.common import Names, Options, Shown, as_panel, levels, means_of


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
    workers: Workers = None,
    store: Path | None = None,
    progress: Shown = False,
) -> CrossValidation:
    """The forecasts that a backtest scores, beside what came, as a frame: `unique_id, ds, cutoff, y`, and the models.

    Args:
        data: and all that is not named here: as in `backtest`; what was fitted there is not fitted again.
        models: names of forecasters; None for those that `auto` chooses from.
        level: coverages of intervals in percent, one or several.

    Returns:
        A frame: `.to_pandas()`, `.to_polars()`, `.to_arrow()`, `.write(path)`.

    Raises:
        DataError: if the data cannot be used as they are, or have too few validation windows for a level.
        UsageError: if a name, option or level is wrong.
    """
    panel = as_panel(data, {"known": known, "static": static, "calendar": calendar, "future": future})
    protocol = Protocol(horizon, lookback, split, step, period)
    with means_of(workers, store, progress) as means:
        return run_cross_validation(
            panel,
            [models] if isinstance(models, str) else None if models is None else list(models),
            protocol,
            means,
            levels=levels(level),
            options=options,
            refit=refit,
        )
