"""Anomalies: what a metric of detection measures and rewards."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from forecheck.anomaly.evaluation import Evaluation as Evaluation
    from forecheck.anomaly.evaluation import evaluate as evaluate
    from forecheck.anomaly.harness.table import Properties as Properties
    from forecheck.anomaly.harness.table import properties as properties
    from forecheck.anomaly.metrics.registry import all_metrics as all_metrics
    from forecheck.anomaly.metrics.registry import find_metric as find_metric
    from forecheck.anomaly.result import Result as Result
    from forecheck.anomaly.segments import Segments as Segments

_PUBLIC = {
    "Evaluation": "evaluation",
    "Properties": "harness.table",
    "Result": "result",
    "Segments": "segments",
    "all_metrics": "metrics.registry",
    "evaluate": "evaluation",
    "find_metric": "metrics.registry",
    "properties": "harness.table",
}
__all__ = [
    "Evaluation",
    "Properties",
    "Result",
    "Segments",
    "all_metrics",
    "evaluate",
    "find_metric",
    "properties",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'forecheck.anomaly' has no attribute {name!r}")
    return getattr(import_module(f"forecheck.anomaly.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
