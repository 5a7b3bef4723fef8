"""`forecheck.checks`."""

from __future__ import annotations

from typing import Any

from forecheck.auditing.catalogue import CHECKS
from forecheck.auditing.pages import describe_check


def checks() -> list[dict[str, Any]]:
    """Every check of an audit: code, family, title, what is asked, severity, and what it needs."""
    return [describe_check(check) for check in CHECKS.values()]
