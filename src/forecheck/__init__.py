"""forecheck: tests for your forecaster. Does attention earn its keep on your data?"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

TYPE_CHECKING = False  # as type checkers know it; `typing` takes a quarter of the program's start
if TYPE_CHECKING:
    from typing import Any

    from forecheck import anomaly as anomaly
    from forecheck.attention.edits import Edit as Edit
    from forecheck.attention.feed_forward import NoiseHidden as NoiseHidden
    from forecheck.attention.feed_forward import SmoothFeatures as SmoothFeatures
    from forecheck.attention.outputs import Ablate as Ablate
    from forecheck.attention.outputs import Perturb as Perturb
    from forecheck.attention.outputs import Remove as Remove
    from forecheck.attention.perturb import FreezeToMean as FreezeToMean
    from forecheck.attention.perturb import Noise as Noise
    from forecheck.attention.perturb import Smooth as Smooth
    from forecheck.attention.positions import FillPositions as FillPositions
    from forecheck.attention.positions import MeanPositions as MeanPositions
    from forecheck.attention.positions import ShufflePositions as ShufflePositions
    from forecheck.attention.positions import ShuffleTokens as ShuffleTokens
    from forecheck.attention.positions import ZeroPositions as ZeroPositions
    from forecheck.attention.replace import Replace as Replace
    from forecheck.attention.sites import attach as attach
    from forecheck.cluster import Ray as Ray
    from forecheck.data.catalog import datasets as datasets
    from forecheck.data.load import load as load
    from forecheck.data.panel import Panel as Panel
    from forecheck.errors import DataError as DataError
    from forecheck.errors import ForecheckError as ForecheckError
    from forecheck.errors import TrialError as TrialError
    from forecheck.errors import UsageError as UsageError
    from forecheck.forecasting.fitted import Fitted as Fitted
    from forecheck.forecasting.forecast import Forecast as Forecast
    from forecheck.papers.reports.reproduction import Reproduction as Reproduction
    from forecheck.reports.detection import Detection as Detection
    from forecheck.reports.report import Finding as Finding
    from forecheck.reports.report import Report as Report
    from forecheck.verbs.audit import audit as audit
    from forecheck.verbs.backtest import backtest as backtest
    from forecheck.verbs.calibrate import calibrate as calibrate
    from forecheck.verbs.checks import checks as checks
    from forecheck.verbs.cross_validation import cross_validation as cross_validation
    from forecheck.verbs.detect import detect as detect
    from forecheck.verbs.doctor import doctor as doctor
    from forecheck.verbs.fit import fit as fit
    from forecheck.verbs.forecast import forecast as forecast
    from forecheck.verbs.models import models as models
    from forecheck.verbs.prune import prune as prune
    from forecheck.verbs.reproduce import reproduce as reproduce
    from forecheck.verbs.runs import runs as runs
    from forecheck.verbs.stream import stream as stream
    from forecheck.verbs.survey import survey as survey

# Public names and where they live; imported on first use, so that `import forecheck` stays quick.
_PUBLIC = {
    "Ablate": "forecheck.attention.outputs",
    "DataError": "forecheck.errors",
    "Detection": "forecheck.reports.detection",
    "Edit": "forecheck.attention.edits",
    "FillPositions": "forecheck.attention.positions",
    "Finding": "forecheck.reports.report",
    "Fitted": "forecheck.forecasting.fitted",
    "Forecast": "forecheck.forecasting.forecast",
    "ForecheckError": "forecheck.errors",
    "FreezeToMean": "forecheck.attention.perturb",
    "MeanPositions": "forecheck.attention.positions",
    "Noise": "forecheck.attention.perturb",
    "NoiseHidden": "forecheck.attention.feed_forward",
    "Panel": "forecheck.data.panel",
    "Perturb": "forecheck.attention.outputs",
    "Ray": "forecheck.cluster",
    "Remove": "forecheck.attention.outputs",
    "Replace": "forecheck.attention.replace",
    "Report": "forecheck.reports.report",
    "Reproduction": "forecheck.papers.reports.reproduction",
    "ShufflePositions": "forecheck.attention.positions",
    "ShuffleTokens": "forecheck.attention.positions",
    "Smooth": "forecheck.attention.perturb",
    "SmoothFeatures": "forecheck.attention.feed_forward",
    "TrialError": "forecheck.errors",
    "UsageError": "forecheck.errors",
    "ZeroPositions": "forecheck.attention.positions",
    "attach": "forecheck.attention.sites",
    "audit": "forecheck.verbs.audit",
    "backtest": "forecheck.verbs.backtest",
    "calibrate": "forecheck.verbs.calibrate",
    "checks": "forecheck.verbs.checks",
    "cross_validation": "forecheck.verbs.cross_validation",
    "datasets": "forecheck.data.catalog",
    "detect": "forecheck.verbs.detect",
    "doctor": "forecheck.verbs.doctor",
    "fit": "forecheck.verbs.fit",
    "forecast": "forecheck.verbs.forecast",
    "load": "forecheck.data.load",
    "models": "forecheck.verbs.models",
    "prune": "forecheck.verbs.prune",
    "reproduce": "forecheck.verbs.reproduce",
    "runs": "forecheck.verbs.runs",
    "stream": "forecheck.verbs.stream",
    "survey": "forecheck.verbs.survey",
}
__all__ = [  # noqa: RUF022  as people read it: what is made, then what is done
    "__version__",
    "Ablate",
    "DataError",
    "Detection",
    "Edit",
    "FillPositions",
    "Finding",
    "Fitted",
    "Forecast",
    "ForecheckError",
    "FreezeToMean",
    "MeanPositions",
    "Noise",
    "NoiseHidden",
    "Panel",
    "Perturb",
    "Ray",
    "Remove",
    "Replace",
    "Report",
    "Reproduction",
    "ShufflePositions",
    "ShuffleTokens",
    "Smooth",
    "SmoothFeatures",
    "TrialError",
    "UsageError",
    "ZeroPositions",
    "attach",
    "audit",
    "backtest",
    "calibrate",
    "checks",
    "cross_validation",
    "datasets",
    "detect",
    "doctor",
    "fit",
    "forecast",
    "load",
    "models",
    "prune",
    "reproduce",
    "runs",
    "stream",
    "survey",
]


_PACKAGES = ("anomaly",)
"""Public names of packages: `forecheck.anomaly.evaluate`."""


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"forecheck.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'forecheck' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, *_PACKAGES]
