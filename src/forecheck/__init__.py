"""forecheck: tests for your forecaster. Does attention earn its keep on your data?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from forecheck.data.catalog import datasets as datasets
    from forecheck.data.load import load as load
    from forecheck.data.panel import Panel as Panel
    from forecheck.interventions.replace import Replace as Replace
    from forecheck.reports.report import Report as Report
    from forecheck.verbs import audit as audit
    from forecheck.verbs import backtest as backtest
    from forecheck.verbs import forecast as forecast
    from forecheck.verbs import models as models

# Public names and where they live; imported on first use, so that `import forecheck` stays quick.
_PUBLIC = {
    "Panel": "forecheck.data.panel",
    "Replace": "forecheck.interventions.replace",
    "Report": "forecheck.reports.report",
    "audit": "forecheck.verbs",
    "backtest": "forecheck.verbs",
    "datasets": "forecheck.data.catalog",
    "forecast": "forecheck.verbs",
    "load": "forecheck.data.load",
    "models": "forecheck.verbs",
}
__all__ = ["Panel", "Replace", "Report", "__version__", "audit", "backtest", "datasets", "forecast", "load", "models"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'forecheck' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
