"""The public verbs: each ties data, engine and ledger to one run and hands back its report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from forecheck.attention.sites import Adapter
from forecheck.auditing.audit import run_audit
from forecheck.auditing.budget import find_budget
from forecheck.auditing.catalogue import CHECKS, Selection
from forecheck.auditing.pages import describe_check
from forecheck.calibration.context import Tell
from forecheck.calibration.result import Calibration
from forecheck.calibration.run import run_calibration
from forecheck.data.load import load
from forecheck.data.panel import Panel
from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.given import Given, given_on
from forecheck.forecasters.overview import overview
from forecheck.forecasting.backtest import run_backtest
from forecheck.forecasting.candidates import CANDIDATES
from forecheck.forecasting.fit import run_fit
from forecheck.forecasting.fitted import Fitted
from forecheck.forecasting.forecast import Forecast, make_forecast, run_forecast
from forecheck.forecasting.saved import check_place, load_fit, save_fit
from forecheck.forecasting.selection import audit_lookback
from forecheck.papers.run import Tell as ToldOfPapers
from forecheck.papers.run import list_papers
from forecheck.papers.run import reproduce as run_papers
from forecheck.reports.report import Report
from forecheck.trials.engines.base import Watcher
from forecheck.trials.engines.engine import Engine
from forecheck.trials.ledger import Ledger

Options = Mapping[str, Mapping[str, Any]]


def audit(
    data: Any,
    model: Any = "patchtst",
    *,
    horizon: int = 96,
    lookback: int | None = None,
    wrap: Callable[[Any, Tensor], Tensor] | None = None,
    units: str = "standardised",
    adapter: Adapter | None = None,
    name: str | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    remedies: Sequence[str] = (),
    budget: str = "quick",
    time: str | float | None = None,
    folds: int | None = None,
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
        model: name of a forecaster with attention; or a model that was trained elsewhere: any torch module, pipeline
            or function that maps windows (batch, lookback, channel) to (batch, horizon, channel). Its attention is
            edited after training only.
        horizon: H, steps to forecast.
        lookback: L, steps of input; None for 336 (more for models that are made for more), or less if the data are
            short.
        wrap: `wrap(model, x)` gives the forecast of windows x, for given models that are called otherwise.
        units: what a given model expects and gives: `standardised` by the training rows, or `real`.
        adapter: reaches a given model's attention; None for the first of ours that does.
        name: what to call a given model.
        select: codes of checks, or their beginnings, to run; all that the budget has time for if empty.
        ignore: codes of checks, or their beginnings, not to run.
        remedies: names of remedies, to be put side by side: with each, does attention contribute more, and is the
            forecast better? They do not enter the verdict.
        budget: quick, standard or full: seeds, training and retrained arms.
        time: how long it may take, in seconds or as `10m` or `2h`; None for what the budget says. The first round of
            seeds is always finished.
        folds: rolling origins with an expanding training part, for more test data from the same rows; None for one,
            or for more where that is cheap and one test part holds few independent stretches.
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
    if lookback is None:
        lookback = audit_lookback(panel, horizon, model if isinstance(model, str) else None, split)
    audited: str | Given = model
    if not isinstance(model, str):
        experiment = prepare(panel, lookback, horizon, split, step)
        audited = given_on(model, experiment, period or panel.frequency.period, wrap, units, adapter, name)
    given = {audited.config.fingerprint: audited} if isinstance(audited, Given) else None
    with Engine(workers, watcher, given) as engine:
        report = run_audit(
            panel,
            audited,
            lookback,
            horizon,
            find_budget(budget, time),
            engine,
            _ledger(ledger),
            split=split,
            margin=margin,
            period=period,
            step=step,
            options=options,
            selection=Selection.of(select, ignore),
            remedies=remedies,
            folds=folds,
            parallel=engine.parallel,
            say=getattr(watcher, "say", None),
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
    refit: int | None = None,
    options: Options | None = None,
    workers: int | None = None,
    ledger: Path | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Score models on all windows of the standard test part, with pairwise verdicts.

    Args:
        data: and all that is not named here: as in `audit`.
        models: names of forecasters; None for those that `auto` chooses from.
        lookback: L, steps of input of all models; None for each model's own, as far as the data allow.
        refit: rows of the test part after which models in closed form are refitted on all rows before, with what
            validation chose; None for never. Trained models are fitted once.
        seeds: fits of every model that is trained by gradient descent.
    """
    panel = _panel(data)
    with Engine(workers, watcher) as engine:
        report = run_backtest(
            panel,
            None if models is None else list(models),
            lookback,
            horizon,
            engine,
            _ledger(ledger),
            split=split,
            options=options,
            seeds=seeds,
            margin=margin,
            period=period,
            step=step,
            refit=refit,
        )
    return Report(report)


def fit(
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
    output: Path | str | None = None,
    workers: int | None = None,
    ledger: Path | None = None,
    watcher: Watcher | None = None,
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
    with Engine(workers, watcher) as engine:
        fitted = run_fit(
            _panel(data),
            horizon,
            engine,
            _ledger(ledger),
            model=model,
            candidates=list(candidates),
            lookback=lookback,
            levels=level,
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


def forecast(
    data: Any,
    *,
    horizon: int | None = None,
    model: str = "auto",
    model_dir: Path | str | None = None,
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
    """Forecast with what works; see `forecheck.forecasting.fit.run_fit`.

    Args:
        data: a panel, a named set, a file or a frame; for a saved fit with the channels and the step of its data.
        model_dir: folder of a fit that was saved by `fit`. Nothing is fitted then, and horizon, lookback and all other
            choices are those of the fit.

    Returns:
        A forecast: `.to_pandas()`, `.to_polars()`, `.to_arrow()`, `.write(path)`, and `.info` on why this model.

    Raises:
        DataError: if the data or the folder cannot be used as they are.
        UsageError: if the saved fit has another horizon or lacks a level; or neither horizon nor folder is given.
    """
    if model_dir is not None:
        fitted = load_fit(Path(model_dir))
        if horizon not in (None, fitted.forecaster.task.horizon):
            raise UsageError(
                f"the fit in {model_dir} forecasts {fitted.forecaster.task.horizon} steps, not {horizon}",
                "Leave the horizon out, or fit again.",
            )
        return make_forecast(fitted, _panel(data), level)
    if horizon is None:
        raise UsageError("say how many steps to forecast (--horizon), or name a saved fit (--model-dir)")
    with Engine(workers, watcher) as engine:
        return run_forecast(
            _panel(data),
            horizon,
            engine,
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


def calibrate(
    budget: str = "quick",
    *,
    only: Sequence[str] = (),
    workers: int | None = None,
    ledger: Path | None = None,
    watcher: Watcher | None = None,
    tell: Tell | None = None,
) -> Calibration:
    """Put the audit to data on which the right answer is known: can its verdicts be trusted?

    Args:
        budget: quick (minutes) or full (the better part of an hour): how many repetitions.
        only: names of parts; all if empty.
        workers: processes, None for one a core, 0 for none.
        ledger: folder of results; None for the user's cache.
        watcher: told of the progress of trials.
        tell: told of the progress of parts that count repetitions of their own.

    Returns:
        What was found: `.passed`, `.parts`, `.to_json(path)`, `.to_markdown(path)`.

    Raises:
        UsageError: if there is no such budget or part.
        TrialError: if a trial fails; finished ones are kept.
    """
    with Engine(workers, watcher) as engine:
        return run_calibration(budget, engine, _ledger(ledger), only=only, tell=tell, parallel=engine.parallel)


def reproduce(
    papers: str | Sequence[str] = (),
    claims: Sequence[str] = (),
    budget: str = "quick",
    *,
    workers: int | None = None,
    ledger: Path | None = None,
    tell: ToldOfPapers | None = None,
) -> Report:
    """Test the claims of papers: each ends confirmed, refuted, uneven or not testable here, our number beside theirs.

    Args:
        papers: a name or several, see `forecheck.papers.catalogue.PAPERS`; none for all.
        claims: ids of claims, of one paper; none for all.
        budget: quick (all papers within a quarter of an hour on two cores) or full; or `finished`, which runs nothing
            and judges what is kept.
        workers: processes, None for one a core, 0 for none.
        ledger: folder of results; None for the user's cache.
        tell: told of the parts that are done, by paper.

    Returns:
        A report: `.claims`, `.papers`, `.to_html(path)`, `.to_json(path)`, `.to_markdown(path)`.

    Raises:
        UsageError: if there is no such paper, claim or budget.
        TrialError: if an experiment fails; finished parts are kept.
    """
    names = (papers,) if isinstance(papers, str) else papers
    return Report(run_papers(names, claims, budget, ledger=_ledger(ledger), workers=workers, tell=tell))


def papers(ledger: Path | None = None) -> list[dict[str, Any]]:
    """Every paper with its claims and their last verdicts."""
    return list_papers(_ledger(ledger))


def models() -> list[dict[str, Any]]:
    """Every forecaster, the simplest first; see `forecheck.forecasters.overview.overview`."""
    return [overview(forecaster) for forecaster in registry.all_forecasters()]


def checks() -> list[dict[str, Any]]:
    """Every check of an audit: code, family, title, what is asked, severity, and what it needs."""
    return [describe_check(check) for check in CHECKS.values()]


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
