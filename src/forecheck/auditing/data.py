"""FC8xx: what do the series themselves allow, and what in them should be mended first?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecheck.auditing.check import Check, Finding, percent
from forecheck.auditing.evidence import LINEAR, Evidence
from forecheck.auditing.measured import MeasuredCheck, mean_of, share
from forecheck.auditing.setting import Request, Setting
from forecheck.data.panel import Panel
from forecheck.data.sentinels import sentinels
from forecheck.data.splits import PARTS
from forecheck.data.windows import Windows
from forecheck.probes.series import (
    NEAR_CONSTANT,
    difference_autocorrelation,
    near_constant,
    target_spread,
)
from forecheck.probes.signs import VIEWS
from forecheck.trials.store import Result

_CURSE = "Ke et al., Curse of Attention, section 6; the view of differences is ours"
_MANY = 0.01
_FILLED = 0.05
_LISTED = 20


class SignInconsistent(MeasuredCheck):
    """How often does the target turn against the last value, or against the last step?

    Two views of test windows, for every step h of the horizon: levels, x_L y_h < 0 in values standardised by the
    training rows, and differences, (x_L - x_(L-1)) (y_h - x_L) < 0. Attention with weights from the training set's
    majority fails on the minority of signs in a model of the paper. White noise gives a half of the levels and two
    thirds of the first differences; a trending series few of both. Values that repeat exactly have no sign and are
    left out. Nothing here is good or bad: FC802 looks at what it costs.
    """

    code, title, severity = "FC801", "sign-inconsistent steps", "info"
    measure = "signs"
    source = _CURSE

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Shares over all steps, and the curves."""
        shares = {view: mean_of(results, view, "share") for view in VIEWS}
        first = {view: mean_of(results, view, "first_step_share") for view in VIEWS}
        ties = {view: mean_of(results, view, "ties") for view in VIEWS}
        curves = {view: results[0].arrays[f"{view}_share"] for view in VIEWS}
        lagged = float(np.nanmean(difference_autocorrelation(evidence.experiment)))
        return self.finding(
            "pass",
            f"{share(shares['level'])} of the steps have another sign than the last value "
            f"({share(first['level'])} of the first steps); {share(shares['difference'])} go against the last "
            f"difference ({share(first['difference'])} of the first steps). Lag-1 autocorrelation of differences, mean "
            f"over channels: {lagged:+.2f}.",
            difference_autocorrelation=lagged,
            table={
                "columns": ["view", "all steps", "first step", "without sign"],
                "rows": [[f"{view}s", share(shares[view]), share(first[view]), share(ties[view])] for view in VIEWS],
            },
            chart={
                "kind": "lines",
                "x": list(range(1, evidence.experiment.test.horizon + 1)),
                "series": [
                    {"label": f"{view}s", "y": [None if np.isnan(v) else 100 * float(v) for v in curves[view]]}
                    for view in VIEWS
                ],
                "x_label": "step of the horizon",
                "y_label": "inconsistent steps, %",
            },
        )


class LossBySign(MeasuredCheck):
    """Is the model worse than linear where signs turn over?

    Test MSE of the audited model and of the best closed-form linear forecaster (chosen on validation), apart for
    steps that are sign-inconsistent and consistent (see FC801). The last value and zero are in the table too: labels of
    one class can be small, so losses compare within a row only. It holds the two ratios model / linear against each
    other; as neither has an interval, this is reported, not judged.
    """

    code, title, severity = "FC802", "loss split by sign", "info"
    measure = "signs"
    source = _CURSE

    def requests(self, setting: Setting) -> Sequence[Request]:
        """The measure on the raw model and on the linear references: which of them is best is not known yet."""
        return [*super().requests(setting), *(Request("reference", name, measure=self.measure) for name in LINEAR)]

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Losses by view, class and predictor."""
        best = evidence.best_reference(LINEAR)
        linear = evidence.measured(self.measure, best.label) if best else ()
        name, other = evidence.setting.model, best.label if best else "linear"
        rows: list[list[str | float | None]] = []
        ratios: dict[str, float] = {}
        for view in VIEWS:
            for kind in ("inconsistent", "consistent"):
                path = (view, "mse", kind)
                model = mean_of(results, *path, "forecaster")
                reference = mean_of(linear, *path, "forecaster") if linear else None
                last, zero = (mean_of(results, *path, each) for each in ("last", "zero"))
                ratio = model / reference if model is not None and reference else None
                if ratio is not None:
                    ratios[f"{view} {kind}"] = ratio
                rows.append([f"{view}s, {kind}", model, reference, ratio, last, zero])
        words = [f"{percent(ratio - 1)} on {words}" for words, ratio in ratios.items()]
        return self.finding(
            "pass",
            f"Against {other}, test MSE of {name} differs by {'; '.join(words)} steps."
            if words
            else f"No linear reference was run to hold {name} against.",
            table={"columns": ["steps", name, other, "ratio", "last value", "zero"], "rows": rows},
            ratios=ratios,
        )


class LinearR2(Check):
    """How much of the variation is a closed-form linear map able to forecast?

    1 - MSE of the best closed-form linear forecaster (chosen on validation) over two spreads of the test targets: mean
    squared distance from the window's last value (0 is persistence), and variance (0 is the test mean). Where little
    is linear there is room for other models, or nothing to forecast. Not above 0 against the last value: even linear
    does not beat persistence, so differences between models are differences in noise.
    """

    code, title = "FC803", "linear R²"
    advice = "Ask first whether anything can be forecast here: FC201 and FC204."
    source = "Toner & Darlow, An Analysis of Linear Time Series Forecasting Models, ICML 2024 (the reference)"

    def look(self, evidence: Evidence) -> Finding | None:
        """The best linear reference against both spreads."""
        best = evidence.best_reference(LINEAR)
        if best is None:
            return None
        spread = target_spread(evidence.experiment.test)
        r2 = {name: 1 - best.mean("mse") / value if value > 0 else 0.0 for name, value in spread.items()}
        raw = {name: 1 - evidence.raw.mean("mse") / value if value > 0 else 0.0 for name, value in spread.items()}
        return self.passed(
            r2["last"] > 0,
            f"{best.label} explains {share(r2['last'])} of the variation around the last value and "
            f"{share(r2['mean'])} of the variance; {evidence.setting.model} {share(raw['last'])} and "
            f"{share(raw['mean'])}.",
            table={
                "columns": ["forecaster", "R² around the last value", "R²"],
                "rows": [
                    [best.label, r2["last"], r2["mean"]],
                    [evidence.setting.model, raw["last"], raw["mean"]],
                ],
            },
        )


class SentinelValues(Check):
    """Do the series hold codes for *missing* as if they were values?

    A value is named if it is the least or largest of its channel, is farther from the nearest other value than all
    others are from each other, lies more than 8 robust scales from the median, and occurs exactly at least twice (once
    for well-known codes such as -9999). Such a value swells the standard deviation that everything is scaled by, and
    enters losses with its square. The benchmark set weather holds -9999 in three channels.
    """

    code, title, severity = "FC804", "sentinel-like values", "error"
    advice = "Make them missing values in the file and read it with --fill linear, or drop the channel with --drop."
    source = "the data (weather of the LTSF benchmarks)"

    def look(self, evidence: Evidence) -> Finding:
        """Codes of all channels."""
        panel = evidence.experiment.panel
        found = sentinels(panel)
        times = {code.first: str(panel.time[code.first]).removesuffix(".000000") for code in found}
        named = "; ".join(
            f"{code.value:g} in {code.channel}, {code.count} rows, first at row {code.first} ({times[code.first]})"
            for code in found[:3]
        )
        return self.passed(
            not found,
            f"{named}{' and more' if len(found) > 3 else ''}." if found else "No value looks like a code for missing.",
            table={
                "columns": ["channel", "value", "rows", "first row", "first time"],
                "rows": [[code.channel, code.value, code.count, code.first, times[code.first]] for code in found],
            },
        )


class NearConstantWindows(Check):
    """Are there windows in which a channel hardly moves?

    Share of input windows whose standard deviation is under a thousandth of the training rows', by channel, in the
    training and the test part. Models that divide by the window's own standard deviation blow rounding and noise up
    there. More than one window in a hundred in some channel is worth knowing.
    """

    code, title = "FC805", "near-constant windows"
    advice = (
        "Look at these channels: stuck sensors, nights of solar power, or a scale swollen by FC804. Models that "
        "normalise windows need a floor under the standard deviation."
    )
    source = "Kim et al. 2022, RevIN (the normalisation that divides)"

    def look(self, evidence: Evidence) -> Finding:
        """Shares by channel; the largest decides."""
        e = evidence.experiment
        train, test = near_constant(e.train), near_constant(e.test)
        worst = np.maximum(train, test)
        order = np.argsort(-worst, kind="stable")
        many = int((worst > _MANY).sum())
        at = int(order[0])
        return self.passed(
            many == 0,
            f"{many or 'None'} of {len(worst)} channels {'has' if many == 1 else 'have'} near-constant input windows "
            f"(standard deviation under {NEAR_CONSTANT:g} of the training rows') more often than in {100 * _MANY:g} % "
            f"of them; most: {share(train[at])} of training and {share(test[at])} of test windows, in "
            f"{e.panel.channels[at]}.",
            table={
                "columns": ["channel", "training windows", "test windows"],
                "rows": [
                    [e.panel.channels[c], share(train[c]), share(test[c])] for c in order[:_LISTED] if worst[c] > 0
                ],
            },
        )


class FilledValues(Check):
    """How much of what is judged was never observed?

    Values that were missing and have been filled on reading are no truth: targets among them enter no loss, in
    training neither, and inputs see in their place what was known before (the last value, or that of the last season),
    never the line that leads to the next observation. Still a model that sees many of them is judged on another
    task than on whole data. More than one test input in twenty is worth knowing.
    """

    code, title = "FC806", "filled values"
    advice = (
        "Losses on such inputs say little about whole ones: choose a split whose test part is whole, resample to a "
        "longer step, or leave out the columns and series that are mostly missing (--drop)."
    )
    source = "the data (co2, which comes with forecheck, has 59 missing weeks)"

    def look(self, evidence: Evidence) -> Finding:
        """Shares of targets by part, and of test inputs."""
        e = evidence.experiment
        if e.panel.filled is None:
            return self.finding("pass", "No value was filled.")
        shares = {f"{part} targets": _filled(e.panel, e.part(part), inputs=False) for part in PARTS}
        shares["test inputs"] = _filled(e.panel, e.test, inputs=True)
        listed = ", ".join(f"{share(value)} of the {what}" for what, value in shares.items())
        return self.passed(
            shares["test inputs"] <= _FILLED,
            f"{int(e.panel.filled.sum()):,} values were missing and have been filled ({e.panel.fill or 'beforehand'}): "
            f"{listed}. Targets among them enter no loss.",
            table={"columns": ["values", "filled"], "rows": [[what, share(value)] for what, value in shares.items()]},
        )


def _filled(panel: Panel, windows: Windows, *, inputs: bool) -> float:
    """Share of filled values among those in the inputs or targets of windows, each counted once."""
    assert panel.filled is not None
    before, after = (windows.lookback, 0) if inputs else (0, windows.horizon)
    edges = np.zeros(len(panel.values) + 1, dtype=np.int64)
    np.add.at(edges, windows.origins - before, 1)
    np.add.at(edges, windows.origins + after, -1)
    return float(panel.filled[np.cumsum(edges)[:-1] > 0].mean())


CHECKS: tuple[Check, ...] = (
    SignInconsistent(),
    LossBySign(),
    LinearR2(),
    SentinelValues(),
    NearConstantWindows(),
    FilledValues(),
)
