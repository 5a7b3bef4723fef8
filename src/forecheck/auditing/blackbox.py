"""FC9xx: what does any model show from outside, attention or not?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecheck.auditing.check import PASSES, Check, Finding, percent, with_interval, worded
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.measured import MeasuredCheck, changed, mean_of, share
from forecheck.probes.blackbox import SHARES
from forecheck.trials.store import Result

_LEVEL = 0.1
_LINEAR = 0.99


class BlackBox(MeasuredCheck):
    """The model as it is, with its input windows changed, on test windows evenly spread."""

    measure = "blackbox"
    source = "the model seen from outside; definitions are ours"

    def answered(
        self,
        evidence: Evidence,
        results: Sequence[Result],
        change: str,
        doing: str,
        titles: Sequence[str],
        **details: Any,
    ) -> Finding:
        """A finding on the loss after a change of the input against the raw one.

        Args:
            evidence: of the audit.
            results: of the measure, one a seed.
            change: its name in the measure.
            doing: the change, as the subject of a sentence.
            titles: what it says if the loss after the change is greater, less, equivalent or undecided.
            details: further numbers, as JSON types.
        """
        c = changed(evidence, results, change)
        assert c is not None
        count = len(results[0].arrays["window_index"])
        meaning = f"{doing} changes MSE on {count} test windows by {with_interval(c)}."
        return self.compared(c, meaning, worded(PASSES, titles), **details)


class WindowTruncation(BlackBox):
    """Is the older half of the window used?

    Input sizes are fixed, so the older half is not cut off but replaced by the mean of the newer half; the table has
    other shares, and filling by the oldest value that is left. The shortest suffix is reported, in eighths of the
    window, from which on every longer one is within 1 % of the full window's loss. A model may suffer from the filling
    itself (it never saw such windows), so harm is no proof that the old values inform; that there is none shows that
    the forecast can do without them.
    """

    code, title = "FC901", "window truncation"
    advice = "Train with a shorter lookback and compare: what is not used costs time and overfits."

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Half of the window left; all shares in a table and a chart."""
        left = results[0].summary["truncation"]["kept"]
        enough = max(int(result.summary["truncation"]["enough"]) for result in results)
        curves = {
            fill: [mean_of(results, "truncation", fill, "ratio", i) for i in range(len(left))]
            for fill in ("mean", "value")
        }
        rows = []
        for part in SHARES:
            comparisons = (changed(evidence, results, f"last_{part:g}_{fill}") for fill in ("mean", "value"))
            rows.append([f"last {part:g}", *(with_interval(c) if c else None for c in comparisons)])
        titles = (
            "the older half of the window is used",
            "the model forecasts better without the older half of its window",
            "the older half of the window is not used",
            self.title,
        )
        return self.answered(
            evidence,
            results,
            "last_0.5_mean",
            f"The last {enough} of {left[-1]} steps are enough (loss within 1 %). Replacing the older half of the "
            f"window by the mean of the newer one",
            titles,
            enough=enough,
            table={"columns": ["what is left", "filled by the mean", "filled by the oldest value"], "rows": rows},
            chart={
                "kind": "lines",
                "x": left,
                "series": [{"label": f"filled by the {fill}", "y": curve} for fill, curve in curves.items()],
                "x_label": "steps left",
                "y_label": "MSE over that of the full window",
            },
        )


_ORDERS = {
    "all": "all steps",
    "but_last": "all but the last eighth",
    "blocks": "eight blocks, the order inside kept",
    "inside": "inside each of eight blocks",
}


class TimeOrder(BlackBox):
    """Does the order of time in the window matter?

    All steps of the window are shuffled, the same way in every window, three draws; the table has milder shuffles. A
    forecast that does not suffer uses the window as a bag of values (its mean, say), whatever its architecture.
    """

    code, title = "FC902", "order of time"
    advice = "A forecaster that ignores order does no more than summarise: compare it with the mean (FC201)."

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """All steps shuffled; milder shuffles in a table."""
        rows = []
        for order, words in _ORDERS.items():
            c = changed(evidence, results, f"order_{order}")
            rows.append([words, with_interval(c) if c else None])
        titles = (
            "the order of time is used",
            "the model forecasts better from shuffled windows",
            "the order of time is not used",
            self.title,
        )
        return self.answered(
            evidence,
            results,
            "order_all",
            "Shuffling all steps of the window",
            titles,
            table={"columns": ["shuffled", "effect on MSE"], "rows": rows},
        )


class ChannelPermutation(BlackBox):
    """Are channels distinguished, and does one depend on the others?

    Channels are permuted and their forecasts put back in order: equal forecasts (to rounding) mean that the model has
    no weights of a channel's own. And all other channels are taken from another window: equal forecasts mean that the
    model is channel-independent, so that nothing it says of one channel draws on another.
    """

    code, title, severity = "FC903", "channel permutation", "info"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Whether the forecast of channels depends on their order, and on the other channels."""
        found = [result.summary["channels"] for result in results]
        if why := found[0].get("why_not"):
            return self.not_applicable(why)
        equivariant = all(each["equivariant"] for each in found)
        independent = all(each["independent"] for each in found)
        ratio = mean_of(results, "channels", "ratio")
        influence = mean_of(results, "channels", "influence")
        moved = "" if ratio is None else f" and changes their MSE by {percent(ratio - 1)}"
        return self.finding(
            "pass",
            ("Every channel is forecast by the same rule. " if equivariant else "Channels have rules of their own. ")
            + (
                "A channel's forecast depends on its own past alone."
                if independent
                else f"Taking all other channels from another window moves forecasts by {share(influence)} of their "
                f"spread (in the channel where it is most){moved}."
            ),
            title="channels are independent" if independent else "channels are mixed",
            equivariant=equivariant,
            independent=independent,
            influence=influence,
            ratio=ratio,
        )


class ConstantInput(BlackBox):
    """Is a constant window forecast as that constant?

    Constant windows at several levels, up to three standard deviations. A forecast that is not finite is an error:
    stuck sensors make such windows (FC805). One that leaves the level by more than a tenth of a standard deviation
    draws on what the model remembers of the training rows, which is right for series that come back to a mean and wrong
    for those whose level wanders. How forecasts follow shifted (x + 1) and scaled (2 x) windows is reported too.
    """

    code, title = "FC904", "constant input"
    advice = "Put a floor under the standard deviation that windows are divided by, and train again."

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Finite at all, and at the level."""
        found = [result.summary["constant"] for result in results]
        equivariance = {name: mean_of(results, "equivariance", name) for name in ("shift", "scale")}
        details = {"constant": found[0], "equivariance": equivariance}
        if not all(each["finite"] for each in found):
            return self.finding(
                "fail",
                "The forecast of a constant window is not finite.",
                title="constant windows are not forecast",
                severity="error",
                advice=self.advice,
                **details,
            )
        offset, wobble = (max(float(each[name]) for each in found) for name in ("offset", "wobble"))
        keeps = offset <= _LEVEL
        return self.finding(
            "pass",
            f"Forecasts of constant windows leave their level by up to {offset:.2g} standard deviations and move by up "
            f"to {wobble:.2g} over the horizon. Shifted windows give shifted forecasts up to "
            f"{share(equivariance['shift'])} of their spread, scaled ones scaled forecasts up to "
            f"{share(equivariance['scale'])}.",
            title="constant windows keep their level" if keeps else "constant windows are drawn to another level",
            **details,
        )


class LinearSurrogate(BlackBox):
    """How much of the forecast is a linear function of the window?

    A closed-form affine map is fitted to forecasts of training windows, from each channel's own past (and from all
    channels where these are few), and asked for forecasts of test windows. R² is the smaller of two: around the mean
    of the forecasts, and around the last value. The first is near 1 for any model that follows the level, the second
    for any that does not, so either alone flatters. From 0.99 on the model is called linear. What the rest is worth is
    measured by the loss: the surrogate's against the model's own, on test windows. Superposition is reported too: how
    much the effect of a change of the input differs from window to window (0 for an affine model, with weights a
    channel too).
    """

    code, title = "FC905", "linear surrogate"
    advice = "Forecast with the closed-form linear reference (FC202): it does the same, faster, and can be read."

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """R² of the surrogate, and its loss against the model's."""
        kinds = [kind for kind in ("shared", "across") if mean_of(results, "surrogate", kind, "mse") is not None]
        if not kinds:
            return self.not_applicable(str(results[0].summary["surrogate"]["shared"].get("why_not", "")))
        both = {kind: [mean_of(results, "surrogate", kind, r2) for r2 in ("r2", "r2_change")] for kind in kinds}
        # A forecast that never changes has no R², and is linear.
        best = max(min((r2 for r2 in pair if r2 is not None), default=1.0) for pair in both.values())
        linear = best >= _LINEAR
        superposition = mean_of(results, "superposition", "difference")
        how = "the forecast is a linear function of the window" if linear else "the forecast is not linear"
        titles = (
            f"{how}; what is not linear helps",
            f"{how}; a linear copy forecasts better",
            f"{how}; what is not linear makes no difference",
            how,
        )
        rows = [
            [kind, *(mean_of(results, "surrogate", kind, key) for key in ("r2_change", "r2", "mse", "ratio"))]
            for kind in kinds
        ]
        return self.answered(
            evidence,
            results,
            "surrogate",
            f"A linear map of the window reproduces the forecasts with R² {share(best)}; the "
            f"effect of an input differs from window to window by {share(superposition)}. Forecasting with that map "
            f"instead of the model",
            titles,
            superposition=superposition,
            table={"columns": ["surrogate", "R² around the last value", "R²", "MSE", "over the model's"], "rows": rows},
        )


CHECKS: tuple[Check, ...] = (
    WindowTruncation(),
    TimeOrder(),
    ChannelPermutation(),
    ConstantInput(),
    LinearSurrogate(),
)
