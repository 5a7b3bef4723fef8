"""`forecheck forecast`."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from forecheck.cli import options as o


def forecast(
    data: o.Data,
    horizon: o.Horizon,
    model: Annotated[
        str, typer.Option(help="A model's name, or auto: the simplest that none beats by more than the margin.")
    ] = "auto",
    level: Annotated[list[float] | None, typer.Option(help="Coverage of an interval in percent; repeatable.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="CSV or Parquet file; else standard output.")
    ] = None,
    lookback: o.Lookback = None,
    candidates: Annotated[
        str, typer.Option(help="What auto chooses from, separated by commas.")
    ] = "last,seasonal,mean,nlinear,rlinear,linear,dlinear",
    refit: Annotated[bool, typer.Option(help="Refit closed-form models on all rows before forecasting.")] = True,
    split: o.Split = None,
    margin: o.Margin = 0.01,
    period: o.Period = None,
    settings: o.Set = None,
    time: o.Time = None,
    series: o.Series = None,
    target: o.Target = None,
    fill: o.Fill = None,
    drop: o.Drop = None,
    json: Annotated[str | None, typer.Option("--json", help="Write why and how as JSON; - for stdout.")] = None,
    workers: o.Workers = None,
    ledger: o.LedgerFolder = None,
    quiet: o.Quiet = False,
) -> None:
    """Forecast the steps after the end of every series, with split-conformal intervals.

    For example:

      forecheck forecast sales.csv --horizon 24 --level 80 --level 95 -o forecast.csv

      forecheck forecast ETTh1 --horizon 96 --model rlinear
    """
    o.check_writable(output, None if json in (None, "-") else Path(json))
    chosen = o.read_settings(settings)
    panel = o.load_panel(data, time, series, target, fill, drop)
    from forecheck import verbs
    from forecheck.cli.progress import Bars

    with Bars(quiet=quiet) as watcher:
        result = verbs.forecast(
            panel,
            horizon=horizon,
            model=model,
            level=level or (),
            lookback=lookback,
            split=split,
            candidates=o.read_names(candidates),
            margin=margin,
            period=period,
            options=chosen,
            refit=refit,
            workers=workers,
            ledger=ledger,
            watcher=watcher,
        )
    info = result.info
    typer.echo(
        f"{result.model} ({info['rule']}): test MSE {info['test_mse']:.4f} standardised, "
        f"lookback {info['lookback']}, {info['calibration_windows']} calibration windows",
        err=True,
    )
    described = jsonlib.dumps(info, indent=1) + "\n"
    if json not in (None, "-"):
        Path(json).write_text(described)
    if output is not None:
        result.write(output)
        typer.echo(f"wrote {output}", err=True)
    if json == "-":
        sys.stdout.write(described)
    elif output is None:
        sys.stdout.write(result.to_csv().decode())
