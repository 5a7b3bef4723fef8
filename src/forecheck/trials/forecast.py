"""Forecast: fit what the backtest's rule picks, and say how far off it tends to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from forecheck.data.panel import Panel
from forecheck.data.splits import Borders, origins
from forecheck.data.windows import Experiment, Windows, prepare
from forecheck.errors import DataError, UsageError
from forecheck.evaluation.conformal import conformal_width
from forecheck.files import replace_file
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster
from forecheck.trials.backtest import check_margin, plan
from forecheck.trials.engines.base import Run
from forecheck.trials.ledger import Ledger
from forecheck.trials.score import batch_size
from forecheck.trials.selection import default_lookback, simplest_unbeaten, usable

CANDIDATES = ("last", "seasonal", "mean", "nlinear", "rlinear", "linear", "dlinear")
_RESIDUALS = 50_000_000  # numbers of calibration residuals held at once


@dataclass(frozen=True, eq=False)
class Forecast:
    """Forecasts of every series and channel, in real units.

    Attributes:
        model: what made them.
        columns: `unique_id`, `ds`, the model's name, and `<model>-lo-<level>`, `<model>-hi-<level>`.
        info: why this model, what its validation and test losses are, and how the intervals were calibrated.
    """

    model: str
    columns: dict[str, Any]
    info: dict[str, Any]

    def to_arrow(self) -> Any:
        """As a pyarrow table."""
        import pyarrow as pa

        return pa.table({key: pa.array(values) for key, values in self.columns.items()})

    def to_pandas(self) -> Any:
        """As a pandas frame."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """As a polars frame (needs polars)."""
        import polars as pl

        return pl.from_arrow(self.to_arrow())

    def to_csv(self) -> bytes:
        """As CSV; stamps without a fraction of a second are written without one."""
        import io

        import pyarrow as pa
        import pyarrow.csv

        table = self.to_arrow()
        stamps = np.asarray(self.columns["ds"])
        if stamps.dtype.kind == "M" and (stamps == stamps.astype("datetime64[s]")).all():
            place = table.schema.get_field_index("ds")
            table = table.set_column(place, "ds", table["ds"].cast(pa.timestamp("s")))
        # Arrow quotes either all texts or none, and all names of a header.
        special = any(set(name) & set(',"\r\n') for name in set(self.columns["unique_id"]))
        plain = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed" if special else "none")
        buffer = io.BytesIO()
        pyarrow.csv.write_csv(table, buffer, plain)
        return ",".join(table.column_names).encode() + b"\n" + buffer.getvalue()

    def write(self, path: str | Path) -> None:
        """Write CSV, or Parquet if the path ends so."""
        import pyarrow.parquet

        path = Path(path)
        if path.suffix.lower() in (".parquet", ".pq"):
            replace_file(path, lambda part: pyarrow.parquet.write_table(self.to_arrow(), part))
        else:
            replace_file(path, lambda part: _write_bytes(part, self.to_csv()))


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def run_forecast(
    panel: Panel,
    horizon: int,
    run: Run,
    ledger: Ledger,
    *,
    model: str = "auto",
    candidates: Sequence[str] = CANDIDATES,
    lookback: int | None = None,
    levels: Sequence[float] = (),
    split: str | None = None,
    margin: float = 0.01,
    period: int | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    refit: bool = True,
) -> Forecast:
    """Forecast the `horizon` steps after the end of every series.

    The panel is split in three: models are fitted on the first part, chosen on the second, and the intervals are
    calibrated on the third, which neither fitting nor choosing saw. Then closed-form models are refitted, with the
    strength that was chosen, on everything; the intervals stay those of the calibrated fit.

    Args:
        panel: the data.
        horizon: steps to forecast.
        run: engine.
        ledger: where fits are kept.
        model: name of a forecaster, or `auto`: the simplest candidate not beaten beyond the margin on validation.
        candidates: what `auto` chooses from.
        lookback: L, or None for a length that the data allow.
        levels: coverage of the intervals, in percent.
        split: notation of a split, or None for the panel's standard one.
        margin: of `auto`.
        period: season, or None for that of the panel's frequency.
        options: by model, options that differ from the defaults.
        refit: refit closed-form models on all rows.

    Raises:
        DataError: if a series is too short, or there are too few windows for a level.
        UsageError: if a name, option or level is wrong.
    """
    if horizon < 1:
        raise UsageError(f"horizon must be positive, got {horizon}")
    check_margin(margin)
    for level in levels:
        if not 0 < level < 100:
            raise UsageError(f"a level is a percentage between 0 and 100, got {level:g}")
    if lookback is None:  # every series has to fill one
        lookback = min(default_lookback(panel, horizon, split), int(panel.lengths.min()))
    experiment = prepare(panel, lookback, horizon, split)
    short = np.flatnonzero(panel.lengths < lookback)
    if len(short):
        raise DataError(
            f'series "{panel.series[short[0]]}" of {panel.name} has {panel.lengths[short[0]]} rows, '
            f"fewer than the lookback {lookback}",
            "Give a shorter --lookback, or drop the series.",
        )
    for level in levels:  # too few windows are told before any work is done
        conformal_width(np.zeros((len(experiment.test), 1, 1)), level / 100)
    period = panel.frequency.period if period is None else period
    names = usable(candidates, period, lookback) if model == "auto" else [model]
    left_out = set(candidates) - set(names) if model == "auto" else set()
    chosen_options = {key: value for key, value in (options or {}).items() if key not in left_out}
    planned = plan(experiment, names, chosen_options, 1, period)
    ledger.put_panel(panel)
    run([trial for group in planned.values() for trial in group], ledger)
    results = {name: ledger.need(group[0]) for name, group in planned.items()}
    losses = {name: result.summary["validation_mse"] for name, result in results.items()}
    chosen = simplest_unbeaten(losses, margin)
    result = results[chosen]
    fitted = registry.load(result.folder / "model")
    widths = _widths(fitted, experiment, levels)
    details = result.summary["fit"]["details"]
    final = _refitted(fitted, experiment, details) if refit else fitted
    info = {
        "model": chosen,
        "rule": f"simplest within {100 * margin:g} % of the best validation loss" if model == "auto" else "named",
        "lookback": lookback,
        "validation_mse": losses,
        "test_mse": result.summary["mse"],
        "test_mae_real": result.summary["mae_real"],
        "calibration_windows": len(experiment.test),
        "refitted": final is not fitted,
        "split": experiment.split,
    }
    return Forecast(chosen, _frame(final, experiment, chosen, widths), info)


def _widths(
    fitted: Forecaster, experiment: Experiment, levels: Sequence[float]
) -> dict[str, Float[np.ndarray, "horizon channel"]]:
    """Conformal half-widths by level, standardised units; series share them, channels do not."""
    if not levels:
        return {}
    test = experiment.test
    stride = max(1, len(test) * test.horizon * test.channels // _RESIDUALS)
    windows = test.strided(stride)
    residuals = np.concatenate(
        [(fitted.predict(x) - y).abs().numpy() for _, x, y in windows.batches(batch_size(windows))]
    )
    return {f"{level:g}": conformal_width(residuals, level / 100) for level in levels}


def _refitted(fitted: Forecaster, experiment: Experiment, details: Mapping[str, Any]) -> Forecaster:
    """The forecaster fitted on every row, where that takes no training; else the one that is there."""
    ridge = details.get("ridge")
    if ridge is None or isinstance(ridge, list):  # trained, or nothing to fit, or a strength a channel
        return fitted
    lengths = experiment.panel.lengths
    everything = Borders(lengths, lengths, lengths)
    test = experiment.test
    rows = origins(experiment.panel, everything, "train", test.lookback, test.horizon)
    windows = Windows(test.values, test.lookback, test.horizon, rows)
    again = type(fitted)(fitted.task, replace(fitted.config, ridge=ridge))
    again.fit(windows, windows)
    return again


def _frame(
    fitted: Forecaster,
    experiment: Experiment,
    name: str,
    widths: Mapping[str, Float[np.ndarray, "horizon channel"]],
) -> dict[str, Any]:
    """Columns of the forecast, series by series and channel by channel."""
    panel, scaler, lookback = experiment.panel, experiment.scaler, experiment.test.lookback
    horizon = experiment.test.horizon
    ends = panel.offsets[1:]
    x = np.stack([experiment.test.values[end - lookback : end] for end in ends]).astype(np.float32)
    y = np.concatenate([fitted.predict(part).numpy() for part in torch.split(torch.from_numpy(x), 64)]).astype(
        np.float64
    )
    mean, std = scaler.mean[:, None, :], scaler.std[:, None, :]  # (series, 1, channel)
    bands = {name: y}
    for level, width in widths.items():
        bands |= {f"{name}-lo-{level}": y - width, f"{name}-hi-{level}": y + width}
    stamps = np.stack([panel.frequency.future(panel.time[end - 1], horizon) for end in ends])
    ids = [_unique_id(panel, s, c) for s in range(len(panel.series)) for c in range(len(panel.channels))]
    columns: dict[str, Any] = {
        "unique_id": np.repeat(np.array(ids, dtype=object), horizon).tolist(),
        "ds": np.repeat(stamps, len(panel.channels), axis=0).reshape(-1),
    }
    for key, values in bands.items():
        columns[key] = (values * std + mean).transpose(0, 2, 1).reshape(-1)
    return columns


def _unique_id(panel: Panel, series: int, channel: int) -> str:
    if len(panel.series) == 1:
        return panel.channels[channel]
    if len(panel.channels) == 1:
        return panel.series[series]
    return f"{panel.series[series]}/{panel.channels[channel]}"
