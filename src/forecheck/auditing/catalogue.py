"""Every check by its code, and which of them an audit runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from forecheck.auditing.check import Check, Finding
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.harness import BY_CONSTRUCTION
from forecheck.auditing.setting import Setting
from forecheck.errors import UsageError

_MODULES = (
    "harness",
    "references",
    "edited",
    "patches",
    "heads",
    "pruned",
    "representation",
    "explained",
    "data",
    "blackbox",
)


def _catalogue() -> dict[str, Check]:
    modules = [import_module(f"forecheck.auditing.{name}") for name in _MODULES]
    checks = [check for module in modules for check in module.CHECKS]
    return {check.code: check for check in sorted(checks, key=lambda check: check.code)}


CHECKS: dict[str, Check] = _catalogue()


@dataclass(frozen=True)
class Selection:
    """Which checks are run, by prefixes of their codes, as linters have it.

    Attributes:
        select: only these; empty for all that the budget runs.
        ignore: not these; wins over `select`.
        options: of the audit that ask for checks of their own, besides those that are selected.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, select: Iterable[str] = (), ignore: Iterable[str] = (), options: Iterable[str] = ()) -> Selection:
        """A selection of codes or their beginnings (`FC3`, `FC401`).

        Args:
            select: only these; empty for all that the budget runs.
            ignore: not these; wins over `select`.
            options: of the audit that ask for checks of their own.

        Raises:
            UsageError: if no check has such a code; of one that was removed the message says what stands for it.
        """
        chosen = cls(tuple(select), tuple(ignore), tuple(options))
        for prefix in (*chosen.select, *chosen.ignore):
            if not prefix or not any(code.startswith(prefix) for code in CHECKS):
                raise _unknown(prefix)
        return chosen

    def split(self, setting: Setting) -> tuple[list[Check], list[dict[str, Any]]]:
        """The checks to run, and those that are not run with the reason.

        A slow check is run if the budget has time for it, or if it or its family is selected.
        """
        run: list[Check] = []
        skipped: list[dict[str, Any]] = []
        for code, check in CHECKS.items():
            asked = check.option in self.options
            if self.select and not asked and not code.startswith(self.select):
                continue
            if self.ignore and code.startswith(self.ignore):
                skipped.append(_skipped(check, "ignored"))
            elif check.option and not asked and code not in self.select:
                skipped.append(_skipped(check, f"run with --{check.option}, or with --select {code}"))
            elif check.slow and not setting.slow and not self.select:
                why = f"slow: run with --budget standard, or with --select {code}"
                skipped.append(_skipped(check, why))
            else:
                run.append(check)
        return run, skipped


def _skipped(check: Check, why: str) -> dict[str, Any]:
    return {"code": check.code, "title": check.title, "why": why}


def run_checks(evidence: Evidence, checks: Sequence[Check] = tuple(CHECKS.values())) -> list[Finding]:
    """Findings of all checks that apply, by code."""
    findings = (check.run(evidence) for check in checks)
    return [finding for finding in findings if finding is not None]


def find_check(code: str) -> Check:
    """A check by its code.

    Raises:
        UsageError: if there is none; of one that was removed the message says what stands for it.
    """
    if code.upper() not in CHECKS:
        raise _unknown(code)
    return CHECKS[code.upper()]


def _unknown(code: str) -> UsageError:
    if rule := BY_CONSTRUCTION.get(code.upper()):
        stands = f'The line "harness" in the protocol of every report stands for it: {rule}.'
        return UsageError(f"the check {code.upper()} was removed, as it could not fail", stands)
    near = difflib.get_close_matches(code.upper(), CHECKS, n=3)
    hint = f"Did you mean {', '.join(near)}?" if near else "See forecheck checks."
    return UsageError(f"no check has the code {code!r}", hint)
