"""`forecheck audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forecheck.cli import options as o


def audit(
    data: o.Data,
    model: Annotated[str, typer.Option(help="The forecaster whose attention is audited.")] = "patchtst",
    horizon: o.Horizon = 96,
    lookback: o.Lookback = None,
    budget: Annotated[
        str, typer.Option(help="quick (minutes), standard or full (hours): seeds, training, retrained arms.")
    ] = "quick",
    split: o.Split = None,
    margin: o.Margin = 0.01,
    period: o.Period = None,
    step: o.Step = 1,
    settings: o.Set = None,
    time: o.Time = None,
    series: o.Series = None,
    target: o.Target = None,
    fill: o.Fill = None,
    drop: o.Drop = None,
    json: o.Json = None,
    html: o.Html = None,
    markdown: o.Markdown = None,
    workers: o.Workers = None,
    ledger: o.LedgerFolder = None,
    quiet: o.Quiet = False,
) -> None:
    """Does attention earn its keep on these data? A verdict with an interval, and what to forecast with instead.

    For example:

      forecheck audit ETTh1 --html audit.html

      forecheck audit sales.csv --time date --horizon 24 --budget standard
    """
    o.check_writable(html, markdown, None if json in (None, "-") else Path(json))
    chosen = o.read_settings(settings)
    panel = o.load_panel(data, time, series, target, fill, drop)
    from forecheck import verbs
    from forecheck.cli.progress import Bars

    with Bars(quiet=quiet) as watcher:
        report = verbs.audit(
            panel,
            model,
            horizon=horizon,
            lookback=lookback,
            budget=budget,
            split=split,
            margin=margin,
            period=period,
            step=step,
            options=chosen,
            workers=workers,
            ledger=ledger,
            watcher=watcher,
        )
    o.write_report(report, json, html, markdown)
