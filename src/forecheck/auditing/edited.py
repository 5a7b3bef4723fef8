"""FC3xx, FC4xx, FC50x: attention or positions edited, after training or before; a row a check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from forecheck.attention.edits import Edit
from forecheck.attention.outputs import Ablate, Perturb, Remove
from forecheck.attention.pattern_edits import AttentionEdit
from forecheck.attention.perturb import FreezeToMean, Noise, Smooth
from forecheck.attention.positions import MeanPositions, ShufflePositions, ShuffleTokens, ZeroPositions
from forecheck.attention.replace import Mode, Replace
from forecheck.attention.response import not_tokens
from forecheck.auditing.check import (
    ATTENTION,
    PASSES,
    Check,
    Finding,
    Outcome,
    Words,
    percent,
    with_interval,
    worded,
)
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.setting import Family, Request, Setting

_PERTURBATION = "arXiv 2509.20942, module perturbation"


@dataclass(frozen=True)
class Kind:
    """What edited arms of one kind have in common.

    Attributes:
        arms: their family.
        words: what each outcome says; `{title}` of the check and `{arm}` may stand in it.
        meaning: the number in a sentence, with what is `{doing}`, its `{effect}` and what is `{passing}` in percent.
        source: paper and section.
        advice: what to do.
        advised: whether findings repeat the advice; what follows from all replacements together the verdict says.
    """

    arms: Family
    words: Words
    meaning: str
    source: str
    advice: str = ""
    advised: bool = False


@dataclass(eq=False)
class Edited(Check):
    """Edited arms against the raw one.

    Attributes:
        code: of the check.
        kind: what it has in common with others.
        edits: of growing strength; the last one decides, and all are tabulated if there are several.
        title: of the check.
        doing: the edit, as the subject of a sentence.
        text: what is asked and how it is measured.
        slow: as of every check.
        unmoved: why the check does not apply if the loss is exactly that of the raw model.
    """

    white_box = True
    code: str
    kind: Kind
    edits: tuple[Edit, ...]
    title: str
    doing: str
    text: str
    slow: bool = False
    unmoved: str = ""

    def __post_init__(self) -> None:
        self.retrains = self.kind.arms == "retrained"
        self.of_patterns = any(isinstance(edit, AttentionEdit) and not edit.of_sublayer for edit in self.edits)
        self.advice, self.source = self.kind.advice, self.kind.source

    def why_not(self, setting: Setting) -> str:
        """The identity is undefined where as many tokens do not look as are looked at."""
        if why := super().why_not(setting):
            return why
        modes = {edit.mode for edit in self.edits if isinstance(edit, Replace)}
        for place in setting.places if "identity" in modes else ():
            if not place.tokens:
                return f"{not_tokens(place.path)}: identity is undefined there"
        crossing = [place for place in setting.places if place.queries != place.keys]
        if crossing and "identity" in modes:
            place = crossing[0]
            return f"{place.path} looks from {place.queries} tokens at {place.keys}: identity is undefined there"
        return ""

    def requests(self, setting: Setting) -> Sequence[Request]:
        """An arm an edit."""
        return [Request(self.kind.arms, edit.label, edit, posthoc=not self.retrains) for edit in self.edits]

    def look(self, evidence: Evidence) -> Finding | None:
        """Compare the arms with the raw one."""
        arms = [arm for edit in self.edits if (arm := evidence.arm(self.kind.arms, edit.label)) is not None]
        found = [(arm, c) for arm in arms if (c := evidence.comparison(arm)) is not None]
        if not found:
            return None
        arm, c = found[-1]
        if self.unmoved and c.effect == 0 and c.interval == (0.0, 0.0):
            return self.not_applicable(self.unmoved)
        details: dict[str, Any] = {}
        if len(self.edits) > 1:
            rows = [[each.label, percent(one.effect), ATTENTION[one.outcome]] for each, one in found]
            details["table"] = {"columns": ["disturbance", "effect on test MSE", "attention"], "rows": rows}
        elif self.kind.arms != "positions":
            details = {"mse": arm.mean("mse"), "raw_mse": evidence.raw.mean("mse")}
        meaning = self.kind.meaning.format(doing=self.doing, effect=with_interval(c), passing=100 * c.smallest_margin)
        outcome, title, severity = self.kind.words[c.outcome]
        words: Words = {c.outcome: (outcome, title.format(title=self.title, arm=arm.label), severity)}
        return self.compared(c, meaning, words, advice=None if self.kind.advised else "", **details)


def _of_attention(arms: Family, greater: str, less: str, equivalent: str) -> Kind:
    """Edits whose outcome is one of attention."""
    return Kind(
        arms,
        worded(ATTENTION, [f"{words} ({{arm}})" for words in (greater, less, equivalent, "undecided")]),
        "{doing} changes test MSE by {effect} (±{passing:.1f} % would pass as no difference).",
        "arXiv 2509.20942, section 3.1",
        "If no replacement is worse, use the cheaper forecaster that the verdict names; if some are, look at which: "
        "those that keep mixing but drop content tell the two apart.",
    )


def _of_positions(subject: str) -> Kind:
    """Edits that say whether positions are used."""
    return Kind(
        "positions",
        worded(PASSES, [f"{subject} used", f"{subject} harmful", f"{subject} not used", "{title}"]),
        "{doing} changes test MSE by {effect}.",
        "arXiv 2509.20942, positional encoding zeroing; with the controls that it lacks",
        "A head with one block of weights a token knows positions without codes; that codes are not used says little "
        "of attention then. Look at FC504 beside it.",
        advised=True,
    )


_POSTHOC = _of_attention(
    "post-hoc",
    "these checkpoints rely on attention",
    "these checkpoints are better without attention",
    "these checkpoints do not rely on attention",
)
_RETRAINED = _of_attention("retrained", "attention helps", "attention hurts", "attention makes no difference")
_CONTENT = _of_attention(
    "perturbation",
    "the position part of attention is needed",
    "the position part of attention hurts",
    "the content part of attention alone does as well",
)
_DISTURBED = Kind(
    "perturbation",
    worded(ATTENTION, ["{title}"] * 4, ["info"] * 4),
    "{doing}: at the greatest strength test MSE changes by {effect}.",
    _PERTURBATION,
)
_CODES, _ORDER = _of_positions("position codes are"), _of_positions("order inside the encoder is")


def _replaced(code: str, kind: Kind, mode: Mode, asked: str, slow: bool = False) -> Edited:
    """A replacement of every attention matrix."""
    retrained = kind is _RETRAINED
    when = "before training, so that the architecture learns to do without it" if retrained else "after training"
    doing = "Retraining with attention as" if retrained else "Replacing all attention matrices that were reached by"
    seeds = " and the spread between seeds" if retrained else "; seeds are those of the raw model"
    text = (
        f"{asked}\n\nEvery attention matrix is replaced {when}; all else of the layer stays (value and output "
        f"projections, their biases, dropout). The arm's loss on all test windows is compared with the raw model's, "
        f"with an interval that holds for overlapping windows{seeds}."
    )
    return Edited(code, kind, (Replace(mode),), f"{kind.arms}: {mode}", f"{doing} {_BECOMES[mode]}", text, slow)


_BECOMES: dict[Mode, str] = {
    "identity": "the identity (tokens no longer see each other)",
    "zero": "zero (only the output bias is left)",
    "mean": "the plain mean over tokens",
    "frozen-mean": "its own mean over training windows (position stays, content goes)",
    "shuffled": "that of another window (right shape, wrong content)",
    "fixed": "a trained matrix that is the same for every window",
}

EDITED = (
    _replaced("FC301", _POSTHOC, "identity", "Does this checkpoint need tokens to see each other?"),
    _replaced("FC302", _POSTHOC, "zero", "Does this checkpoint need the values that attention mixes?"),
    _replaced("FC303", _POSTHOC, "mean", "Does it matter to this checkpoint where attention looks?"),
    _replaced("FC304", _POSTHOC, "frozen-mean", "Does it matter to this checkpoint what is in the window it looks at?"),
    _replaced("FC305", _POSTHOC, "shuffled", "Would the pattern of another window do for this checkpoint?"),
    Edited(
        "FC306",
        _POSTHOC,
        (Remove(),),
        "post-hoc: removed",
        "Removing the attention sublayers of the trained model, output biases included,",
        """Does this checkpoint rely on its attention sublayers, their output biases included?

        Unlike `zero`, nothing of the sublayer is left: what it adds to the tokens is 0.
        """,
    ),
    Edited(
        "FC307",
        _CONTENT,
        (FreezeToMean("content"),),
        "post-hoc: content part only",
        "Keeping only the content part of all attention matrices that were reached",
        """Does this checkpoint use what its attention takes from content, by itself?

        The pattern is split into its mean over training windows, which depends on position alone, and the rest, which
        depends on content. Here only the content part is left, around the plain mean. Together with FC304, which leaves
        only the position part, this shows which of the two carries what attention does.
        """,
    ),
    Edited(
        "FC308",
        _DISTURBED,
        (Noise(0.5), Noise(1.0), Noise(2.0)),
        "noise on attention scores",
        "noise on attention scores",
        """Does the forecast suffer when attention scores are noisy?

        Gaussian noise is added to the scores before the softmax, relative to the spread of each row, in every layer;
        losses are averaged over five draws, and all strengths use the same noise.
        """,
        slow=True,
    ),
    Edited(
        "FC309",
        _DISTURBED,
        (Smooth(0.5), Smooth(0.9)),
        "smoothed attention",
        "smoothed attention",
        """Does the forecast suffer when attention is smoothed towards the plain mean?

        A share of every pattern is replaced by the mean over the keys that a query may see.
        """,
        slow=True,
    ),
    _replaced("FC401", _RETRAINED, "identity", "Does the architecture need tokens to see each other before the head?"),
    _replaced("FC402", _RETRAINED, "zero", "Does the architecture need the attention sublayer's input?", slow=True),
    _replaced("FC403", _RETRAINED, "mean", "Does the architecture need to choose where it looks?", slow=True),
    _replaced("FC404", _RETRAINED, "fixed", "Would a learnt mixing that ignores content do as well?", slow=True),
    _replaced("FC405", _RETRAINED, "shuffled", "Can the architecture live with patterns of other windows?", slow=True),
    Edited(
        "FC406",
        _RETRAINED,
        (Remove(),),
        "retrained: removed",
        "Retraining without the attention sublayers and their parameters",
        """Does the architecture need attention sublayers at all?

        Modules and parameters are gone before training, so the arm is smaller and faster: if it is no worse, the
        capacity was not needed either.
        """,
        slow=True,
    ),
    Edited(
        "FC501",
        _CODES,
        (ZeroPositions(),),
        "position codes zeroed",
        "Setting the position codes of the trained model to zero",
        """Does the forecast need the position codes?

        Stored codes of the trained model are set to zero. As this also moves the mean of what follows (batch statistics
        were made with codes), FC502 keeps that mean.
        """,
    ),
    Edited(
        "FC502",
        _CODES,
        (MeanPositions(),),
        "position codes averaged",
        "Giving every token the mean position code",
        """Does the forecast need the position codes to differ?

        Every code is replaced by the mean over positions: the first moment of what follows stays, order goes.
        """,
        slow=True,
    ),
    Edited(
        "FC503",
        _CODES,
        (ShufflePositions(),),
        "position codes shuffled",
        "Dealing the position codes to other tokens",
        """Does the forecast suffer from wrong position codes?

        Codes are dealt to other positions (five draws). Wrong order disturbs more than no order where codes are used.
        """,
        slow=True,
    ),
    Edited(
        "FC504",
        _ORDER,
        (ShuffleTokens(),),
        "tokens shuffled inside the encoder",
        "Shuffling tokens before the encoder and putting them back before the head",
        """Does attention care for the order of tokens?

        Tokens are shuffled on their way into the encoder and put back before the head, so that the head gets what it
        knows and only the mixing in between gets a wrong order (five draws): codes, causal masks, rotary and relative
        positions are all covered.
        """,
        unmoved="nothing tells the encoder of order: neither codes nor masks",
    ),
)


@dataclass(eq=False)
class AgainstFeedForward(Check):
    """Attention and feed-forward part disturbed alike, one arm against the other.

    Attributes:
        code: of the check.
        title: of the check.
        pair: the edit of the attention part and that of the feed-forward part.
        text: what is asked and how it is measured.
    """

    white_box = True
    slow = True
    source = _PERTURBATION
    code: str
    title: str
    pair: tuple[Edit, Edit]
    text: str

    def requests(self, setting: Setting) -> Sequence[Request]:
        """Both arms."""
        return [Request("perturbation", edit.label, edit, posthoc=True) for edit in self.pair]

    def look(self, evidence: Evidence) -> Finding | None:
        """The two arms against each other."""
        attention, feed_forward = (evidence.arm("perturbation", edit.label) for edit in self.pair)
        if attention is None or feed_forward is None:
            missing = [evidence.why_not.get(("perturbation", edit.label), "") for edit in self.pair]
            why = next(filter(None, missing), "")
            return self.not_applicable(why) if why else None
        c = evidence.between(feed_forward, attention)
        alone = [(arm.label, evidence.comparisons[arm.family, arm.label]) for arm in (attention, feed_forward)]
        first, second = (percent(one.effect) for _, one in alone)
        # Which part the forecast leans on more is no verdict on attention.
        outcomes: dict[str, Outcome] = PASSES | {"less": "pass"}
        titles = (
            "the feed-forward part carries more than attention",
            "attention carries more than the feed-forward part",
            "attention and feed-forward part carry alike",
            self.title,
        )
        return self.compared(
            c,
            f"Test MSE changes by {first} with attention disturbed and {second} with the feed-forward part; the "
            f"difference is {with_interval(c)}.",
            worded(outcomes, titles, ["info"] * 4),
            table={
                "columns": ["arm", "effect on test MSE"],
                "rows": [[label, with_interval(one)] for label, one in alone],
            },
        )


CHECKS: tuple[Check, ...] = (
    *EDITED,
    AgainstFeedForward(
        "FC310",
        "attention against feed-forward, equal noise",
        (Perturb("attention", 0.5), Perturb("feed-forward", 0.5)),
        """Does this checkpoint lean on attention or on the feed-forward part, disturbed by equal measures?

        Noise of the same size relative to the sublayer's output is put on the outputs of all attention sublayers, and
        in another arm on those of all feed-forward parts (five draws each). The papers' own comparison smooths
        attention to its mean, which leaves a useful summary, but the feed-forward output to a single number; here both
        lose the same.
        """,
    ),
    AgainstFeedForward(
        "FC311",
        "attention against feed-forward, ablated to the mean",
        (Ablate("attention"), Ablate("feed-forward")),
        """Does what attention gives vary usefully from window to window, and what the feed-forward part gives?

        The output of all attention sublayers is replaced by its mean over training windows, by position and feature,
        and in another arm that of all feed-forward parts: what is lost is what depends on the window.
        """,
    ),
)
