"""`forecheck.models` and `forecheck.checks`."""

from __future__ import annotations

from typing import Any

from forecheck.auditing.catalogue import CHECKS
from forecheck.auditing.pages import describe_check
from forecheck.forecasters import registry
from forecheck.forecasters.overview import overview


def models() -> list[dict[str, Any]]:
    """Every forecaster, the simplest first; see `forecheck.forecasters.overview.overview`."""
    return [overview(forecaster) for forecaster in registry.all_forecasters()]


def checks() -> list[dict[str, Any]]:
    """Every check of an audit: code, family, title, what is asked, severity, and what it needs."""
    return [describe_check(check) for check in CHECKS.values()]
