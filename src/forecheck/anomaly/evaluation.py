"""`forecheck.anomaly.evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from forecheck.anomaly.inputs import check_times, one_series, read_detections, read_graded, read_labels
from forecheck.anomaly.metrics.registry import Graded, Metric, Needs, find_metric
from forecheck.anomaly.pair import Pair, Ranked
from forecheck.anomaly.result import Result
from forecheck.errors import UsageError

OF_ALARMS = ("net_event", "composite", "affiliation", "false_alarms", "latency")
OF_SCORES = ("vus_pr", "vus_roc", "auc_pr", "auc_roc")
"""What is measured if nothing is named."""


class Evaluation(Mapping[str, Result]):
    """Results by metric.

    Args:
        results: in the order in which they are shown.
    """

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = {each.metric: each for each in results}

    def __getitem__(self, name: str) -> Result:
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {each.value:.4g}" for name, each in self.items())
        return f"<Evaluation {values}>"

    def _repr_html_(self) -> str:
        """A table for a notebook."""
        head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(each))}</tr>" for each in self.values()
        )
        return f"<table><tr>{head}</tr>{rows}</table>"

    def __str__(self) -> str:
        rows = [_COLUMNS, *(_cells(each) for each in self.values())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        warned = [f"{name}: {each.warning}" for name, each in self.items() if each.warning]
        return "\n".join([*lines, *warned])

    def to_dict(self) -> dict[str, Any]:
        """As plain types, by metric."""
        return {name: each.to_dict() for name, each in self.items()}

    def to_frame(self) -> Any:
        """As a pandas frame, a row a metric (needs pandas)."""
        import pyarrow as pa

        rows = [each.to_dict() for each in self.values()]
        flat = ("parameters", "details")
        plain = [row | {name: ", ".join(f"{k}={v}" for k, v in row[name].items()) for name in flat} for row in rows]
        return pa.Table.from_pylist(plain).to_pandas()


_COLUMNS = ("metric", "value", "precision", "recall", "parameters")
"""Parameters that are not the defaults, which `forecheck metrics NAME` tells."""


def _cells(result: Result) -> tuple[str, ...]:
    given = {name: result.details.get(name, value) for name, value in result.parameters.items()}
    usual = find_metric(result.metric).parameters
    given = {name: value for name, value in given.items() if value != usual[name]}
    numbers = (result.value, result.precision, result.recall)
    shown = ("" if each is None else f"{each:.4f}" for each in numbers)
    return (result.metric, *shown, ", ".join(f"{name}={value}" for name, value in given.items()))


def evaluate(
    labels: Any,
    scores_or_alarms: Any,
    metrics: str | Sequence[str] | Mapping[str, Mapping[str, Any]] | None = None,
    *,
    times: Any = None,
    **options: Any,
) -> Evaluation:
    """Measure how well anomalies are detected in one series.

    Args:
        labels: which points are anomalous: truth values, or 0 and 1; for `edf` and `ldf` grades from 0 to 3.
        scores_or_alarms: truth values or whole numbers 0 and 1 are alarms; floating-point numbers are scores, higher
            for what looks more anomalous. No threshold is chosen for you, but by metrics with `oracle` in their names.
        metrics: names, see `forecheck metrics`, or names with parameters; if none are given, some that say different
            things of alarms or of scores.
        times: of the points; it is checked that they rise.
        options: parameters for every metric that has them.

    Returns:
        A result a metric, by name.

    Raises:
        DataError: if labels and scores differ in length, some are missing, or a metric is not defined for them.
        UsageError: if a metric or parameter is unknown, or a metric needs alarms and got scores, or the reverse.
    """
    first = one_series(labels, "labels")
    found = read_detections(scores_or_alarms, len(first))
    if times is not None:
        check_times(times, len(first))
    wanted = _wanted(metrics, found.dtype == bool)
    unknown = [name for name in options if not any(name in metric.parameters for metric, _ in wanted)]
    if unknown:
        named = ", ".join(metric.name for metric, _ in wanted)
        raise UsageError(f"no metric here has a parameter {unknown[0]!r}", f"Metrics: {named}.")
    pair: Pair | Ranked | None = None
    results = []
    for metric, given in wanted:
        _check_kind(metric, found)
        chosen = {name: value for name, value in options.items() if name in metric.parameters} | dict(given)
        if metric.needs is Needs.GRADED:
            results.append(metric.of(Graded(read_graded(first), found), chosen))
            continue
        if pair is None:
            y = read_labels(first)
            pair = Pair(y, found) if found.dtype == bool else Ranked(y, found)
        results.append(metric.of(pair, chosen))
    return Evaluation(results)


def _wanted(
    metrics: str | Sequence[str] | Mapping[str, Mapping[str, Any]] | None, alarms: bool
) -> list[tuple[Metric, Mapping[str, Any]]]:
    if metrics is None:
        metrics = OF_ALARMS if alarms else OF_SCORES
    if isinstance(metrics, str):
        metrics = [metrics]
    if not metrics:
        raise UsageError("no metric is named", "Leave `metrics` out for the usual ones; `forecheck metrics` lists all.")
    given = metrics if isinstance(metrics, Mapping) else {name: {} for name in metrics}
    return [(find_metric(name), each) for name, each in given.items()]


def _check_kind(metric: Metric, found: np.ndarray) -> None:
    if metric.needs is not Needs.SCORES and found.dtype != bool:
        raise UsageError(
            f"{metric.name} needs alarms, and these are scores (floating-point numbers)",
            "Choose a threshold on data without these labels and give scores >= threshold; numbers that are alarms "
            "already: values > 0.",
        )
    if metric.needs is Needs.SCORES and found.dtype == bool:
        raise UsageError(
            f"{metric.name} needs scores, and these are alarms",
            "Give the detector's scores as floating-point numbers, or name a metric of alarms.",
        )
