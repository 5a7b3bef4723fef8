"""`forecheck forecast`."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from forecheck.cli import options as o
from forecheck.cli.say import put, say
from forecheck.errors import UsageError
from forecheck.outputs import write_output

_MARGIN = 0.01


def forecast(
    data: o.Data,
    horizon: Annotated[int | None, typer.Option(min=1, help="H, steps to forecast; a saved fit has its own.")] = None,
    model: o.Model = "auto",
    model_dir: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="A fit that [b]forecheck fit[/b] saved."),
    ] = None,
    level: Annotated[list[float] | None, typer.Option(help="Coverage of an interval in percent; repeatable.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", dir_okay=False, help="CSV or Parquet file; without it and a page, standard output."
        ),
    ] = None,
    integer: Annotated[
        bool, typer.Option("--integer", help="Round forecasts and intervals of counts to whole numbers.")
    ] = False,
    formulas: o.Formulas = True,
    lookback: o.Lookback = None,
    candidates: o.Candidates = o.CANDIDATES,
    refit: o.Refit = True,
    split: o.Split = None,
    margin: o.Margin = _MARGIN,
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
    json: Annotated[str | None, typer.Option("--json", help="Write why and how as JSON; - for stdout.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", dir_okay=False, help="Write history, forecast and why as one HTML page.")
    ] = None,
    show: Annotated[
        list[str] | None, typer.Option(help="A series that is to be on the HTML page, before all others; repeatable.")
    ] = None,
    workers: o.Workers = None,
    device: o.Device = "cpu",
    engine: o.Engine = None,
    address: o.Address = None,
    store: o.StoreFolder = None,
    quiet: o.Quiet = False,
) -> None:
    """Forecast the steps after the end of every series, with split-conformal intervals.

    For example:

      forecheck forecast sales.csv --horizon 24 --level 80 --level 95 -o forecast.csv

      forecheck forecast ETTh1 --horizon 96 --model rlinear --html forecast.html

      forecheck forecast sales.csv --horizon 14 --known price,promo --future future.csv

      forecheck forecast sales.csv --model-dir sales-model --level 80
    """
    if model_dir is not None:
        given: dict[str, Any] = {
            "--model": model != "auto",
            "--lookback": lookback,
            "--candidates": candidates != o.CANDIDATES,
        }
        given |= {"--no-refit": not refit, "--split": split, "--margin": margin != _MARGIN, "--period": period}
        check_saved(given | {"--set": settings})
    if show and html is None:
        raise UsageError("--show has no effect without --html", "Name the page: --html forecast.html.")
    o.check_writable(json, html, table=output, reads=[data, *([] if future is None else [str(future)])])
    chosen, among = o.read_settings(settings), o.read_candidates(candidates, model)
    written = {"header": header, "decimal": decimal, "thousands": thousands, "delimiter": delimiter, "skip": skip}
    beside = o.read_beside(known, static, calendar, future, past)
    if model_dir is not None and not set(beside) - {"future"}:
        from forecheck.forecasting.saved import asked_of

        beside |= asked_of(model_dir)
    panel = o.load_panel(data, time, series, target, fill, drop, quiet=quiet, **written, **beside)
    if show:
        from forecheck.forecasting.combined import unit_names
        from forecheck.forecasting.page import places_of

        places_of(unit_names(panel), show)
    import forecheck as fc
    from forecheck.progress.bar import Bar

    with Bar(quiet=quiet) as watcher:
        result = fc.forecast(
            panel,
            horizon=horizon,
            model=model,
            model_dir=model_dir,
            level=level or (),
            lookback=lookback,
            split=split,
            candidates=among,
            margin=margin,
            period=period,
            options=chosen,
            refit=refit,
            integer=integer,
            workers=o.read_workers(workers, engine, address),
            device=device,
            store=store,
            progress=watcher,
        )
    info = result.info
    say(o.said_of(info), err=True)
    described = jsonlib.dumps(info, indent=1) + "\n"
    if json not in (None, "-"):
        write_output(json, described.encode())
    if output is not None:
        result.write(output, formulas=formulas)
        say(f"wrote {output}", err=True)
    if html is not None:
        result.to_html(html, show=show or ())
        say(f"wrote {html}", err=True)
    if json == "-":
        put(described)
    elif output is None and html is None:
        put(result.to_csv(formulas=formulas).decode())


def check_saved(given: dict[str, Any], again: str = "fit again with forecheck fit") -> None:
    """Refuse options that a saved fit has settled, which would have no effect (UsageError)."""
    settled = [option for option, value in given.items() if value]
    if settled:
        raise UsageError(f"{settled[0]} has no effect on a saved fit (--model-dir)", f"Leave it out, or {again}.")
