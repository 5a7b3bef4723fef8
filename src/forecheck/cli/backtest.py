"""`forecheck backtest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from forecheck.cli import options as o
from forecheck.cli.say import say
from forecheck.errors import UsageError


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
    known: o.Known = None,
    past: o.Past = None,
    static: o.Static = None,
    calendar: o.Calendar = None,
    future: o.Future = None,
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
    mlflow: o.Mlflow = None,
    forecasts: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Write all forecasts as CSV or Parquet: unique_id, ds, cutoff, y, and the models."
        ),
    ] = None,
    level: Annotated[
        list[float] | None, typer.Option(help="Coverage of an interval of --forecasts in percent; repeatable.")
    ] = None,
    formulas: o.Formulas = True,
    workers: o.Workers = None,
    device: o.Device = "cpu",
    engine: o.Engine = None,
    address: o.Address = None,
    store: o.StoreFolder = None,
    verbose: o.Verbose = False,
    quiet: o.Quiet = False,
) -> None:
    """Score models on all windows of the test part, with pairwise verdicts.

    For example:

      forecheck backtest ETTh1 --models nlinear,patchtst --lookback 336 --horizon 96 --json -

      forecheck backtest sales.csv --horizon 24 --set nlinear.ridge=0 --forecasts cv.csv --level 80

      forecheck backtest sales.csv --horizon 14 --known price --models combination,combination:channels
    """
    if level and forecasts is None:
        raise UsageError("--level has no effect without --forecasts", "Name the file: --forecasts cv.csv.")
    o.check_writable(html, markdown, json, table=forecasts, reads=[data, *([] if future is None else [str(future)])])
    o.check_mlflow(mlflow)
    chosen = o.read_settings(settings)
    names = None if models is None else o.read_names("--models", models)
    written = {"header": header, "decimal": decimal, "thousands": thousands, "delimiter": delimiter, "skip": skip}
    beside = o.read_beside(known, static, calendar, future, past)
    panel = o.load_panel(data, time, series, target, fill, drop, quiet=quiet, **written, **beside)
    import forecheck as fc
    from forecheck.progress.bar import Bar

    how: dict[str, Any] = {
        "horizon": horizon,
        "lookback": lookback,
        "split": split,
        "period": period,
        "step": step,
        "refit": refit,
    }
    how |= {"options": chosen, "workers": o.read_workers(workers, engine, address), "device": device, "store": store}
    with Bar(quiet=quiet) as watcher:
        report = fc.backtest(panel, names, seeds=seeds, margin=margin, progress=watcher, **how)
        crossed = None
        if forecasts is not None:
            crossed = fc.cross_validation(panel, names, level=level or (), progress=watcher, **how)
    if forecasts is not None and crossed is not None:
        crossed.write(forecasts, formulas=formulas)
        say(f"wrote {forecasts}", err=True)
    o.write_report(report, json, html, markdown, verbose)
    o.log_to(report, mlflow)
