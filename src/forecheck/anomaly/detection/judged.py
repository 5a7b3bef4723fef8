"""Detectors judged by labels: metrics of the scored rows with intervals over anomalies, and two of them compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from forecheck.anomaly.detection.bootstrap import DRAWS, FEWEST, Estimate, percentile_interval, resampled
from forecheck.anomaly.detection.detector import Scored
from forecheck.anomaly.evaluation import evaluate
from forecheck.anomaly.segments import segments
from forecheck.data.panel import Panel
from forecheck.progress import Progress

METRICS = {
    "vus_pr": "VUS-PR",
    "composite": "composite F1",
    "range_front": "range F, front bias",
    "net_event": "net event score",
    "false_alarms": "false alarms per 1000",
    "latency": "median latency",
}
"""What is measured, and what it is called."""
_MOST_ROWS = 20_000_000
"""Rows measured in a bootstrap, over all draws and detectors; fewer draws are made of longer data."""


@dataclass(frozen=True, eq=False)
class Judged:
    """The rows that are judged: scored ones with a label, series below each other with a normal row between.

    Attributes:
        labels: of the rows.
        scores, alarms: by detector.
        stream: what was judged, in words.
    """

    labels: Bool[np.ndarray, " time"]
    scores: Mapping[str, Float[np.ndarray, " time"]]
    alarms: Mapping[str, Bool[np.ndarray, " time"]]


def judged_rows(panel: Panel, labels: Float[np.ndarray, " time"], scored: Mapping[str, Scored]) -> Judged:
    """Labels, scores and alarms of the channel, or of all channels jointly, where every detector has a score.

    Args:
        panel: the data.
        labels: of all rows, NaN where unknown.
        scored: by detector.
    """
    stream = -1  # the only channel, or the joint stream
    known = ~np.isnan(labels)
    for each in scored.values():
        known = known & ~np.isnan(each.scores[:, stream])
    kept = [
        start + np.flatnonzero(known[start:end]) for start, end in zip(panel.offsets, panel.offsets[1:], strict=False)
    ]
    kept = [rows for rows in kept if len(rows)]

    def laid(values: Any, between: Any) -> Any:
        parts = [part for rows in kept for part in (values[rows], np.array([between]))][:-1]
        return np.concatenate(parts) if parts else np.zeros(0)

    return Judged(
        laid(labels > 0, False).astype(bool),
        {name: laid(each.scores[:, stream], np.nanmin(each.scores[:, stream])) for name, each in scored.items()}
        if kept
        else {},
        {name: laid(each.alarm[:, stream], False).astype(bool) for name, each in scored.items()} if kept else {},
    )


def judge(judged: Judged, model: str, reference: str, progress: Progress | None = None) -> dict[str, Any]:
    """Metrics of every detector with intervals over anomalies, and how two of them differ.

    Args:
        judged: rows, among them at least one anomaly and one normal row.
        model, reference: of the comparison; no comparison if `model` is empty.
        progress: called with the share that is done.

    Returns:
        As JSON types: `anomalies`, `rows`, `metrics` with their names, `detectors` with value and interval of every
        metric, `difference` of the net event score.
    """
    names = list(judged.scores)
    anomalies = segments(judged.labels)
    count = len(anomalies)
    window = max(1, int(np.median(anomalies.lengths)))  # L of VUS, the same for all draws
    whole = [_measured(judged, name, np.arange(len(judged.labels)), window) for name in names]
    values = np.stack(whole)
    intervals: list[list[tuple[float, float] | None]] = [[None] * len(METRICS) for _ in names]
    draws = np.zeros((0, len(names), len(METRICS)))
    if count >= FEWEST:
        many = int(np.clip(_MOST_ROWS // (len(judged.labels) * len(names)), 20, DRAWS))

        def measure(rows: Int[np.ndarray, " row"]) -> Float[np.ndarray, " number"]:
            return np.concatenate([_measured(judged, name, rows, window) for name in names])

        draws = resampled(judged.labels, measure, many, progress=progress).reshape(many, len(names), len(METRICS))
        intervals = [[percentile_interval(draws[:, a, b]) for b in range(len(METRICS))] for a in range(len(names))]
    found = {
        name: {metric: Estimate(float(values[a, b]), intervals[a][b]).to_list() for b, metric in enumerate(METRICS)}
        for a, name in enumerate(names)
    }
    judgement: dict[str, Any] = {
        "anomalies": count,
        "rows": len(judged.labels),
        "anomalous": float(judged.labels.mean()),
        "metrics": METRICS | {"vus_pr": f"VUS-PR, L = {window}"},
        "detectors": found,
        "difference": None,
    }
    if model in names and len(draws):
        a, b, c = names.index(model), names.index(reference), list(METRICS).index("net_event")
        difference = percentile_interval(draws[:, a, c] - draws[:, b, c])
        estimate = Estimate(float(values[a, c] - values[b, c]), difference)
        judgement["difference"] = {"model": model, "against": reference, "net_event": estimate.to_list()}
    return judgement


def _measured(judged: Judged, name: str, rows: Int[np.ndarray, " row"], window: int) -> Float[np.ndarray, " number"]:
    """Every metric of some rows."""
    labels = judged.labels[rows]
    found: dict[str, float] = {}
    for asked, values in (
        ({"vus_pr": {"window": window}}, judged.scores[name][rows]),
        ({key: {} for key in METRICS if key != "vus_pr"}, judged.alarms[name][rows]),
    ):
        found |= {key: result.value for key, result in evaluate(labels, values, asked).items()}
    return np.array([found[key] for key in METRICS])
