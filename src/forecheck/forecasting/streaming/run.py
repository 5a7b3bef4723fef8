"""A stream: fit a closed form on many series that need not fit into memory, and write their forecasts part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

import forecheck
from forecheck.data.reading.pieces import Pieces
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster, Task
from forecheck.forecasters.linear import ClosedForm
from forecheck.forecasting.fitted import check_level
from forecheck.forecasting.streaming.cut import Plan
from forecheck.forecasting.streaming.fit import fit_stream
from forecheck.forecasting.streaming.place import Place, StreamFit, check_folder
from forecheck.forecasting.streaming.spread import Spread, spread_over
from forecheck.forecasting.streaming.steps import Forecasts
from forecheck.forecasting.streaming.survey import described, own_lookback, survey
from forecheck.progress import Progress
from forecheck.trials.engines.base import Watcher
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol

STREAMED = ("nlinear", "rlinear", "linear", "dlinear")
"""Models that are sums of series: what is fitted needs all data once."""


@dataclass(frozen=True)
class Streamed:
    """Forecasts in a folder.

    Attributes:
        folder: a Parquet data set of `unique_id`, `ds`, the model and its intervals, as `Forecast.columns` has them.
        parts: its files, in the order of the series.
        info: why and how, as that of a forecast.
    """

    folder: Path
    parts: tuple[Path, ...]
    info: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"<Streamed {self.info['model']}: {self.info['series']:,} series, {len(self.parts)} parts in {self.folder}>"
        )


def run_stream(
    pieces: Pieces,
    protocol: Protocol,
    folder: Path,
    watcher: Watcher,
    *,
    model: str,
    levels: Sequence[float],
    options: Mapping[str, Mapping[str, Any]],
    refit: bool,
    workers: Workers = 0,
) -> Streamed:
    """Fit and forecast all series of some data, a piece at a time.

    Memory is that of a piece and of the Gram matrices, whatever the number of series. The forecasts are those of
    `forecheck.forecasting.fit.run_fit` on all data, up to the order in which numbers are added. A run that was stopped
    goes on where it was: with the fit that it had, and the first part that is not there.

    Args:
        pieces: the data.
        protocol: horizon, lookback, split and period.
        folder: what is written to; it is made if it is not there.
        watcher: receives the progress.
        model: one of `STREAMED`.
        levels: coverage of intervals, in percent.
        options: of the model, by its name.
        refit: fit again on all rows.
        workers: who reads tables; results are the same to the last bit.

    Raises:
        DataError: if the data cannot be used as they are.
        UsageError: if a name, an option or the folder is wrong.
        WriteError: if the system does not let it write.
    """
    for level in levels:
        check_level(level)
    if protocol.lookback is not None and protocol.lookback < 1:
        raise UsageError(f"the lookback must be positive, got {protocol.lookback}")
    kind = _kind(model, options)
    config = registry.read_config(kind, options.get(model, {}))
    check_folder(folder, pieces.place)
    place = Place(folder, _request(pieces, protocol, model, config, levels, refit=refit))
    fit = place.fit()
    if fit is None or _left(fit, place):
        with spread_over(pieces.divided(_progress(watcher, "names")), folder, workers) as spread:
            if fit is None:
                fit = _fit(spread, protocol, watcher, model, options.get(model, {}), levels, refit=refit)
                place.keep(fit)
            for _ in spread.run(Forecasts(place, levels), _progress(watcher, "forecasts"), _left(fit, place)):
                pass
    return Streamed(folder, tuple(place.parts()), fit.info)


def _kind(model: str, options: Mapping[str, Any]) -> type[Forecaster]:
    if model not in STREAMED:
        raise UsageError(
            f"{model} cannot be streamed: its fit is no sum over series", f"Choose one of {', '.join(STREAMED)}."
        )
    if other := set(options) - {model}:
        raise UsageError(f"options of {min(other)} have no effect on {model}", "Leave them out.")
    return registry.find(model)


def _request(
    pieces: Pieces, protocol: Protocol, model: str, config: Any, levels: Sequence[float], *, refit: bool
) -> dict[str, Any]:
    """What decides the forecasts."""
    return {
        "data": pieces.signature,
        "cut": [*pieces.sizes, pa.__version__],  # which series are in which part
        "columns": [pieces.series, pieces.time, *pieces.channels],
        "horizon": protocol.horizon,
        "lookback": protocol.lookback,
        "split": protocol.split,
        "model": model,
        "options": asdict(config),
        "levels": sorted(levels),
        "refit": refit,
        "version": forecheck.__version__,
    }


def _left(fit: StreamFit, place: Place) -> set[int]:
    """Parts that are still to be written."""
    return {number for number in fit.info["parts"] if not place.part(number).exists()}


def _fit(
    spread: Spread,
    protocol: Protocol,
    watcher: Watcher,
    model: str,
    options: Mapping[str, Any],
    levels: Sequence[float],
    *,
    refit: bool,
) -> StreamFit:
    known = survey(spread, protocol.split or "70/10/20", _progress(watcher, "reading"))
    lookback = protocol.lookback
    if lookback is None:
        lookback = own_lookback(spread, known, model, protocol.horizon, _progress(watcher, "lookback"))
    plan = Plan(lookback, protocol.horizon, known.split, known.first)
    period = protocol.period or known.frequency.period
    forecaster = registry.create(model, Task(lookback, protocol.horizon, len(known.channels), period), options)
    assert isinstance(forecaster, ClosedForm)
    callbacks = {"summing": _progress(watcher, "sums"), "calibrating": _progress(watcher, "intervals")}
    fit = fit_stream(spread, plan, forecaster, sorted(levels), refit=refit, **callbacks)
    info: dict[str, Any] = {
        "model": model,
        "rule": "named",
        "read": described(known, spread.pieces),
        "notes": list(known.notes),
    }
    info |= {"lookback": lookback, "split": known.split, "first": str(known.first), "last": str(known.last)}
    info |= {"series": known.series, "rows": known.rows, "parts": list(known.tables)} | fit.info
    return StreamFit(fit.forecaster, fit.widths, info)


def _progress(watcher: Watcher, name: str) -> Progress:
    return lambda share, _: watcher.part(name, share, 1)
