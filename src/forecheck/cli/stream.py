"""`forecheck stream`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forecheck.cli import options as o
from forecheck.cli.say import say


def stream(
    data: Annotated[Path, typer.Argument(help="A Parquet file, or a folder of such, in long form.")],
    horizon: o.Horizon,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of forecasts; a stopped run goes on.")],
    model: Annotated[str, typer.Option(help="nlinear, rlinear, linear or dlinear.")] = "nlinear",
    level: Annotated[list[float] | None, typer.Option(help="Coverage of an interval in percent; repeatable.")] = None,
    lookback: o.Lookback = None,
    refit: o.Refit = True,
    split: Annotated[str | None, typer.Option(help="70/10/20 (percent) or 2015-01-01,2016-01-01 (dates).")] = None,
    period: o.Period = None,
    settings: o.Set = None,
    time: o.Time = None,
    series: o.Series = None,
    target: o.Target = None,
    drop: o.Drop = None,
    workers: o.Workers = None,
    engine: o.Engine = None,
    address: o.Address = None,
    quiet: o.Quiet = False,
) -> None:
    """Forecast many series that need not fit into memory, with a closed-form model.

    The data are read several times, some series at a time; forecasts are written while they are made, and a run that
    was stopped goes on with the next part.

    For example:

      forecheck stream panel/ --horizon 24 --level 80 -o forecasts
    """
    chosen = o.read_settings(settings)
    import forecheck as fc
    from forecheck.progress.bar import Bar

    with Bar(quiet=quiet) as watcher:
        made = fc.stream(
            data,
            horizon=horizon,
            output=output,
            model=model,
            level=level or (),
            lookback=lookback,
            split=split,
            period=period,
            options=chosen,
            refit=refit,
            time=time,
            series=series,
            target=target,
            drop=tuple(drop or ()),
            workers=o.read_workers(workers, engine, address),
            progress=watcher,
        )
    if not quiet:
        say(made.info["read"], err=True)
    say(o.said_of(made.info), err=True)
    say(f"wrote {len(made.parts)} part{'s' * (len(made.parts) != 1)} to {output}", err=True)
