"""FC2xx: does the forecaster beat what costs nothing?"""

from __future__ import annotations

from forecheck.checks.evidence import LINEAR, NAIVE, Arm, Evidence
from forecheck.checks.protocol import Check, Finding, Outcome, Severity, with_interval

FAMILY = "references"


class Reference(Check):
    """The forecaster against the best of some references, the best being chosen on validation."""

    family = FAMILY
    names: tuple[str, ...]
    kind: str

    def run(self, evidence: Evidence) -> Finding | None:
        """Compare with the reference of lowest validation loss."""
        arm = evidence.best_reference(self.names)
        if arm is None:
            return None
        return reference_finding(self, evidence, arm, self.kind)


def reference_finding(check: Check, evidence: Evidence, arm: Arm, kind: str) -> Finding:
    """What it means that a reference is worse than, better than or as good as the raw forecaster."""
    c = evidence.comparison(arm)
    assert c is not None
    name = evidence.raw.results[0].trial.forecaster
    words: dict[str, tuple[Outcome, str, Severity]] = {
        "greater": ("pass", f"{name} beats {arm.label}, the best {kind}", "info"),
        "less": ("fail", f"{name} is worse than {arm.label}, the best {kind}", "error"),
        "equivalent": ("no difference", f"{name} is no better than {arm.label}, the best {kind}", "warning"),
        "undecided": ("undecided", f"{name} against {arm.label}, the best {kind}", "warning"),
    }
    outcome, title, severity = words[c.outcome]
    cost = f" It has {arm.parameters} parameters and fits in {arm.seconds:.2g} s." if arm.parameters else ""
    meaning = (
        f"Test MSE of {arm.label} is {arm.mean('mse'):.4f}, of {name} {evidence.raw.mean('mse'):.4f}: "
        f"{with_interval(c)}.{cost}"
    )
    advice = "" if c.outcome == "greater" else f"Forecast with {arm.label}."
    details = {"reference": arm.label}
    return Finding(check.code, check.family, title, outcome, meaning, severity, advice, c.reason, c, details)


class NaiveReference(Reference):
    """A forecaster that does not beat the last value, the last season or the window mean has learnt nothing useful."""

    code, title = "FC201", "against naive forecasts"
    names, kind = NAIVE, "naive forecast"


class LinearReference(Reference):
    """One linear map, fitted in closed form within a second, is the bar that a Transformer must clear."""

    code, title = "FC202", "against closed-form linear"
    names, kind = LINEAR, "linear forecaster"


class Cost(Check):
    """What the forecaster costs beside the best linear reference."""

    code, family, title = "FC203", FAMILY, "cost against closed-form linear"

    def run(self, evidence: Evidence) -> Finding | None:
        """Ratio of fit seconds."""
        arm = evidence.best_reference(LINEAR)
        if arm is None or not arm.seconds or evidence.raw.seconds is None:
            return None
        ratio = evidence.raw.seconds / arm.seconds
        name = evidence.raw.results[0].trial.forecaster
        return Finding(
            self.code,
            self.family,
            f"{name} costs {ratio:,.0f} times as much as {arm.label}",
            "pass",
            f"Fitting took {evidence.raw.seconds:.1f} s and {evidence.raw.parameters} parameters, "
            f"against {arm.seconds:.2g} s and {arm.parameters}.",
            details={"ratio": ratio, "reference": arm.label},
        )


CHECKS: tuple[Check, ...] = (NaiveReference(), LinearReference(), Cost())
