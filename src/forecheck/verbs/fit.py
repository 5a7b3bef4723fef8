"""`forecheck.fit`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forecheck.forecasting.candidates import CANDIDATES
from forecheck.forecasting.fit import run_fit
from forecheck.forecasting.fitted import Fitted
from forecheck.forecasting.saved import check_place, save_fit
from forecheck.trials.engines.engine import Engine
from forecheck.verbs.common import Options, Shown, as_panel, levels, open_store, watching, whole


def fit(
    data: Any,
    *,
    horizon: int,
    model: str = "auto",
    level: float | Sequence[float] = (),
    lookback: int | None = None,
    split: str | None = None,
    candidates: Sequence[str] = CANDIDATES,
    margin: float = 0.01,
    period: int | None = None,
    options: Options | None = None,
    refit: bool = True,
    output: Path | str | None = None,
    workers: int | None = None,
    store: Path | None = None,
    progress: Shown = False,
) -> Fitted:
    """Fit a model once, for forecasts later, `forecast(data, model_dir=FOLDER)`; see `forecheck.forecasting.fit`.

    Args:
        data: and all that is not named here: as in `forecast`.
        level: coverages in percent that are wanted beside 1, 2, ..., 99, of which those are there that the data have
            enough windows for.
        output: folder to save the fit in; an earlier fit there is replaced.

    Returns:
        The fit: `.forecaster`, `.info` on why this model, `.widths` of the intervals.
    """
    if output is not None:
        check_place(Path(output))
    with watching(progress) as watcher, Engine(workers, watcher) as engine:
        fitted = run_fit(
            as_panel(data),
            whole("horizon", horizon),
            engine,
            open_store(store),
            model=model,
            candidates=list(candidates),
            lookback=None if lookback is None else whole("lookback", lookback),
            levels=levels(level),
            every_percent=True,
            split=split,
            margin=margin,
            period=period,
            options=options,
            refit=refit,
        )
    if output is not None:
        save_fit(fitted, Path(output))
    return fitted
