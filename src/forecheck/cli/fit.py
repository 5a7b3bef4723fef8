"""`forecheck fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forecheck.cli import options as o
from forecheck.cli.say import say


def fit(
    data: o.Data,
    horizon: o.Horizon,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the fit; an earlier one is replaced.")],
    model: o.Model = "auto",
    level: Annotated[
        list[float] | None,
        typer.Option(help="Coverage of an interval in percent beside 1, 2, ..., 99 ([b]97.5[/b]); repeatable."),
    ] = None,
    lookback: o.Lookback = None,
    candidates: o.Candidates = o.CANDIDATES,
    refit: o.Refit = True,
    split: o.Split = None,
    margin: o.Margin = 0.01,
    period: o.Period = None,
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
    workers: o.Workers = None,
    device: o.Device = "cpu",
    engine: o.Engine = None,
    address: o.Address = None,
    store: o.StoreFolder = None,
    quiet: o.Quiet = False,
) -> None:
    """Fit a model and save it with all that later forecasts need; no pickle.

    For example:

      forecheck fit sales.csv --horizon 24 -o sales-model

      forecheck forecast sales.csv --model-dir sales-model --level 80
    """
    chosen, among = o.read_settings(settings), o.read_candidates(candidates, model)
    written = {"header": header, "decimal": decimal, "thousands": thousands, "delimiter": delimiter, "skip": skip}
    beside = o.read_beside(known, static, calendar, future, past)
    panel = o.load_panel(data, time, series, target, fill, drop, quiet=quiet, **written, **beside)
    import forecheck as fc
    from forecheck.progress.bar import Bar

    with Bar(quiet=quiet) as watcher:
        fitted = fc.fit(
            panel,
            horizon=horizon,
            model=model,
            level=level or (),
            lookback=lookback,
            split=split,
            candidates=among,
            margin=margin,
            period=period,
            options=chosen,
            refit=refit,
            output=output,
            workers=o.read_workers(workers, engine, address),
            device=device,
            store=store,
            progress=watcher,
        )
    say(o.said_of(fitted.info), err=True)
    say(f"wrote {output}", err=True)
