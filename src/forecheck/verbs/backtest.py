"""`forecheck.backtest`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forecheck.forecasting.backtest import run_backtest
from forecheck.reports.report import Report
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol
from forecheck.verbs.common import Names, Options, Shown, as_panel, means_of


def backtest(
    data: Any,
    models: Sequence[str] | None = None,
    *,
    horizon: int = 96,
    lookback: int | None = None,
    split: str | None = None,
    seeds: int = 1,
    margin: float = 0.01,
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
) -> Report:
    """Score models on all windows of the standard test part, with pairwise verdicts.

    Args:
        data: and all that is not named here: as in `audit`.
        models: names of forecasters; None for those that `auto` chooses from.
        lookback: L, steps of input of all models; None for each model's own, as far as the data allow.
        refit: rows of the test part after which models in closed form are refitted on all rows before, with what
            validation chose; None for never. Trained models are fitted once.
        seeds: fits of every model that is trained by gradient descent.
        known: and static, calendar, future: as in `forecast`. The combination uses them, with the true values of the
            horizon; other models see the channels alone, `combination:channels` among them.
    """
    panel = as_panel(data, {"known": known, "static": static, "calendar": calendar, "future": future})
    protocol = Protocol(horizon, lookback, split, step, period, margin)
    with means_of(workers, store, progress) as means:
        report = run_backtest(
            panel,
            [models] if isinstance(models, str) else None if models is None else list(models),
            protocol,
            means,
            options=options,
            seeds=seeds,
            refit=refit,
        )
    return Report(report)
