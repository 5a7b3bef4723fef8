"""Every check by its code."""

from __future__ import annotations

from forecheck.checks import attention, harness, references
from forecheck.checks.evidence import Evidence
from forecheck.checks.protocol import Check, Finding

CHECKS: dict[str, Check] = {check.code: check for check in (*harness.CHECKS, *references.CHECKS, *attention.CHECKS)}


def run_checks(evidence: Evidence) -> list[Finding]:
    """Findings of all checks that apply, by code."""
    findings = (CHECKS[code].run(evidence) for code in sorted(CHECKS))
    return [finding for finding in findings if finding is not None]
