"""FC1xx: does the comparison itself keep the rules? Measured on this audit's own data and results, not promised."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from forecheck.attention.identity import TOLERANCE
from forecheck.attention.replace import Replace
from forecheck.auditing.evidence import LINEAR, NAIVE, Evidence
from forecheck.auditing.protocol import Check, Finding, Severity
from forecheck.auditing.searched import SEARCHED
from forecheck.auditing.setting import Setting
from forecheck.data.dates import stamp
from forecheck.data.scaling import fit_scaler
from forecheck.data.splits import PARTS, Part
from forecheck.trials.trial import Trial


class HarnessCheck(Check):
    """A rule of the comparison itself; breaking it makes every other finding worthless."""

    severity: Severity = "error"


class Borders(HarnessCheck):
    """Do the parts of the split keep apart?

    Target rows of training, validation and test are counted from the windows themselves: no row may be in two parts,
    and no window may reach across the end of its series. Series share the weights of a model, so over all series
    together the last target of a part must lie before the first target of the next one in time.
    """

    code, title = "FC101", "split borders"

    def look(self, evidence: Evidence) -> Finding:
        """Rows touched by the windows of each part and when, counted from the windows themselves."""
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
        times = {part: e.panel.time[touched[part]] for part in PARTS}
        mixed = [
            f"{part} targets begin at {stamp(times[part].min())}, {before} targets end at {stamp(times[before].max())}"
            for before, part in itertools.pairwise(PARTS)
            if times[part].min() <= times[before].max()
        ]
        return self.passed(
            shared == 0 and beyond == 0 and not mixed,
            f"Target rows: {counts}; {shared} are in two parts, {beyond} windows cross the end of a series"
            + "".join(f"; {words}" for words in mixed)
            + ".",
            advice="Cut all series at the same dates; if this is a split of forecheck's own, report it.",
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
        known = e.scaler.known
        changes = [np.abs(again.mean - e.scaler.mean)[known], np.abs(again.std - e.scaler.std)[known]]
        difference = float(np.max(changes)) if (again.known == known).all() else np.inf
        return self.passed(
            difference == 0,
            f"Mean and standard deviation change by {difference:g} when validation and test rows are overwritten.",
            advice="Report this: the scaler must be fitted on training rows only.",
        )


class LastBatch(HarnessCheck):
    """Is every test window scored?

    The windows that the borders allow are counted without the windows' own code, and compared with those that were
    scored; windows whose whole target was missing are none. Loaders that drop the last, partial batch score other
    windows at every batch size.
    """

    code, title = "FC103", "all test windows are scored"

    def look(self, evidence: Evidence) -> Finding:
        """Compare scored windows with those that the borders allow."""
        e = evidence.experiment
        first, end = e.borders.rows("test")
        possible = 0
        # By the clock of the panel, row by row, without the windows' own code.
        for series, (lo, hi) in enumerate(zip(first, end, strict=True)):
            rows = e.panel.series_rows(series)
            origins = np.arange(max(int(lo), e.test.lookback), int(hi) - e.test.horizon + 1)
            due = origins[np.floor(e.panel.calendar[rows][origins]) % e.test.step == 0]
            if e.panel.filled is not None and len(due):
                missing = e.panel.filled[rows].all(axis=1)
                due = due[~np.lib.stride_tricks.sliding_window_view(missing, e.test.horizon)[due].all(axis=1)]
            possible += len(due)
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

    All trials of a fold must share data, split, lookback, horizon, step and season, and every edited arm the raw arm's
    first seeds and its options, but for those of training that the same search chose: a reference with a longer
    lookback, say, is another question.
    """

    code, title = "FC106", "all arms follow one protocol"

    def look(self, evidence: Evidence) -> Finding:
        """Compare the trials' own descriptions."""
        trials = [result.trial for arm in evidence.arms for result in arm.results]
        protocols = {(t.data, t.split, t.lookback, t.horizon, t.step, t.period) for t in trials}
        raw = [result.trial for result in evidence.raw.results]
        edited = [arm for arm in evidence.arms if arm.family not in ("raw", "reference", "patches")]
        same = all(_alike(result.trial, own) for arm in edited for result, own in zip(arm.results, raw, strict=False))
        return self.passed(
            len(protocols) == 1 and same and all(len(arm.results) <= len(raw) for arm in edited),
            f"{len(trials)} trials share data, split, lookback and horizon; {len(edited)} edited arms share the raw "
            f"arm's seeds {[trial.seed for trial in raw]} and every option but those of training.",
            advice="Compare only arms that were run under one protocol.",
        )


def _alike(trial: Trial, raw: Trial) -> bool:
    """Whether an edited arm's trial differs from the raw one by its edit alone, or by what a search chose for it."""
    free = set() if trial.posthoc else SEARCHED
    options = [{k: v for k, v in each.config.items() if k not in free} for each in (trial, raw)]
    return trial.seed == raw.seed and options[0] == options[1]


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


CHECKS: tuple[Check, ...] = (
    Borders(),
    ScalerLeak(),
    LastBatch(),
    BatchSize(),
    TestUnseen(),
    SameProtocol(),
    AdapterIdentity(),
    ReferencesPresent(),
)
