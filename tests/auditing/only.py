"""A selection of given checks, whatever the catalogue holds."""

from dataclasses import dataclass

from forecheck.auditing.audit import run_audit
from forecheck.auditing.budget import Budget
from forecheck.auditing.catalogue import Selection
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from panels import TINY

SMALL = Budget("small", (2,), False, {})


@dataclass(frozen=True)
class Only(Selection):
    checks: tuple = ()

    def split(self, setting):
        return list(self.checks), []


def audited(checks, panel, store, options=None, model="patchtst"):
    """Findings by code of an audit that runs these checks alone."""
    options = {"patchtst": TINY | (options or {})} if model == "patchtst" else {}
    report = run_audit(
        panel, model, Protocol(12, 48), SMALL, Means(store), options=options, selection=Only(checks=tuple(checks))
    )
    return {finding["code"]: finding for finding in report["findings"]}, report
