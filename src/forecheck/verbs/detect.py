"""`forecheck.detect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from forecheck.anomaly.detection.alarms import Rule
from forecheck.anomaly.detection.fit import Settings
from forecheck.anomaly.detection.labels import without_labels
from forecheck.anomaly.detection.run import run_detection, run_saved
from forecheck.anomaly.detection.saved import load_detector
from forecheck.anomaly.detection.spread import find_method
from forecheck.errors import UsageError
from forecheck.forecasting.candidates import CANDIDATES
from forecheck.reports.detection import Detection
from forecheck.trials.engines.pools import Workers
from forecheck.trials.protocol import Protocol, whole
from forecheck.verbs.common import Names, Options, Shown, as_panel, means_of, several


def detect(
    data: Any,
    *,
    horizon: int | None = None,
    model: str = "auto",
    model_dir: Path | str | None = None,
    before: Any = None,
    labels: Any = None,
    train: float = 0.5,
    calibrate: float = 0.2,
    false_alarms: float | None = None,
    scores: str = "robust",
    merge: int = 0,
    least: int = 1,
    attention: str = "patchtst",
    lookback: int | None = None,
    candidates: Names = CANDIDATES,
    margin: float = 0.01,
    period: int | None = None,
    options: Options | None = None,
    save: Path | str | None = None,
    workers: Workers = None,
    device: str = "cpu",
    store: Path | str | None = None,
    progress: Shown = False,
) -> Detection:
    """Find anomalies: rows that are far from what was forecast of them; see `forecheck.anomaly.detection.fit`.

    Args:
        data: a panel, a named set, a file or a frame; for a saved detector with the channels and the step of its data.
        horizon: H, steps ahead whose forecasts of a row are put together; 1 if not given.
        model: name of a forecaster, or `auto`.
        model_dir: folder of a detector that was saved. Nothing is fitted then, and all choices are those of its fit.
        before: with `model_dir`, the rows that come right before the data: these are looked back on, and not judged.
        labels: name of a column of 0 and 1, or one label a row: metrics stand beside. Nothing else sees them.
        train: share of the rows of the fit.
        calibrate: share of the rows, after those, that set the threshold. The rest is scored.
        false_alarms: per 1000 steps of a stream; None for 1, or the least that the calibration part can tell.
        scores: `robust` (medians, by phase of the season) or `standardised`.
        merge: rows below the threshold that do not end a segment of alarms.
        least: rows that a segment needs before it raises an alarm.
        attention: a forecaster with attention that is put beside, or `none`.
        lookback: L, steps of input; None for each model's own, as far as the data allow.
        candidates: what `auto` chooses from.
        margin: relative difference of validation loss below which `auto` takes the simpler forecaster.
        period: steps a season; None for that of the data's frequency.
        options: by forecaster, options that differ from the defaults.
        save: folder for the detector; an earlier one there is replaced.
        workers: processes, None for one a core, 0 for none; or a Ray cluster, `forecheck.Ray("auto")`.
        device: where networks are computed: auto, cpu, cuda, cuda:1 or mps. Results are kept by kind of device.
        store: folder of results, or a URL; None for the user's cache.
        progress: True for a bar, or a function that is called with the share that is done and a word.

    Returns:
        What was found: `.to_pandas()`, `.to_polars()`, `.to_arrow()`, `.write(path)` with
        `unique_id, ds, y, yhat, score, p_value, alarm, segment`, `.to_html(path)`, and `.data`.

    Raises:
        DataError: if the data, the labels or the folder cannot be used as they are.
        UsageError: if a name or number is wrong, or an option has no effect on a saved detector.
    """
    panel, known = without_labels(as_panel(data), labels)
    if model_dir is None:
        if before is not None:
            raise UsageError("rows before the data are looked back on by saved detectors alone", "Name --model-dir.")
        settings = Settings(
            _number("train", train),
            _number("calibrate", calibrate),
            find_method(scores),
            None if false_alarms is None else _number("false_alarms", false_alarms),
            Rule(merge, least),
            attention,
        )
        steps = 1 if horizon is None else whole("horizon", horizon)
        protocol = Protocol(steps, lookback, period=period, margin=margin)
        with means_of(workers, store, progress, device=device) as means:
            found = run_detection(
                panel,
                known,
                protocol,
                settings,
                means,
                model=model,
                candidates=several(candidates),
                options=options,
                save=None if save is None else Path(save),
            )
        return Detection(found.columns, found.data)
    saved = load_detector(Path(model_dir))
    if horizon not in (None, saved.fitted.horizon):
        raise UsageError(
            f"the detector in {model_dir} looks {saved.fitted.horizon} steps ahead, not {horizon}",
            "Leave the horizon out, or make another one.",
        )
    earlier = None if before is None else without_labels(as_panel(before), _same(labels, before))[0]
    with means_of(0, store, progress) as means:
        found = run_saved(saved, panel, known, earlier, means)
    return Detection(found.columns, found.data)


def _same(labels: Any, before: Any) -> str | None:
    """The column of labels, if the rows before have it too."""
    return labels if isinstance(labels, str) and labels in as_panel(before).channels else None


def _number(name: str, value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise UsageError(f"{name} is a number, got {value!r}") from None
    if not np.isfinite(found):
        raise UsageError(f"{name} is a finite number, got {value!r}")
    return found
