"""FC1xx: does the comparison itself keep the rules? Measured on this audit's own data and results, not promised."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from forecheck.checks.evidence import LINEAR, NAIVE, Evidence
from forecheck.checks.protocol import Check, Finding
from forecheck.checks.setting import Setting
from forecheck.data.scaling import fit_scaler
from forecheck.data.splits import PARTS, Part
from forecheck.interventions.identity import TOLERANCE
from forecheck.interventions.replace import Replace
from forecheck.training.recipe import Recipe


class HarnessCheck(Check):
    """A rule of the comparison itself; breaking it makes every other finding worthless."""

    severity = "error"


class Borders(HarnessCheck):
    """Do the parts of the split keep apart?

    Target rows of training, validation and test are counted from the windows themselves: no row may be in two parts,
    and no window may reach across the end of its series.
    """

    code, title = "FC101", "split borders"

    def look(self, evidence: Evidence) -> Finding:
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


class ScalerLeak(HarnessCheck):
    """Does the scaler know the training rows alone?

    It is fitted again with all validation and test rows overwritten: mean and standard deviation must not move.
    """

    code, title = "FC102", "scaler sees training rows only"

    def look(self, evidence: Evidence) -> Finding:
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


class LastBatch(HarnessCheck):
    """Is every test window scored?

    The windows that the borders allow are counted without the windows' own code, and compared with those that were
    scored. Loaders that drop the last, partial batch score other windows at every batch size.
    """

    code, title = "FC103", "all test windows are scored"

    def look(self, evidence: Evidence) -> Finding:
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


_MIXES_WINDOWS = Replace("shuffled").label


class BatchSize(HarnessCheck):
    """Does the forecast of a window depend on which other windows are in its batch?

    A batch is cut into single windows. The arm that gets patterns of other windows does so by design and is left out.
    """

    code, title = "FC104", "forecasts do not depend on the batch"

    def look(self, evidence: Evidence) -> Finding:
        """Largest relative change when a batch is cut into single windows."""
        fits = [arm for arm in evidence.arms if arm.label != _MIXES_WINDOWS]
        found = [result.summary["harness"] for arm in fits for result in arm.results if "harness" in result.summary]
        worst = max(harness["batch_difference"] for harness in found)
        return self.passed(
            worst < 1e-4,
            f"Cutting a batch into single windows changes forecasts by {worst:.1e} of their size at most.",
            advice="A module mixes windows (batch statistics in evaluation mode?): its scores depend on batch size.",
        )


class TestUnseen(HarnessCheck):
    """Was the test part kept from fitting and stopping?

    During every fit its rows are NaN, so that a fit that reads them cannot stay finite. Of a model that was trained
    elsewhere nobody can tell.
    """

    code, title = "FC105", "the test part is not used for fitting or stopping"

    def why_not(self, setting: Setting) -> str:
        """Nobody can tell of a model that was trained elsewhere."""
        if setting.given:
            return (
                "the model was trained elsewhere: which rows it has seen is not known here; make sure that its "
                "training ended before the test part begins"
            )
        return ""

    def look(self, evidence: Evidence) -> Finding:
        """Every fit ran on values whose test rows were NaN, and stayed finite."""
        hidden = [summary["harness"].get("test_rows_hidden_from_fit") for summary in evidence.summaries()]
        finite = all(np.isfinite(summary["validation_mse"]) for summary in evidence.summaries())
        return self.passed(
            all(hidden) and finite,
            f"In all {len(hidden)} fits the test rows were NaN, and every loss stayed finite.",
            advice="Report this: a fit read test rows.",
        )


class SameProtocol(HarnessCheck):
    """Do all arms follow one protocol?

    All trials must share data, split, lookback, horizon, step and season, and every edited arm the raw arm's seeds and
    options: a reference with a longer lookback, say, is another question.
    """

    code, title = "FC106", "all arms follow one protocol"

    def look(self, evidence: Evidence) -> Finding:
        """Compare the trials' own descriptions."""
        trials = [result.trial for arm in evidence.arms for result in arm.results]
        protocols = {(t.data, t.split, t.lookback, t.horizon, t.step, t.period) for t in trials}
        raw = [(r.trial.seed, r.trial.config) for r in evidence.raw.results]
        edited = [arm for arm in evidence.arms if arm.family not in ("raw", "reference", "patches")]
        same = all([(r.trial.seed, r.trial.config) for r in arm.results] == raw for arm in edited)
        return self.passed(
            len(protocols) == 1 and same,
            f"{len(trials)} trials share data, split, lookback and horizon; {len(edited)} edited arms share the raw "
            f"arm's seeds {[seed for seed, _ in raw]} and every option.",
            advice="Compare only arms that were run under one protocol.",
        )


class Seeds(HarnessCheck):
    """Are there enough seeds for a claim about the architecture?

    One fit says nothing about the spread between fits, which is often larger than the effect. The spread is printed.
    """

    code, title = "FC107", "seeds"

    def why_not(self, setting: Setting) -> str:
        """One checkpoint is what a given model is."""
        return "one trained model was given: claims are about this checkpoint only" if setting.given else ""

    def look(self, evidence: Evidence) -> Finding:
        """Count the seeds and show their spread."""
        losses = [result.summary["mse"] for result in evidence.raw.results]
        spread = float(np.std(losses, ddof=1) / np.mean(losses)) if len(losses) > 1 else None
        words = f"test MSE varies by {100 * spread:.1f} % (standard deviation)" if spread is not None else "one fit"
        return self.passed(
            len(losses) > 1, f"{len(losses)} seeds; {words}.", advice="Use a larger --budget.", spread=spread
        )


class AdapterIdentity(HarnessCheck):
    """Can the adapter be believed on this very model?

    With nothing changed the forecast through the adapter must equal the untouched one; with every pattern taken the
    edited way but unchanged, likewise; and with all weight moved to one token, where looking elsewhere is impossible,
    every row-stochastic edit must equal raw.
    """

    code, title = "FC108", "identity test of the adapter"

    def why_not(self, setting: Setting) -> str:
        """Where no adapter reaches anything, there is none to test."""
        return setting.why_not if setting.identity is None else ""

    def look(self, evidence: Evidence) -> Finding | None:
        """The largest relative difference over all raw fits."""
        found = [r.summary["attention"] for r in evidence.raw.results if "attention" in r.summary]
        if not found:
            return None
        worst = max(evidence.setting.identity or 0.0, *(attention["identity_error"] for attention in found))
        return self.passed(
            worst < TOLERANCE,
            f"{found[0]['adapter']}: with nothing changed the forecast differs by {worst:.1e} of its size.",
            advice="Do not believe the post-hoc findings of this audit.",
        )


class ReferencesPresent(HarnessCheck):
    """Is there something to compare with?

    Without a naive and a linear forecast on the same windows no loss means anything.
    """

    code, title = "FC109", "references are there"

    def look(self, evidence: Evidence) -> Finding:
        """At least one naive and one linear reference were scored."""
        labels = [arm.label for arm in evidence.family("reference")]
        ok = bool(set(labels) & set(NAIVE)) and bool(set(labels) & set(LINEAR))
        return self.passed(ok, f"References on the same windows: {', '.join(labels)}.")


class SearchBudget(HarnessCheck):
    """Did every retrained arm get the same search as the raw model?

    An arm that is tuned or trained longer than what it is compared with wins by that. All arms take the options of the
    raw model, unchanged, except for what the arm is about, and choose by validation alone.
    """

    code, title = "FC110", "same training budget for all arms"

    def why_not(self, setting: Setting) -> str:
        """Nothing is trained here."""
        return "the model was trained elsewhere: nothing is trained here" if setting.given else ""

    def look(self, evidence: Evidence) -> Finding:
        """Compare the recipes of all fits of the audited forecaster."""
        arms = [arm for arm in evidence.arms if arm.family in ("raw", "retrained", "patches")]
        recipes = {
            tuple(sorted((key, value) for key, value in result.trial.config.items() if key in _RECIPE))
            for arm in arms
            for result in arm.results
        }
        counts = {len(arm.results) for arm in arms}
        return self.passed(
            len(recipes) == 1 and len(counts) == 1,
            f"{len(arms)} arms were fitted by one recipe, {', '.join(map(str, sorted(counts)))} seeds each.",
            advice="Compare only arms that were trained alike.",
        )


_RECIPE = {field.name for field in fields(Recipe)}


CHECKS: tuple[Check, ...] = (
    Borders(),
    ScalerLeak(),
    LastBatch(),
    BatchSize(),
    TestUnseen(),
    SameProtocol(),
    Seeds(),
    AdapterIdentity(),
    ReferencesPresent(),
    SearchBudget(),
)
