"""`forecheck.stream`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from forecheck.data.reading.pieces import open_pieces
from forecheck.forecasting.streaming.run import Streamed, run_stream
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol
from forecheck.verbs.common import Names, Options, Shown, levels, watching


def stream(
    data: str | os.PathLike[str],
    *,
    horizon: int,
    output: Path | str,
    model: str = "nlinear",
    level: float | Sequence[float] = (),
    lookback: int | None = None,
    split: str | None = None,
    period: int | None = None,
    options: Options | None = None,
    refit: bool = True,
    time: str | None = None,
    series: str | None = None,
    target: Names | None = None,
    drop: Names = (),
    workers: Workers = None,
    progress: Shown = False,
) -> Streamed:
    """Forecast many series that need not fit into memory; see `forecheck.forecasting.streaming.run.run_stream`.

    Args:
        data: a Parquet file, or a folder of such, in long form; the rows of a series follow each other.
        horizon: H.
        output: folder of the forecasts, a Parquet file some series. A run that was stopped goes on there.
        model: nlinear, rlinear, linear or dlinear.
        level: coverages of intervals in percent, one or several.
        lookback: L, steps of input; None for what suits the model and the lengths of the series.
        split: the parts on which the model is fitted, chosen and calibrated, in percent (`70/10/20`) or two dates; None
            for 70/10/20.
        period: steps a season; None for that of the data's frequency.
        options: by forecaster, options that differ from the defaults.
        refit: whether the model is refitted on all rows once its options are chosen.
        time: the time column; None to find it.
        series: the column with the series' names; None to find it.
        target: the columns to forecast; None for `y` or `target`, or else all numeric ones.
        drop: columns to leave out.
        workers: processes; None for one a core where there are so many series that it is worth while, 0 for none; or a
            Ray cluster, `fc.Ray(...)`, whose machines see data and output under the same names.
        progress: True for a bar, or a function that is called with the share that is done and a word.

    Returns:
        `.folder`, `.parts` and `.info`.

    Raises:
        DataError: if the data cannot be used as they are.
        UsageError: if a name or an option is wrong, or the folder holds something else.
    """
    protocol = Protocol(horizon, lookback, split, period=period)
    named = (drop,) if isinstance(drop, str) else tuple(drop)
    pieces = open_pieces(data, time=time, series=series, target=target, drop=named)
    with watching(progress) as watcher:
        return run_stream(
            pieces,
            protocol,
            Path(output),
            watcher,
            model=model,
            levels=levels(level),
            options=options or {},
            refit=refit,
            workers=workers,
        )
