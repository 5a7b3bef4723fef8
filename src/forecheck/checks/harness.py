"""FC1xx: does the comparison itself keep the rules? Measured on this audit's own data and results, not promised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from forecheck.checks.evidence import Evidence
from forecheck.checks.protocol import Check, Finding
from forecheck.data.scaling import fit_scaler
from forecheck.data.splits import PARTS, Part

FAMILY = "harness"


class Borders(Check):
    """Targets of training, validation and test never share a row, and no input looks past its origin's border."""

    code, family, title = "FC101", FAMILY, "split borders"

    def run(self, evidence: Evidence) -> Finding:
        """Rows touched by the windows of each part, counted from the windows themselves."""
        e = evidence.experiment
        rows = len(e.panel.values)
        touched: dict[Part, np.ndarray[Any, np.dtype[np.bool_]]] = {}
        for part in PARTS:
            windows = e.part(part)
            mask = np.zeros(rows + windows.horizon + 1, dtype=np.int64)
            np.add.at(mask, windows.origins, 1)
            np.add.at(mask, windows.origins + windows.horizon, -1)
            touched[part] = np.cumsum(mask)[:rows] > 0
        in_parts = np.sum([touched[part].astype(np.int64) for part in PARTS], axis=0)
        shared = int((in_parts > 1).sum())
        ends = e.panel.offsets[1:][e.panel.series_of(e.test.origins)]
        beyond = int((e.test.origins + e.test.horizon > ends).sum())
        counts = ", ".join(f"{part} {int(touched[part].sum())}" for part in PARTS)
        return self.passed(
            shared == 0 and beyond == 0,
            f"Target rows: {counts}; {shared} are in two parts, {beyond} windows cross the end of a series.",
            advice="Report this: windows must never share target rows between parts.",
        )


class ScalerLeak(Check):
    """The scaler is that of the training rows alone: changing all later rows must not change it."""

    code, family, title = "FC102", FAMILY, "scaler sees training rows only"

    def run(self, evidence: Evidence) -> Finding:
        """Refit the scaler with validation and test rows replaced."""
        e = evidence.experiment
        values = e.panel.values.copy()
        for offset, end, next_offset in zip(
            e.panel.offsets[:-1], e.borders.train_end, e.panel.offsets[1:], strict=True
        ):
            values[offset + end : next_offset] = 1e6
        again = fit_scaler(replace(e.panel, values=values), e.borders)
        difference = float(max(np.abs(again.mean - e.scaler.mean).max(), np.abs(again.std - e.scaler.std).max()))
        return self.passed(
            difference == 0,
            f"Mean and standard deviation change by {difference:g} when validation and test rows are overwritten.",
            advice="Report this: the scaler must be fitted on training rows only.",
        )


class LastBatch(Check):
    """Every test window is scored, those of the last, partial batch too (`drop_last` on test data changes results)."""

    code, family, title = "FC103", FAMILY, "all test windows are scored"

    def run(self, evidence: Evidence) -> Finding:
        """Compare scored windows with those that the borders allow."""
        e = evidence.experiment
        first, end = e.borders.rows("test")
        # Multiples of the step from the first possible origin to the last one, counted without the windows' own code.
        earliest, latest = np.maximum(first, e.test.lookback), end - e.test.horizon
        possible = int(np.maximum(0, latest // e.test.step - (earliest - 1) // e.test.step).sum())
        scored = {len(result.arrays["mse"]) for arm in evidence.arms for result in arm.results}
        return self.passed(
            scored == {possible},
            f"The test part allows {possible} windows; every arm was scored on "
            f"{', '.join(map(str, sorted(scored)))} of them.",
            advice="Report this: no window may be dropped.",
        )


class BatchSize(Check):
    """A forecast does not depend on which other windows are in its batch."""

    code, family, title = "FC104", FAMILY, "forecasts do not depend on the batch"

    def run(self, evidence: Evidence) -> Finding:
        """Largest relative change when a batch is cut into single windows."""
        worst = max(summary["harness"]["batch_difference"] for summary in evidence.summaries())
        return self.passed(
            worst < 1e-4,
            f"Cutting a batch into single windows changes forecasts by {worst:.1e} of their size at most.",
            advice="A module mixes windows (batch statistics in evaluation mode?): its scores depend on batch size.",
        )


class TestUnseen(Check):
    """Fitting and stopping never saw the test part: during every fit its rows were NaN."""

    code, family, title = "FC105", FAMILY, "the test part is not used for fitting or stopping"

    def run(self, evidence: Evidence) -> Finding:
        """Every fit ran on values whose test rows were NaN, and stayed finite."""
        hidden = [summary["harness"]["test_rows_hidden_from_fit"] for summary in evidence.summaries()]
        finite = all(np.isfinite(summary["validation_mse"]) for summary in evidence.summaries())
        return self.passed(
            all(hidden) and finite,
            f"In all {len(hidden)} fits the test rows were NaN, and every loss stayed finite.",
            advice="Report this: a fit read test rows.",
        )


class SameProtocol(Check):
    """All arms share windows, split, lookback and horizon; edited arms share the raw arm's seeds and options."""

    code, family, title = "FC106", FAMILY, "all arms follow one protocol"

    def run(self, evidence: Evidence) -> Finding:
        """Compare the trials' own descriptions."""
        trials = [result.trial for arm in evidence.arms for result in arm.results]
        protocols = {(t.data, t.split, t.lookback, t.horizon, t.step, t.period) for t in trials}
        raw = [(r.trial.seed, r.trial.config) for r in evidence.raw.results]
        edited = [arm for arm in evidence.arms if arm.family in ("retrained", "post-hoc")]
        same = all([(r.trial.seed, r.trial.config) for r in arm.results] == raw for arm in edited)
        return self.passed(
            len(protocols) == 1 and same,
            f"{len(trials)} trials share data, split, lookback and horizon; {len(edited)} edited arms share the raw "
            f"arm's seeds {[seed for seed, _ in raw]} and every option.",
            advice="Compare only arms that were run under one protocol.",
        )


class Seeds(Check):
    """A claim about an architecture needs more than one seed."""

    code, family, title = "FC107", FAMILY, "seeds"

    def run(self, evidence: Evidence) -> Finding:
        """Count the seeds and show their spread."""
        losses = [result.summary["mse"] for result in evidence.raw.results]
        spread = float(np.std(losses, ddof=1) / np.mean(losses)) if len(losses) > 1 else None
        words = f"test MSE varies by {100 * spread:.1f} % (standard deviation)" if spread is not None else "one fit"
        return self.passed(
            len(losses) > 1, f"{len(losses)} seeds; {words}.", advice="Use a larger --budget.", spread=spread
        )


class AdapterIdentity(Check):
    """With nothing changed, the forecast through the adapter equals the untouched one; else no edit is believed."""

    code, family, title = "FC108", FAMILY, "identity test of the adapter"

    def run(self, evidence: Evidence) -> Finding | None:
        """The largest relative difference over all raw fits."""
        found = [r.summary["attention"] for r in evidence.raw.results if "attention" in r.summary]
        if not found:
            return None
        worst = max(attention["identity_error"] for attention in found)
        return self.passed(
            worst < 1e-4,
            f"{found[0]['adapter']}: with nothing changed the forecast differs by {worst:.1e} of its size.",
            advice="Do not believe the post-hoc findings of this audit.",
        )


CHECKS: tuple[Check, ...] = (
    Borders(),
    ScalerLeak(),
    LastBatch(),
    BatchSize(),
    TestUnseen(),
    SameProtocol(),
    Seeds(),
    AdapterIdentity(),
)
