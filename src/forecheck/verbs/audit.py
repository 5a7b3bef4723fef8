"""`forecheck.audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forecheck.attention.sites import Adapter
from forecheck.auditing.audit import run_audit
from forecheck.auditing.budget import find_budget
from forecheck.auditing.catalogue import Selection
from forecheck.forecasters.calling import named_call
from forecheck.forecasters.external import External, Wrap, external_on
from forecheck.forecasting.beside import check_uses
from forecheck.forecasting.selection import with_lookback
from forecheck.reports.report import Report
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol
from forecheck.verbs.common import BudgetName, Names, Options, Shown, Units, as_panel, means_of, several


def audit(
    data: Any,
    model: Any = "patchtst",
    *,
    horizon: int = 96,
    lookback: int | None = None,
    wrap: str | Wrap | None = None,
    units: Units = "standardised",
    adapter: Adapter | None = None,
    name: str | None = None,
    select: Names = (),
    ignore: Names = (),
    remedies: Names = (),
    prune: bool = False,
    budget: BudgetName = "quick",
    time: str | float | None = None,
    folds: int | None = None,
    split: str | None = None,
    margin: float = 0.01,
    period: int | None = None,
    step: int = 1,
    options: Options | None = None,
    workers: Workers = None,
    device: str = "cpu",
    store: Path | str | None = None,
    progress: Shown = False,
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
        wrap: `wrap(model, x)` gives the forecast of windows x, for given models that are called otherwise;
            `wrap(model, x, times)` is given the stamps of windows and horizons, a numpy array (batch, lookback +
            horizon), as well. `tslib` for models of Time-Series-Library, which take four arguments.
        units: what a given model expects and gives: `standardised` by the training rows, or `real`.
        adapter: reaches a given model's attention; None for the first of ours that does.
        name: what to call a given model.
        select: codes of checks, or their beginnings, to run; all that the budget has time for if empty.
        ignore: codes of checks, or their beginnings, not to run.
        remedies: names of remedies, to be put side by side: with each, does attention contribute more, and is the
            forecast better? They do not enter the verdict.
        prune: ask as well which weights can go first, those of attention, feed-forward parts or head (FC312), and
            whether the stable rank of heads tells which of them matter (FC604).
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
        workers: processes, None for one a core, 0 for none; or a Ray cluster, `forecheck.Ray("auto")`.
        device: where networks are trained, edited and measured: auto, cpu, cuda, cuda:1 or mps. What one kind of device
            gave is not taken for what another gives. A given model stays where it is.
        store: folder of results, or a URL; None for the user's cache.
        progress: True for a bar, or a function that is called with the share that is done and a word.

    Returns:
        A report: `.verdict`, `.findings`, `.to_html(path)`, `.to_json(path)`, `.to_markdown(path)`.

    Raises:
        DataError: if the data cannot be used as they are.
        UsageError: if a name or option does not exist.
        TrialError: if a trial fails; finished ones are saved.
    """
    panel = as_panel(data)
    check_uses(panel, "an audit")
    protocol = Protocol(horizon, lookback, split, step, period, margin, folds)
    protocol = with_lookback(protocol, panel, model if isinstance(model, str) else None)
    audited: str | External = model
    if not isinstance(model, str):
        experiment = protocol.cut(panel)
        audited = external_on(model, experiment, protocol.season(panel), named_call(wrap), units, adapter, name)
    given = {audited.config.fingerprint: audited} if isinstance(audited, External) else None
    with means_of(workers, store, progress, given, device) as means:
        report = run_audit(
            panel,
            audited,
            protocol,
            find_budget(budget, time),
            means,
            options=options,
            selection=Selection.of(several(select), several(ignore), ["prune"] if prune else []),
            remedies=several(remedies),
        )
    return Report(report)
