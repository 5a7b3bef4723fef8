"""The public verbs: each ties data, engine and ledger to one run and hands back its report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forecheck.checks.audit import run_audit
from forecheck.checks.budget import find_budget
from forecheck.data.load import load
from forecheck.data.panel import Panel
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.reports.report import Report
from forecheck.trials.backtest import run_backtest
from forecheck.trials.engines.base import Announced, Silent, Watcher, to_run
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.engines.local import run_local
from forecheck.trials.forecast import CANDIDATES, Forecast, run_forecast
from forecheck.trials.ledger import Ledger
from forecheck.trials.selection import default_lookback, usable
from forecheck.trials.trial import Trial

Options = Mapping[str, Mapping[str, Any]]


class Engine:
    """Runs trials in worker processes, or in this process.

    Args:
        workers: processes; None for one a core, 0 for this process (nothing is started, good for small runs).
        watcher: told of progress.
    """

    def __init__(self, workers: int | None = None, watcher: Watcher | None = None) -> None:
        self.workers = workers
        self.watcher = watcher

    def __call__(self, trials: list[Trial], ledger: Ledger) -> None:
        """Run what is not in the ledger yet."""
        watcher = self.watcher or Silent()
        left = to_run(trials, ledger, watcher)
        # Closed forms take less time than starting a process.
        slow = [trial for trial in left if self.workers != 0 and registry.find(trial.forecaster).trained]
        run_inline([trial for trial in left if trial not in slow], ledger, Announced(watcher))
        run_local(slow, ledger, Announced(watcher), self.workers)


def audit(
    data: Any,
    model: str = "patchtst",
    *,
    horizon: int = 96,
    lookback: int | None = None,
    budget: str = "quick",
    split: str | None = None,
    margin: float = 0.01,
    period: int | None = None,
    step: int = 1,
    options: Options | None = None,
    workers: int | None = None,
    ledger: Path | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Does attention earn its keep? Replace it, after training and before, and compare with linear references.

    Args:
        data: a panel, a named set, a file or a frame.
        model: a forecaster with attention.
        horizon: H, steps to forecast.
        lookback: L, steps of input; None for 336, or less if the data are short.
        budget: quick, standard or full: seeds, training and retrained arms.
        split: `70/10/20`, `8640+2880+2880` or two dates; None for the data's standard split.
        margin: relative difference of test MSE below which two forecasters count as equal.
        step: rows between two forecast origins (24: one forecast a day on hourly data).
        period: steps a season; None for that of the data's frequency.
        options: by forecaster, options that differ from the defaults.
        workers: processes, None for one a core, 0 for none.
        ledger: folder of results; None for the user's cache.
        watcher: told of progress.

    Returns:
        A report: `.verdict`, `.findings`, `.to_html(path)`, `.to_json(path)`, `.to_markdown(path)`.

    Raises:
        DataError: if the data cannot be used as they are.
        UsageError: if a name or option does not exist.
        TrialError: if a trial fails; finished ones are kept.
    """
    panel = _panel(data)
    lookback = default_lookback(panel, horizon, split) if lookback is None else lookback
    report = run_audit(
        panel,
        model,
        lookback,
        horizon,
        find_budget(budget),
        Engine(workers, watcher),
        _ledger(ledger),
        split=split,
        margin=margin,
        period=period,
        step=step,
        options=options,
    )
    return Report(report)


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
    options: Options | None = None,
    workers: int | None = None,
    ledger: Path | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Score models on all windows of the standard test part, with pairwise verdicts.

    Args:
        data: and all that is not named here: as in `audit`.
        models: names of forecasters; None for the naive and the linear ones.
        seeds: fits of every model that is trained by gradient descent.
    """
    panel = _panel(data)
    lookback = default_lookback(panel, horizon, split) if lookback is None else lookback
    season = panel.frequency.period if period is None else period
    report = run_backtest(
        panel,
        usable(CANDIDATES, season, lookback) if models is None else list(models),
        lookback,
        horizon,
        Engine(workers, watcher),
        _ledger(ledger),
        split=split,
        options=options,
        seeds=seeds,
        margin=margin,
        period=period,
        step=step,
    )
    return Report(report)


def forecast(
    data: Any,
    *,
    horizon: int,
    model: str = "auto",
    level: Sequence[float] = (),
    lookback: int | None = None,
    split: str | None = None,
    candidates: Sequence[str] = CANDIDATES,
    margin: float = 0.01,
    period: int | None = None,
    options: Options | None = None,
    refit: bool = True,
    workers: int | None = None,
    ledger: Path | None = None,
    watcher: Watcher | None = None,
) -> Forecast:
    """Forecast with what works; see `forecheck.trials.forecast.run_forecast`.

    Returns:
        A forecast: `.to_pandas()`, `.to_polars()`, `.to_arrow()`, `.write(path)`, and `.info` on why this model.
    """
    return run_forecast(
        _panel(data),
        horizon,
        Engine(workers, watcher),
        _ledger(ledger),
        model=model,
        candidates=list(candidates),
        lookback=lookback,
        levels=level,
        split=split,
        margin=margin,
        period=period,
        options=options,
        refit=refit,
    )


def models() -> list[dict[str, Any]]:
    """Every forecaster: name, summary, source, whether it is trained, its options with defaults."""
    return [
        {
            "model": forecaster.name,
            "summary": forecaster.summary,
            "source": forecaster.source,
            "trained": forecaster.trained,
            "options": registry.defaults(forecaster),
        }
        for forecaster in registry.all_forecasters()
    ]


def _panel(data: Any) -> Panel:
    return data if isinstance(data, Panel) else load(data)


def _ledger(folder: Path | None) -> Ledger:
    """A ledger whose folder is there and can be written to, which is better known before the work than after it."""
    ledger = Ledger(folder)
    remedy = "Name another folder with --ledger, or in the environment variable FORECHECK_HOME."
    try:
        ledger.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot keep results in {ledger.root}: {error.strerror}", remedy) from error
    if not os.access(ledger.root, os.W_OK | os.X_OK):
        raise UsageError(f"cannot keep results in {ledger.root}: no permission to write", remedy)
    return ledger
