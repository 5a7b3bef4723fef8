"""FC5xx: positions and patches. Does order reach the forecast, and by which way?"""

from __future__ import annotations

from collections.abc import Sequence

from forecheck.attention.edits import Edit
from forecheck.attention.positions import MeanPositions, ShufflePositions, ShuffleTokens, ZeroPositions
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.protocol import Check, Finding, Outcome, Severity, percent, with_interval
from forecheck.auditing.setting import Setting, Want
from forecheck.statistics.inference import Comparison

_SOURCE = "arXiv 2509.20942, positional encoding zeroing; with the controls that it lacks"
_WORDS: dict[str, tuple[Outcome, str, Severity]] = {
    "greater": ("pass", "used", "info"),
    "less": ("fail", "harmful", "warning"),
    "equivalent": ("no difference", "not used", "warning"),
    "undecided": ("undecided", "undecided", "info"),
}


class Positions(Check):
    """The model with its position codes changed after training, against the raw one."""

    white_box = True
    source = _SOURCE
    advice = (
        "A head with one block of weights a token knows positions without codes; that codes are not used says little "
        "of attention then. Look at FC504 beside it."
    )
    edit: Edit
    doing: str
    used = "position codes are"

    def wants(self, setting: Setting) -> Sequence[Want]:
        """One arm."""
        return [Want("positions", self.edit.label, self.edit, posthoc=True)]

    def look(self, evidence: Evidence) -> Finding | None:
        """Compare the arm with the raw one."""
        arm = evidence.arm("positions", self.edit.label)
        c = evidence.comparison(arm) if arm else None
        if arm is None or c is None:
            return None
        outcome, word, severity = _WORDS[c.outcome]
        return self.finding(
            outcome,
            f"{self.doing} changes test MSE by {with_interval(c)}.",
            title=f"{self.used} {word}" if c.outcome != "undecided" else self.title,
            severity=severity,
            advice=self.advice if outcome in ("fail", "no difference") else "",
            why=c.reason,
            comparison=c,
        )


class Zeroed(Positions):
    """Does the forecast need the position codes?

    Stored codes of the trained model are set to zero. As this also moves the mean of what follows (batch statistics
    were made with codes), FC502 keeps that mean.
    """

    code, title = "FC501", "position codes zeroed"
    edit = ZeroPositions()
    doing = "Setting the position codes of the trained model to zero"


class Averaged(Positions):
    """Does the forecast need the position codes to differ?

    Every code is replaced by the mean over positions: the first moment of what follows stays, order goes.
    """

    code, title, slow = "FC502", "position codes averaged", True
    edit = MeanPositions()
    doing = "Giving every token the mean position code"


class Shuffled(Positions):
    """Does the forecast suffer from wrong position codes?

    Codes are dealt to other positions (five draws). Wrong order disturbs more than no order where codes are used.
    """

    code, title, slow = "FC503", "position codes shuffled", True
    edit = ShufflePositions()
    doing = "Dealing the position codes to other tokens"


class TokensShuffled(Positions):
    """Does attention care for the order of tokens?

    Tokens are shuffled on their way into the encoder and put back before the head, so that the head gets what it
    knows and only the mixing in between meets a wrong order (five draws): codes, causal masks, rotary and relative
    positions are all covered.
    """

    code, title = "FC504", "tokens shuffled inside the encoder"
    edit = ShuffleTokens()
    doing = "Shuffling tokens before the encoder and putting them back before the head"
    used = "order inside the encoder is"

    def look(self, evidence: Evidence) -> Finding | None:
        """As for codes; an encoder that nothing tells of order cannot be asked."""
        found = super().look(evidence)
        c = found.comparison if found else None
        if c is not None and c.effect == 0 and c.interval == (0.0, 0.0):
            return self.not_applicable("nothing tells the encoder of order: neither codes nor masks")
        return found


class PatchSweep(Check):
    """Does the forecast get worse with fewer, longer patches, down to a single token?

    The model is retrained with patches of growing length, the last one as long as the window: one token, for which
    softmax over one key is 1 and the block is a feed-forward network. If the error stays flat, tokens that could look
    at each other were not worth having. The number of parameters changes with the length and is printed beside.
    """

    code, title = "FC505", "patch length, down to one token"
    white_box = True
    retrains = True
    slow = True
    source = "arXiv 2509.20942, varying patch length"
    advice = "Take the longest patch that is no worse: fewer tokens cost less."

    def why_not(self, setting: Setting) -> str:
        """Only models that cut patches have a length to vary."""
        if why := super().why_not(setting):
            return why
        return "" if "patch" in setting.config else "the model does not cut its input into patches"

    def wants(self, setting: Setting) -> Sequence[Want]:
        """Patches without overlap of a few lengths that divide the lookback."""
        if "patch" not in setting.config or setting.given:
            return []
        return [
            Want("patches", _label(patch), options={"patch": patch, "stride": patch, "padding": False})
            for patch in patch_lengths(setting.task.lookback)
        ]

    def look(self, evidence: Evidence) -> Finding | None:
        """One token against the raw model; all lengths in a table."""
        arms = evidence.family("patches")
        if not arms:
            return None
        compared = [(arm, evidence.comparison(arm)) for arm in arms]
        rows = [
            [arm.label, f"{arm.mean('mse'):.4f}", with_interval(c), f"{arm.parameters:,}"] for arm, c in compared if c
        ]
        one = compared[-1][1]
        assert one is not None
        outcome, word, severity = _one_token(one)
        return self.finding(
            outcome,
            f"With a single token, which cannot attend to anything else, test MSE changes by {with_interval(one)}; "
            f"over all lengths by {percent(min(c.effect for _, c in compared if c))} to "
            f"{percent(max(c.effect for _, c in compared if c))}.",
            title=word,
            severity=severity,
            advice=self.advice if outcome in ("fail", "no difference") else "",
            why=one.reason,
            comparison=one,
            table={"columns": ["patch", "test MSE", "effect", "parameters"], "rows": rows},
            chart={
                "kind": "lines",
                "x": [arm.label.removeprefix("patch ") for arm in arms],
                "series": [{"label": "test MSE", "y": [arm.mean("mse") for arm in arms]}],
                "x_label": "patch length",
                "y_label": "test MSE",
            },
        )


def _label(patch: int) -> str:
    return f"patch {patch}"


def _one_token(c: Comparison) -> tuple[Outcome, str, Severity]:
    return {
        "greater": ("pass", "several tokens are worth having", "info"),
        "less": ("fail", "a single token forecasts better", "warning"),
        "equivalent": ("no difference", "a single token does as well", "warning"),
        "undecided": ("undecided", "patch length, down to one token", "info"),
    }[c.outcome]  # type: ignore[return-value]


def patch_lengths(lookback: int) -> list[int]:
    """Up to five divisors of the lookback, from about a twentieth of it to all of it, each about twice the last."""
    divisors = [d for d in range(1, lookback + 1) if lookback % d == 0]
    chosen = [lookback]
    while len(chosen) < 5:
        shorter = [d for d in divisors if chosen[-1] / 4 <= d <= chosen[-1] / 2 and d >= lookback / 24]
        if not shorter:
            break
        chosen.append(shorter[-1])
    return chosen[::-1]


CHECKS: tuple[Check, ...] = (Zeroed(), Averaged(), Shuffled(), TokensShuffled(), PatchSweep())
