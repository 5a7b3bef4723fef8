"""FC3xx: what these checkpoints rely on (post-hoc). FC4xx: what the architecture needs (retrained)."""

from __future__ import annotations

from forecheck.checks.evidence import Evidence, Family
from forecheck.checks.protocol import ATTENTION, Check, Finding, Severity, with_interval
from forecheck.evaluation.inference import Comparison
from forecheck.interventions.replace import Mode

_BECOMES: dict[Mode, str] = {
    "identity": "the identity (tokens no longer see each other)",
    "zero": "zero (only the output bias is left)",
    "mean": "the plain mean over tokens",
    "frozen-mean": "its own mean over training windows (position stays, content goes)",
    "shuffled": "that of another window (right shape, wrong content)",
    "fixed": "a trained matrix that is the same for every window",
}


class Replaced(Check):
    """Every attention matrix replaced by something cheaper; `helps` means that the replacement is worse."""

    def __init__(self, code: str, arms: Family, mode: Mode, about: str) -> None:
        self.code, self.family, self.title = code, arms, f"{arms}: {mode}"
        self.arms, self.mode, self.about = arms, mode, about

    def run(self, evidence: Evidence) -> Finding | None:
        """Compare the replaced arm with the raw one."""
        arm = next((arm for arm in evidence.family(self.arms) if arm.label == self.mode), None)
        if arm is None:
            return None
        c = evidence.comparison(arm)
        assert c is not None
        posthoc = self.arms == "post-hoc"
        doing = (
            "Replacing every attention matrix of the trained model by" if posthoc else "Retraining with attention as"
        )
        becomes, passing = _BECOMES[self.mode], f"±{100 * c.smallest_margin:.1f} %"
        meaning = f"{doing} {becomes} changes test MSE by {with_interval(c)} ({passing} would pass as no difference)."
        severity: Severity = "warning" if c.outcome in ("less", "equivalent") else "info"
        return Finding(
            self.code,
            self.family,
            self._title(c, posthoc=posthoc),
            ATTENTION[c.outcome],
            meaning,
            severity,
            why=c.reason,
            comparison=c,
            details={"mse": arm.mean("mse"), "raw_mse": evidence.raw.mean("mse")},
        )

    def _title(self, c: Comparison, *, posthoc: bool) -> str:
        words = {
            "greater": "these checkpoints rely on attention" if posthoc else "attention helps",
            "less": "these checkpoints are better without attention" if posthoc else "attention hurts",
            "equivalent": "these checkpoints do not rely on attention" if posthoc else "attention makes no difference",
            "undecided": "undecided",
        }
        return f"{words[c.outcome]} ({self.mode})"


_POSTHOC: Family = "post-hoc"
_RETRAINED: Family = "retrained"
CHECKS: tuple[Check, ...] = (
    Replaced("FC301", _POSTHOC, "identity", "Every token keeps its own value."),
    Replaced("FC302", _POSTHOC, "zero", "The attention sublayer gives only its output bias."),
    Replaced("FC303", _POSTHOC, "mean", "Every token gets the mean of all values."),
    Replaced("FC304", _POSTHOC, "frozen-mean", "The pattern depends on position, no longer on the window's content."),
    Replaced("FC305", _POSTHOC, "shuffled", "Every series gets the pattern of another one."),
    Replaced("FC401", _RETRAINED, "identity", "The architecture without any view between tokens before the head."),
    Replaced("FC402", _RETRAINED, "zero", "The architecture without the attention sublayer's input."),
    Replaced("FC403", _RETRAINED, "mean", "Mixing without choosing."),
    Replaced("FC404", _RETRAINED, "fixed", "A learnt token-mixing matrix that does not look at the content."),
    Replaced("FC405", _RETRAINED, "shuffled", "Patterns right in shape but of other windows, in training too."),
)
