"""FC3xx: what these checkpoints rely on (post-hoc). FC4xx: what the architecture needs (retrained)."""

from __future__ import annotations

from forecheck.checks.evidence import Evidence, Family
from forecheck.checks.protocol import ATTENTION, Check, Finding, Severity, with_interval
from forecheck.evaluation.inference import Comparison
from forecheck.interventions.edits import Mode

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

    arm_family: Family
    mode: Mode

    def run(self, evidence: Evidence) -> Finding | None:
        """Compare the replaced arm with the raw one."""
        arm = next((arm for arm in evidence.family(self.arm_family) if arm.label == self.mode), None)
        if arm is None:
            return None
        c = evidence.comparison(arm)
        assert c is not None
        posthoc = self.arm_family == "post-hoc"
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


class PosthocIdentity(Replaced):
    """Post-hoc identity: every token keeps its own value."""

    code, family, title = "FC301", "post-hoc", "post-hoc: identity"
    arm_family, mode = "post-hoc", "identity"


class PosthocZero(Replaced):
    """Post-hoc zero: the attention sublayer gives only its output bias."""

    code, family, title = "FC302", "post-hoc", "post-hoc: zero"
    arm_family, mode = "post-hoc", "zero"


class PosthocMean(Replaced):
    """Post-hoc mean: every token gets the mean of all values."""

    code, family, title = "FC303", "post-hoc", "post-hoc: mean"
    arm_family, mode = "post-hoc", "mean"


class PosthocFrozenMean(Replaced):
    """Post-hoc frozen mean: the pattern no longer depends on the window's content, only on position."""

    code, family, title = "FC304", "post-hoc", "post-hoc: frozen mean"
    arm_family, mode = "post-hoc", "frozen-mean"


class PosthocShuffled(Replaced):
    """Post-hoc shuffled: every series gets the pattern of another one."""

    code, family, title = "FC305", "post-hoc", "post-hoc: shuffled"
    arm_family, mode = "post-hoc", "shuffled"


class RetrainedIdentity(Replaced):
    """Retrained identity: the architecture without any view between tokens before the head."""

    code, family, title = "FC401", "retrained", "retrained: identity"
    arm_family, mode = "retrained", "identity"


class RetrainedZero(Replaced):
    """Retrained zero: the architecture without the attention sublayer's input."""

    code, family, title = "FC402", "retrained", "retrained: zero"
    arm_family, mode = "retrained", "zero"


class RetrainedMean(Replaced):
    """Retrained mean: mixing without choosing."""

    code, family, title = "FC403", "retrained", "retrained: mean"
    arm_family, mode = "retrained", "mean"


class RetrainedFixed(Replaced):
    """Retrained fixed: a learnt token-mixing matrix that does not look at the content."""

    code, family, title = "FC404", "retrained", "retrained: fixed"
    arm_family, mode = "retrained", "fixed"


class RetrainedShuffled(Replaced):
    """Retrained shuffled: patterns right in shape but from other windows, in training too."""

    code, family, title = "FC405", "retrained", "retrained: shuffled"
    arm_family, mode = "retrained", "shuffled"


CHECKS: tuple[Check, ...] = (
    PosthocIdentity(),
    PosthocZero(),
    PosthocMean(),
    PosthocFrozenMean(),
    PosthocShuffled(),
    RetrainedIdentity(),
    RetrainedZero(),
    RetrainedMean(),
    RetrainedFixed(),
    RetrainedShuffled(),
)
