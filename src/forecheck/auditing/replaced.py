"""FC3xx: what these checkpoints rely on (post-hoc). FC4xx: what the architecture needs (retrained)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from forecheck.attention.edits import Edit
from forecheck.attention.replace import Mode, Replace
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.protocol import ATTENTION, Check, Finding, Severity, with_interval
from forecheck.auditing.setting import Family, Setting, Want
from forecheck.statistics.inference import Comparison

_SOURCE = "arXiv 2509.20942, section 3.1"
_ADVICE = (
    "If no replacement is worse, use the cheaper forecaster that the verdict names; if some are, look at which: those "
    "that keep mixing but drop content tell the two apart."
)


class Edited(Check):
    """An arm with edited attention against the raw one; `helps` means that the edit makes the forecast worse."""

    white_box = True
    advice = _ADVICE
    source = _SOURCE
    arms: ClassVar[Family]
    edit: Edit
    becomes: str

    def why_not(self, setting: Setting) -> str:
        """The identity is undefined where as many tokens do not look as are looked at."""
        if why := super().why_not(setting):
            return why
        crossing = [place for place in setting.places if place.queries != place.keys]
        if crossing and isinstance(self.edit, Replace) and self.edit.mode == "identity":
            place = crossing[0]
            return f"{place.path} looks from {place.queries} tokens at {place.keys}: identity is undefined there"
        return ""

    def wants(self, setting: Setting) -> Sequence[Want]:
        """One arm."""
        return [Want(self.arms, self.edit.label, self.edit, posthoc=self.arms != "retrained")]

    def look(self, evidence: Evidence) -> Finding | None:
        """Compare the edited arm with the raw one."""
        arm = evidence.arm(self.arms, self.edit.label)
        c = evidence.comparison(arm) if arm else None
        if arm is None or c is None:
            return None
        meaning = f"{self.becomes} changes test MSE by {with_interval(c)} ({_passing(c)} would pass as no difference)."
        return self.finding(
            ATTENTION[c.outcome],
            meaning,
            title=f"{self.words(c)} ({arm.label})",
            severity=_severity(c),
            why=c.reason,
            comparison=c,
            mse=arm.mean("mse"),
            raw_mse=evidence.raw.mean("mse"),
        )

    def words(self, c: Comparison) -> str:
        """The outcome in words."""
        return {
            "greater": "these checkpoints rely on attention",
            "less": "these checkpoints are better without attention",
            "equivalent": "these checkpoints do not rely on attention",
            "undecided": "undecided",
        }[c.outcome]


def _passing(c: Comparison) -> str:
    return f"±{100 * c.smallest_margin:.1f} %"


def _severity(c: Comparison) -> Severity:
    return "warning" if c.outcome in ("less", "equivalent") else "info"


class Posthoc(Edited):
    """An edit of the trained model."""

    arms = "post-hoc"


class Retrained(Edited):
    """An edit made before training."""

    arms = "retrained"
    retrains = True

    def words(self, c: Comparison) -> str:
        """The outcome in words."""
        return {
            "greater": "attention helps",
            "less": "attention hurts",
            "equivalent": "attention makes no difference",
            "undecided": "undecided",
        }[c.outcome]


def _replaced(kind: type[Edited], code: str, mode: Mode, asked: str, becomes: str, *, slow: bool = False) -> Check:
    """A check on one replacement mode."""
    when = "after training" if kind is Posthoc else "before training, so that the architecture learns to do without it"
    body = {
        "__doc__": f"{asked}\n\nEvery attention matrix is replaced {when}; all else of the layer stays (value and "
        f"output projections, their biases, dropout). The arm's loss on all test windows is compared with the raw "
        f"model's, with an interval that holds for overlapping windows"
        + (" and the spread between seeds." if kind is Retrained else "; seeds are those of the raw model."),
        "code": code,
        "title": f"{'post-hoc' if kind is Posthoc else 'retrained'}: {mode}",
        "slow": slow,
        "edit": Replace(mode),
        "becomes": ("Replacing every attention matrix of the trained model by " if kind is Posthoc else "")
        + ("Retraining with attention as " if kind is Retrained else "")
        + becomes,
    }
    return type(f"{kind.__name__}{mode.title().replace('-', '')}", (kind,), body)()


_IDENTITY = "the identity (tokens no longer see each other)"
_ZERO = "zero (only the output bias is left)"
_MEAN = "the plain mean over tokens"
_FROZEN = "its own mean over training windows (position stays, content goes)"
_OTHER = "that of another window (right shape, wrong content)"
_FIXED = "a trained matrix that is the same for every window"

CHECKS: tuple[Check, ...] = (
    _replaced(Posthoc, "FC301", "identity", "Does this checkpoint need tokens to see each other?", _IDENTITY),
    _replaced(Posthoc, "FC302", "zero", "Does this checkpoint need the values that attention mixes?", _ZERO),
    _replaced(Posthoc, "FC303", "mean", "Does it matter to this checkpoint where attention looks?", _MEAN),
    _replaced(
        Posthoc, "FC304", "frozen-mean", "Does it matter to this checkpoint what is in the window it looks at?", _FROZEN
    ),
    _replaced(Posthoc, "FC305", "shuffled", "Would the pattern of another window do for this checkpoint?", _OTHER),
    _replaced(
        Retrained,
        "FC401",
        "identity",
        "Does the architecture need tokens to see each other before the head?",
        _IDENTITY,
    ),
    _replaced(
        Retrained, "FC402", "zero", "Does the architecture need the attention sublayer's input?", _ZERO, slow=True
    ),
    _replaced(Retrained, "FC403", "mean", "Does the architecture need to choose where it looks?", _MEAN, slow=True),
    _replaced(Retrained, "FC404", "fixed", "Would a learnt mixing that ignores content do as well?", _FIXED, slow=True),
    _replaced(
        Retrained, "FC405", "shuffled", "Can the architecture live with patterns of other windows?", _OTHER, slow=True
    ),
)
