"""FC2xx: does the forecaster beat what costs nothing?"""

from __future__ import annotations

from dataclasses import dataclass

from forecheck.auditing.check import PASSES, Check, Finding, with_interval, worded
from forecheck.auditing.evidence import LINEAR, NAIVE, Evidence


@dataclass(eq=False)
class Reference(Check):
    """The forecaster against the best of some references, the best being chosen on validation.

    Attributes:
        code: of the check.
        title: of the check.
        names: of the references.
        what: they are, in words.
        text: what is asked and how it is measured.
    """

    code: str
    title: str
    names: tuple[str, ...]
    what: str
    text: str

    def look(self, evidence: Evidence) -> Finding | None:
        """What it means that the reference is worse than, better than or as good as the forecaster."""
        arm = evidence.best_reference(self.names)
        if arm is None:
            return None
        c, name, label = evidence.comparisons[arm.family, arm.label], evidence.setting.model, arm.label
        cost = f" It has {arm.parameters} parameters and fits in {arm.seconds:.2g} s." if arm.parameters else ""
        titles = (f"{name} beats {label}", f"{name} is worse than {label}", f"{name} is no better than {label}")
        return self.compared(
            c,
            f"Test MSE of {label} is {arm.mean('mse'):.4f}, of {name} {evidence.raw.mean('mse'):.4f}: "
            f"{with_interval(c)}.{cost}",
            worded(
                PASSES,
                [f"{title}, {self.what}" for title in (*titles, f"{name} against {label}")],
                ("info", "error", "warning", "warning"),
            ),
            advice="" if c.outcome == "greater" else f"Forecast with {label}.",
            reference=label,
        )


class Cost(Check):
    """What does the forecaster cost against the best linear reference?

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


CHECKS: tuple[Check, ...] = (
    Reference(
        "FC201",
        "against naive forecasts",
        NAIVE,
        "the best naive forecast",
        """Is the forecaster better than what costs nothing?

        The last value, the last season and the window mean; the best of them on validation is compared. A forecaster
        that does not beat it has learnt nothing useful.
        """,
    ),
    Reference(
        "FC202",
        "against closed-form linear",
        LINEAR,
        "the best linear forecaster",
        """Is the forecaster better than one linear map?

        Four linear forecasters are fitted in closed form within a second; the best of them on validation is compared.
        That is the bar that a Transformer must clear.
        """,
    ),
    Cost(),
    Reference(
        "FC204",
        "against the last value",
        ("last",),
        "the last value repeated",
        """Is the forecaster better than repeating the last value?

        By itself, whichever naive forecast is the best one: on random walks nothing beats it, and a forecaster that
        loses to it follows noise.
        """,
    ),
    Reference(
        "FC205",
        "against the last season",
        ("seasonal",),
        "the last season repeated",
        """Is the forecaster better than repeating the last season?

        By itself, whichever naive forecast is the best one: what a calendar explains needs no network.
        """,
    ),
)
