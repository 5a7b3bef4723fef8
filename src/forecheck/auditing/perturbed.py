"""FC31x: attention and feed-forward part disturbed by equal measures, after training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from forecheck.attention.edits import Edit
from forecheck.attention.outputs import Ablate, Perturb
from forecheck.attention.perturb import FreezeToMean, Noise, Smooth
from forecheck.auditing.evidence import Arm, Evidence
from forecheck.auditing.protocol import ATTENTION, Check, Finding, Outcome, percent, with_interval
from forecheck.auditing.replaced import Edited
from forecheck.auditing.setting import Setting, Want
from forecheck.statistics.inference import Comparison

_SOURCE = "arXiv 2509.20942, module perturbation"


class ContentOnlyPattern(Edited):
    """Does this checkpoint use what its attention takes from content, by itself?

    The pattern is split into its mean over training windows, which depends on position alone, and the rest, which
    depends on content. Here only the content part is left, around the plain mean. Beside FC304, which leaves only the
    position part, it tells which of the two carries what attention does.
    """

    code, title = "FC307", "post-hoc: content part only"
    arms = "perturbation"
    edit = FreezeToMean("content")
    becomes = "Keeping only the content part of every attention matrix"

    def words(self, c: Comparison) -> str:
        """The outcome in words."""
        return {
            "greater": "the position part of attention is needed",
            "less": "the position part of attention hurts",
            "equivalent": "the content part of attention alone does as well",
            "undecided": "undecided",
        }[c.outcome]


class Disturbed(Check):
    """Arms of growing strength against the raw model."""

    white_box = True
    slow = True
    source = _SOURCE

    @abstractmethod
    def edits(self) -> Sequence[Edit]:
        """Edits of growing strength."""

    def wants(self, setting: Setting) -> Sequence[Want]:
        """An arm a strength."""
        return [Want("perturbation", edit.label, edit, posthoc=True) for edit in self.edits()]

    def look(self, evidence: Evidence) -> Finding | None:
        """The strongest disturbance decides; all of them are tabulated."""
        found = [(edit, evidence.arm("perturbation", edit.label)) for edit in self.edits()]
        arms = [(edit, arm, evidence.comparison(arm)) for edit, arm in found if arm is not None]
        rows = [[edit.label, percent(c.effect), ATTENTION[c.outcome]] for edit, _, c in arms if c]
        if not rows:
            return None
        c = arms[-1][2]
        assert c is not None
        return self.finding(
            ATTENTION[c.outcome],
            f"{self.title}: at the greatest strength test MSE changes by {with_interval(c)}.",
            why=c.reason,
            comparison=c,
            table={"columns": ["disturbance", "effect on test MSE", "attention"], "rows": rows},
        )


class NoisyScores(Disturbed):
    """Does the forecast suffer when attention scores are noisy?

    Gaussian noise is added to the scores before the softmax, relative to the spread of each row, in every layer;
    losses are averaged over five draws, and all strengths meet the same noise.
    """

    code, title = "FC308", "noise on attention scores"

    def edits(self) -> Sequence[Edit]:
        """From half of a row's spread to twice of it."""
        return [Noise(strength) for strength in (0.5, 1.0, 2.0)]


class SmoothedPatterns(Disturbed):
    """Does the forecast suffer when attention is smoothed towards the plain mean?

    A share of every pattern is replaced by the mean over the keys that a query may see.
    """

    code, title = "FC309", "smoothed attention"

    def edits(self) -> Sequence[Edit]:
        """Half, and nearly all."""
        return [Smooth(strength) for strength in (0.5, 0.9)]


class AttentionAgainstFeedForward(Check):
    """Does this checkpoint lean on attention or on the feed-forward part, disturbed by equal measures?

    Noise of the same size relative to the sublayer's output is put on the outputs of all attention sublayers, and in
    another arm on those of all feed-forward parts (five draws each). The papers' own comparison smooths attention to
    its mean, which leaves a useful summary, but the feed-forward output to a single number; here both lose the same.
    """

    code, title = "FC310", "attention against feed-forward, equal noise"
    white_box = True
    slow = True
    source = _SOURCE

    def pair(self) -> tuple[Edit, Edit]:
        """The edit of the attention part and that of the feed-forward part."""
        return Perturb("attention", 0.5), Perturb("feed-forward", 0.5)

    def wants(self, setting: Setting) -> Sequence[Want]:
        """Both arms."""
        return [Want("perturbation", edit.label, edit, posthoc=True) for edit in self.pair()]

    def look(self, evidence: Evidence) -> Finding | None:
        """The two arms against each other."""
        attention, feed_forward = (evidence.arm("perturbation", edit.label) for edit in self.pair())
        if attention is None or feed_forward is None:
            missing = [evidence.why_not.get(("perturbation", edit.label), "") for edit in self.pair()]
            why = next(filter(None, missing), "")
            return self.not_applicable(why) if why else None
        c = evidence.between(feed_forward, attention)
        alone = {arm.label: evidence.comparison(arm) for arm in (attention, feed_forward)}
        return self.finding(
            self.outcome(c),
            f"Test MSE changes by {_both(attention, feed_forward, alone)}; the difference is {with_interval(c)}.",
            title=self.words(c),
            why=c.reason,
            comparison=c,
            table={
                "columns": ["arm", "effect on test MSE"],
                "rows": [[label, with_interval(one)] for label, one in alone.items() if one],
            },
        )

    def outcome(self, c: Comparison) -> Outcome:
        """Which part the forecast leans on more is no verdict on attention."""
        return {"undecided": "undecided", "equivalent": "no difference"}.get(c.outcome, "pass")  # type: ignore[return-value]

    def words(self, c: Comparison) -> str:
        """The outcome in words."""
        return {
            "greater": "the feed-forward part carries more than attention",
            "less": "attention carries more than the feed-forward part",
            "equivalent": "attention and feed-forward part carry alike",
            "undecided": self.title,
        }[c.outcome]


def _both(attention: Arm, feed_forward: Arm, alone: dict[str, Comparison | None]) -> str:
    first, second = alone[attention.label], alone[feed_forward.label]
    assert first is not None
    assert second is not None
    return f"{percent(first.effect)} with attention disturbed and {percent(second.effect)} with the feed-forward part"


class AblatedToMean(AttentionAgainstFeedForward):
    """Does what attention gives vary usefully from window to window, and what the feed-forward part gives?

    The output of all attention sublayers is replaced by its mean over training windows, by position and feature, and
    in another arm that of all feed-forward parts: what is lost is what depends on the window.
    """

    code, title = "FC311", "attention against feed-forward, ablated to the mean"

    def pair(self) -> tuple[Edit, Edit]:
        """The edit of the attention part and that of the feed-forward part."""
        return Ablate("attention"), Ablate("feed-forward")


CHECKS: tuple[Check, ...] = (
    ContentOnlyPattern(),
    NoisyScores(),
    SmoothedPatterns(),
    AttentionAgainstFeedForward(),
    AblatedToMean(),
)
