"""Detection from end to end: fit, calibrate, score and compare; or score new rows by a detector that was saved."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.detection.comparison import planted_by_all, roles, row_of, scored_by_all, worth
from forecheck.anomaly.detection.continued import continued
from forecheck.anomaly.detection.detector import Detector, Scored
from forecheck.anomaly.detection.fit import Fits, Settings, fit_detectors
from forecheck.anomaly.detection.judged import judge, judged_rows
from forecheck.anomaly.detection.labels import unnamed_labels
from forecheck.anomaly.detection.naive import RANDOM, random_scored
from forecheck.anomaly.detection.report import WORST, apart, close_ups, drawn_series, segments_of, streams_of
from forecheck.anomaly.detection.saved import Saved, check_detector_place, save_detector
from forecheck.anomaly.detection.table import stream_names, table_of
from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.source import listed
from forecheck.errors import DataError
from forecheck.forecasting.fitted import of_one_kind
from forecheck.progress import Progress
from forecheck.trials.describe import header, machine
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol


@dataclass(frozen=True, eq=False)
class Found:
    """What was detected.

    Attributes:
        columns: see `table.table_of`.
        data: the report, as JSON types.
    """

    columns: dict[str, Any]
    data: dict[str, Any]


def run_detection(
    panel: Panel,
    labels: Float[np.ndarray, " time"] | None,
    protocol: Protocol,
    settings: Settings,
    means: Means,
    *,
    model: str = "auto",
    candidates: Sequence[str],
    options: Mapping[str, Mapping[str, Any]] | None = None,
    save: Path | None = None,
) -> Found:
    """Fit, calibrate, score the rest, and put references beside; see `fit.fit_detectors` for the arguments.

    Args:
        panel: the data.
        labels: of all rows, NaN where unknown; nothing but the metrics sees them.
        protocol: horizon, lookback, period and margin; its split is not used.
        settings: shares, scores, rate and rule.
        means: engine, and the store of fits.
        model: name of a forecaster, or `auto`.
        candidates: what `auto` chooses from.
        options: by model, options that differ from the defaults.
        save: folder for the detector.

    Raises:
        DataError: if the data are too short or cannot be scaled.
        UsageError: if a name, option or number is wrong, or the folder holds something else.
    """
    started = time.perf_counter()
    stream_names(panel)
    if save is not None:
        check_detector_place(save)
    fits = fit_detectors(panel, protocol, settings, means, model=model, candidates=candidates, options=options)
    first = fits.parts.calibration_end
    scored = scored_by_all(fits, _progress(means, "scores"))
    plants, planted = planted_by_all(fits, _progress(means, "planted anomalies"))
    if save is not None:
        save_detector(fits, save)
    known = labels
    if labels is not None and len(fits.panel.values) < len(panel.values):
        known = labels[np.repeat(np.isin(panel.series, fits.panel.series), panel.lengths)]
    data = _data_of(fits.panel, scored[fits.chosen.name], fits.chosen, first, known)
    by_role = roles(fits)
    data |= {
        "model": fits.info,
        "parts": _parts(fits),
        "detectors": [row_of(name, by_role[name], each, plants, planted.get(name)) for name, each in scored.items()],
        "attention": worth(fits, planted),
        "labelled": None,
    }
    data["notes"] += [*fits.info["notes"], *_look(panel, labels, plants)]
    if known is not None:
        data["labelled"], notes = _judged(fits.panel, known, scored, (fits.attention, fits.plain), means)
        data["notes"] += notes
    data["settings"] |= {"method": settings.method, "horizon": protocol.horizon, "lookback": fits.info["lookback"]}
    return Found(
        table_of(fits.panel, scored[fits.chosen.name], first),
        header("detection") | data | {"seconds": time.perf_counter() - started, "environment": machine()},
    )


def run_saved(
    saved: Saved, panel: Panel, labels: Float[np.ndarray, " time"] | None, before: Panel | None, means: Means
) -> Found:
    """Score new rows by a detector that was saved; nothing is fitted.

    Args:
        saved: the detector.
        panel: rows to score.
        labels: of all rows; judged by them if there are any.
        before: rows that come right before them. A row is scored from the lookback and H - 1 rows before it, and
            belongs to the segment that is open then; so that with all earlier rows, or with those since the last
            alarm and the lookback before, every row is judged as it would be in one piece.
        means: whose watcher receives the progress.

    Raises:
        DataError: if the data are of another kind than those of the fit, or too short for one score.
    """
    started = time.perf_counter()
    own = _aligned(saved, panel)
    counts = np.zeros(len(own.series), dtype=np.int64)
    whole = own
    if before is not None:
        whole, counts = continued(_aligned(saved, before), own)
    context = saved.detector.source.context
    if int(whole.lengths.max()) <= context:
        raise DataError(
            f"{panel.name} has too few rows for a score: {int(whole.lengths.max())}, with those before them, but the "
            f"first score comes after {context} rows",
            "Give more rows, or those that come before (--before).",
        )
    first = np.maximum(counts, np.minimum(context, whole.lengths))
    scored = saved.detector.score(saved.ground, whole, np.zeros_like(counts), _progress(means, "scores"))
    data = _data_of(whole, scored, saved.detector, first, None)
    skipped = int((first - counts).sum())
    if skipped:
        data["notes"].append(
            f"the first {int((first - counts).max())} rows of a series are what the first score looks back on, and "
            "have none; give the rows before them with --before"
        )
    info = saved.fitted.info
    data |= {"model": info, "parts": None, "detectors": [], "attention": None, "labelled": None}
    if labels is not None:
        beside = {saved.detector.name: scored, RANDOM: random_scored(scored, saved.detector, whole.offsets)}
        data["labelled"], notes = _judged(whole, _after(labels, whole, counts), beside, ("", ""), means)
        data["notes"] += notes
    task = saved.fitted.forecaster.task
    data["settings"] |= {"horizon": task.horizon, "lookback": task.lookback}
    return Found(
        table_of(whole, scored, first),
        header("detection") | data | {"seconds": time.perf_counter() - started, "environment": machine()},
    )


def _after(
    labels: Float[np.ndarray, " own"], whole: Panel, counts: Int[np.ndarray, " series"]
) -> Float[np.ndarray, " time"]:
    """Labels of all rows, unknown for those that come before."""
    own = np.concatenate([np.arange(length) >= count for length, count in zip(whole.lengths, counts, strict=True)])
    found = np.full(len(own), np.nan)
    found[own] = labels
    return found


def _aligned(saved: Saved, panel: Panel) -> Panel:
    """As `Fitted.aligned`, but for the length: rows may come in pieces of any."""
    frequency = saved.fitted.frequency
    if all(_obeys(panel.time[panel.series_rows(place)], frequency) for place in range(len(panel.series))):
        panel = replace(panel, frequency=frequency)  # a few rows look like other steps, 31 days or a month
    kind = of_one_kind(panel, saved.fitted.channels, frequency)
    if strange := [name for name in panel.series if name not in set(saved.fitted.series)]:
        raise DataError(
            f"the detector was not fitted on series {listed(strange)} of {panel.name}",
            "Drop these series, or make a detector of them.",
        )
    return kind


def _obeys(times: Any, frequency: Frequency) -> bool:
    """Whether stamps are one step of a frequency apart."""
    positions = frequency.positions(times)
    return positions is not None and bool((np.diff(positions) == 1).all())


def _data_of(
    panel: Panel, scored: Scored, detector: Detector, first: Int[np.ndarray, " series"], labels: Any
) -> dict[str, Any]:
    """What is said of the scored rows whatever they are scored by."""
    streams = streams_of(panel, scored, detector, first)
    segments = segments_of(panel, scored, first)
    worst = segments[:WORST]
    notes = []
    missing = sum(each["rows"] - each["scored"] for each in streams)
    if missing:
        total = sum(each["rows"] for each in streams)
        notes.append(f"{missing:,} of {total:,} places have no score: their value was missing, or rows before it")
    return {
        "data": {"name": panel.name, "read": panel.described},
        "settings": {
            "false_alarms": detector.false_alarms,
            "merge": detector.rule.merge,
            "least": detector.rule.least,
        },
        "streams": streams,
        "segments": {"count": len(segments), "worst": worst},
        "drawn": drawn_series(panel, scored, first, labels),
        "close": close_ups(panel, scored, apart(segments, panel.offsets), first),
        "notes": notes,
    }


def _look(panel: Panel, labels: Any, plants: Sequence[Any]) -> list[str]:
    notes = []
    if labels is None and (names := unnamed_labels(panel)):
        notes.append(f"{listed(names)}: 0 and 1 alone. If these are labels, name them with --labels; they were scored")
    if not plants:
        notes.append("too few scored rows to plant anomalies: detectors are compared by their alarms alone")
    return notes


def _judged(
    panel: Panel,
    labels: Float[np.ndarray, " time"],
    scored: Mapping[str, Scored],
    compared: tuple[str, str],
    means: Means,
) -> tuple[Any, list[str]]:
    rows = judged_rows(panel, labels, scored)
    if not len(rows.labels) or not rows.labels.any() or rows.labels.all():
        what = "nothing but anomalies" if len(rows.labels) and rows.labels.any() else "no anomaly"
        return None, [f"the labels of the scored part hold {what}: no metric"]
    stream = "the channel" if len(panel.channels) == 1 else "all channels jointly"
    return judge(rows, *compared, _progress(means, "bootstrap over anomalies")) | {"stream": stream}, []


def _parts(fits: Fits) -> list[dict[str, Any]]:
    parts = fits.parts
    borders = [np.zeros_like(parts.train_end), parts.train_end, parts.fit_end, parts.calibration_end]
    names = ("weights are fitted", "models are chosen, errors scaled", "threshold is calibrated", "rows are scored")
    ends = [*borders[1:], fits.panel.lengths]
    return [
        {"part": name, "rows": int(np.maximum(end - start, 0).sum())}
        for name, start, end in zip(names, borders, ends, strict=True)
    ]


def _progress(means: Means, name: str) -> Progress:
    return lambda share, _: means.watcher.part(name, share, 1)
