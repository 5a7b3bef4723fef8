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
from forecheck.verbs.common import Names, Options, Shown, as_panel, levels, means_of


def fit(
    data: Any,
    *,
    horizon: int,
    model: str = "auto",
    level: float | Sequence[float] = (),
    lookback: int | None = None,
    split: str | None = None,
    candidates: Sequence[str] = FORECAST_CANDIDATES,
    margin: float = 0.01,
    period: int | None = None,
    options: Options | None = None,
    refit: bool = True,
    known: Names = (),
    static: Names = (),
    calendar: Names = (),
    future: Any = None,
    output: Path | str | None = None,
    workers: Workers = None,
    store: Path | None = None,
    progress: Shown = False,
) -> Fitted | Combined:
    """Fit a model once, for forecasts later, `forecast(data, model_dir=FOLDER)`; see `forecheck.forecasting.fit`.

    Args:
        data: and all that is not named here: as in `forecast`.
        level: coverages in percent that are wanted beside 1, 2, ..., 99, of which those are there that the data have
            enough windows for.
        output: folder to save the fit in; an earlier fit there is replaced.

    Returns:
        The fit: `.info` on why this model, and `.forecaster` and `.widths` of the intervals unless it is a combination,
        which keeps nothing but its description and is made anew of the data that it forecasts.
    """
    if output is not None:
        check_place(Path(output))
    panel = as_panel(data, {"known": known, "static": static, "calendar": calendar, "future": future})
    protocol = Protocol(horizon, lookback, split, period=period, margin=margin)
    with means_of(workers, store, progress) as means:
        fitted = run_fit(
            panel,
            protocol,
            means,
            model=model,
            candidates=list(candidates),
            levels=levels(level),
            every_percent=True,
            options=options,
            refit=refit,
        )
    if output is not None:
        save_fit(fitted, Path(output))
    return fitted
