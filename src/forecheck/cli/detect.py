"""`forecheck detect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from forecheck.cli import options as o
from forecheck.cli.forecast import check_saved
from forecheck.cli.say import put, say
from forecheck.forecasting.candidates import CANDIDATES

_TRAIN, _CALIBRATE, _SCORES, _MARGIN, _ATTENTION = 0.5, 0.2, "robust", 0.01, "patchtst"
_CANDIDATES = ",".join(CANDIDATES)


def detect(
    data: o.Data,
    horizon: Annotated[
        int | None,
        typer.Option(min=1, help="H, steps ahead: a row is scored by its forecasts from 1 to H steps before; 1."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A model's name, or auto: the simplest that validation does not find beaten.")
    ] = "auto",
    calibrate: Annotated[float, typer.Option(help="Share of the rows that set the threshold.")] = _CALIBRATE,
    train: Annotated[float, typer.Option(help="Share of the rows before them that are fitted on.")] = _TRAIN,
    false_alarms: Annotated[
        float | None,
        typer.Option(help="False alarms per 1000 steps; 1, or the least that the calibration part can tell."),
    ] = None,
    scores: Annotated[str, typer.Option(help="robust (medians, by phase of the season) or standardised.")] = _SCORES,
    merge: Annotated[int, typer.Option(min=0, help="Rows without alarm that do not end a segment.")] = 0,
    least: Annotated[int, typer.Option(min=1, help="Rows that a segment needs before it raises an alarm.")] = 1,
    labels: Annotated[
        str | None, typer.Option(help="A column of 0 and 1: metrics stand beside, and nothing else sees it.")
    ] = None,
    attention: Annotated[str, typer.Option(help="A forecaster with attention to put beside, or none.")] = _ATTENTION,
    save: Annotated[Path | None, typer.Option(help="Folder for the detector; an earlier one is replaced.")] = None,
    model_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Score new rows by a detector that --save saved.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="With --model-dir: a file of the rows right before the data, to look back on.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="CSV or Parquet file of every scored row.")
    ] = None,
    formulas: o.Formulas = True,
    lookback: o.Lookback = None,
    candidates: o.Candidates = _CANDIDATES,
    margin: o.Margin = _MARGIN,
    period: o.Period = None,
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
    workers: o.Workers = None,
    device: o.Device = "cpu",
    engine: o.Engine = None,
    address: o.Address = None,
    store: o.StoreFolder = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every stream.")] = False,
    quiet: o.Quiet = False,
) -> None:
    """Find anomalies: rows that are far from what was forecast of them, at a stated rate of false alarms.

    For example:

      forecheck detect co2 --calibrate 0.3 --false-alarms 5 -o anomalies.csv --html anomalies.html

      forecheck detect sales.csv --labels outage --save sales-detector

      forecheck detect new.csv --model-dir sales-detector --before sales.csv -o anomalies.csv
    """
    if model_dir is not None:
        given: dict[str, Any] = {"--model": model != "auto", "--lookback": lookback, "--train": train != _TRAIN}
        given |= {"--calibrate": calibrate != _CALIBRATE, "--false-alarms": false_alarms, "--merge": merge}
        given |= {"--scores": scores != _SCORES, "--least": least != 1, "--attention": attention != _ATTENTION}
        given |= {"--save": save, "--candidates": candidates != _CANDIDATES, "--margin": margin != _MARGIN}
        check_saved(given | {"--period": period, "--set": settings}, "make another detector with --save")
    reads = [data] if before is None else [data, before]
    o.check_writable(json, html, table=output, reads=reads)
    chosen, among = o.read_settings(settings), o.read_candidates(candidates, model, _CANDIDATES)
    written = {"header": header, "decimal": decimal, "thousands": thousands, "delimiter": delimiter, "skip": skip}
    kept = [*target, labels] if target and labels is not None and labels not in target else target
    panel = o.load_panel(data, time, series, kept, fill, drop, quiet=quiet, **written)
    earlier = None if before is None else o.load_panel(before, time, series, kept, fill, drop, quiet=quiet, **written)
    import forecheck as fc
    from forecheck.progress.bar import Bar

    with Bar(quiet=quiet) as watcher:
        found = fc.detect(
            panel,
            horizon=horizon,
            model=model,
            model_dir=model_dir,
            before=earlier,
            labels=labels,
            train=train,
            calibrate=calibrate,
            false_alarms=false_alarms,
            scores=scores,
            merge=merge,
            least=least,
            attention=attention,
            lookback=lookback,
            candidates=among,
            margin=margin,
            period=period,
            options=chosen,
            save=save,
            workers=o.read_workers(workers, engine, address),
            device=device,
            store=store,
            progress=watcher,
        )
    _show(found, json, verbose=verbose)
    if json not in (None, "-"):
        found.to_json(json)
    if html is not None:
        found.to_html(html)
    if output is not None:
        found.write(output, formulas=formulas)
    for path in (None if json == "-" else json, html, output, save):
        if path is not None:
            say(f"wrote {path}", err=True)


def _show(found: Any, json: str | None, *, verbose: bool) -> None:
    """Print what was found; JSON on standard output stands alone."""
    from rich.console import Console

    if json == "-":
        put(found.to_json())
        return
    console = Console()
    console.print(found.to_rich(console.width, verbose))
