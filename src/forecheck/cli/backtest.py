"""`forecheck backtest`."""

from __future__ import annotations

from typing import Annotated

import typer

from forecheck.cli import options as o


def backtest(
    data: o.Data,
    models: Annotated[
        str | None,
        typer.Option(
            help="Names of models, separated by commas (see [b]forecheck models[/b]); by default the naive and the "
            "linear ones."
        ),
    ] = None,
    horizon: o.Horizon = 96,
    lookback: o.Lookback = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of every model that is trained by gradient descent.")] = 1,
    split: o.Split = None,
    margin: o.Margin = 0.01,
    period: o.Period = None,
    step: o.Step = 1,
    refit: Annotated[
        int | None,
        typer.Option(min=1, help="Refit closed-form models after so many rows of the test part, on all rows before."),
    ] = None,
    settings: o.Set = None,
    time: o.Time = None,
    series: o.Series = None,
    target: o.Target = None,
    fill: o.Fill = None,
    drop: o.Drop = None,
    header: o.Header = None,
    decimal: o.Decimal = None,
    thousands: o.Thousands = None,
    delimiter: o.Delimiter = None,
    skip: o.Skip = None,
    json: o.Json = None,
    html: o.Html = None,
    markdown: o.Markdown = None,
    workers: o.Workers = None,
    store: o.StoreFolder = None,
    verbose: o.Verbose = False,
    quiet: o.Quiet = False,
) -> None:
    """Score models on all windows of the test part, with pairwise verdicts.

    For example:

      forecheck backtest ETTh1 --models nlinear,patchtst --lookback 336 --horizon 96 --json -

      forecheck backtest sales.csv --horizon 24 --set nlinear.ridge=0
    """
    o.check_writable(html, markdown, json, reads=[data])
    chosen = o.read_settings(settings)
    names = None if models is None else o.read_names(models)
    written = {"header": header, "decimal": decimal, "thousands": thousands, "delimiter": delimiter, "skip": skip}
    panel = o.load_panel(data, time, series, target, fill, drop, quiet=quiet, **written)
    import forecheck as fc
    from forecheck.progress.bar import Bar

    with Bar(quiet=quiet) as watcher:
        report = fc.backtest(
            panel,
            names,
            horizon=horizon,
            lookback=lookback,
            split=split,
            seeds=seeds,
            margin=margin,
            period=period,
            step=step,
            refit=refit,
            options=chosen,
            workers=workers,
            store=store,
            progress=watcher,
        )
    o.write_report(report, json, html, markdown, verbose)
