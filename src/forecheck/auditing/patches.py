"""FC505: patches of growing length, down to one token."""

from __future__ import annotations

from collections.abc import Sequence

from forecheck.auditing.check import PASSES, Check, Finding, percent, with_interval, worded
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.setting import Request, Setting


class PatchSweep(Check):
    """Does the forecast get worse with fewer, longer patches, down to a single token?

    The model is retrained with patches of growing length, the last one as long as the window: one token, for which
    softmax over one key is 1 and the block is a feed-forward network. If the error stays flat, tokens that could look
    at each other were not worth having. The number of parameters changes with the length and is printed as well.
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

    def requests(self, setting: Setting) -> Sequence[Request]:
        """Patches without overlap of a few lengths that divide the lookback."""
        if "patch" not in setting.config or setting.external:
            return []
        return [
            Request("patches", _label(patch), options={"patch": patch, "stride": patch, "padding": False})
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
        return self.compared(
            one,
            f"With a single token, which cannot attend to anything else, test MSE changes by {with_interval(one)}; "
            f"over all lengths by {percent(min(c.effect for _, c in compared if c))} to "
            f"{percent(max(c.effect for _, c in compared if c))}.",
            worded(
                PASSES,
                (
                    "several tokens are worth having",
                    "a single token forecasts better",
                    "a single token does as well",
                    self.title,
                ),
            ),
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


CHECKS: tuple[Check, ...] = (PatchSweep(),)
