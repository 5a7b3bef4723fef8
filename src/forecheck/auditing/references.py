"""FC2xx: does the forecaster beat what costs nothing?"""

from __future__ import annotations

from forecheck.auditing.evidence import LINEAR, NAIVE, Arm, Evidence
from forecheck.auditing.protocol import Check, Finding, Outcome, Severity, with_interval


class Reference(Check):
    """The forecaster against the best of some references, the best being chosen on validation."""

    names: tuple[str, ...]
    kind: str

    def look(self, evidence: Evidence) -> Finding | None:
        """Compare with the reference of lowest validation loss."""
        arm = evidence.best_reference(self.names)
        if arm is None:
            return None
        return self.against(evidence, arm)

    def against(self, evidence: Evidence, arm: Arm) -> Finding:
        """What it means that a reference is worse than, better than or as good as the raw forecaster."""
        c = evidence.comparison(arm)
        assert c is not None
        name = evidence.setting.model
        words: dict[str, tuple[Outcome, str, Severity]] = {
            "greater": ("pass", f"{name} beats {arm.label}, {self.kind}", "info"),
            "less": ("fail", f"{name} is worse than {arm.label}, {self.kind}", "error"),
            "equivalent": ("no difference", f"{name} is no better than {arm.label}, {self.kind}", "warning"),
            "undecided": ("undecided", f"{name} against {arm.label}, {self.kind}", "warning"),
        }
        outcome, title, severity = words[c.outcome]
        cost = f" It has {arm.parameters} parameters and fits in {arm.seconds:.2g} s." if arm.parameters else ""
        meaning = (
            f"Test MSE of {arm.label} is {arm.mean('mse'):.4f}, of {name} {evidence.raw.mean('mse'):.4f}: "
            f"{with_interval(c)}.{cost}"
        )
        advice = "" if c.outcome == "greater" else f"Forecast with {arm.label}."
        return self.finding(
            outcome,
            meaning,
            title=title,
            severity=severity,
            advice=advice,
            why=c.reason,
            comparison=c,
            reference=arm.label,
        )


class NaiveReference(Reference):
    """Is the forecaster better than what costs nothing?

    The last value, the last season and the window mean; the best of them on validation is compared. A forecaster that
    does not beat it has learnt nothing useful.
    """

    code, title = "FC201", "against naive forecasts"
    names, kind = NAIVE, "the best naive forecast"


class LinearReference(Reference):
    """Is the forecaster better than one linear map?

    Four linear forecasters are fitted in closed form within a second; the best of them on validation is compared.
    That is the bar that a Transformer must clear.
    """

    code, title = "FC202", "against closed-form linear"
    names, kind = LINEAR, "the best linear forecaster"


class LastValue(Reference):
    """Is the forecaster better than repeating the last value?

    By itself, whichever naive forecast is the best one: on random walks nothing beats it, and a forecaster that
    loses to it follows noise.
    """

    code, title = "FC204", "against the last value"
    names, kind = ("last",), "the last value repeated"


class LastSeason(Reference):
    """Is the forecaster better than repeating the last season?

    By itself, whichever naive forecast is the best one: what a calendar explains needs no network.
    """

    code, title = "FC205", "against the last season"
    names, kind = ("seasonal",), "the last season repeated"


class Cost(Check):
    """What does the forecaster cost beside the best linear reference?

    Wall time of a fit with the choice of its options, and fitted numbers; scoring time for a model trained elsewhere.
    """

    code, title = "FC203", "cost against closed-form linear"

    def look(self, evidence: Evidence) -> Finding | None:
        """Ratio of fit seconds, or of scoring seconds if the fit was not made here."""
        arm, raw, name = evidence.best_reference(LINEAR), evidence.raw, evidence.setting.model
        if arm is None or not arm.seconds:
            return None
        if raw.seconds is None:
            mine, its = raw.mean("scoring_seconds"), arm.mean("scoring_seconds")
            meaning = f"Scoring the test part took {mine:.2g} s, against {its:.2g} s."
        else:
            mine, its = raw.seconds, arm.seconds
            meaning = (
                f"Fitting took {mine:.1f} s and {raw.parameters} parameters, against {its:.2g} s and {arm.parameters}."
            )
        ratio = mine / max(its, 1e-9)
        return self.finding(
            "pass",
            meaning,
            title=f"{name} costs {ratio:,.0f} times as much as {arm.label}",
            ratio=ratio,
            reference=arm.label,
        )


CHECKS: tuple[Check, ...] = (NaiveReference(), LinearReference(), Cost(), LastValue(), LastSeason())
