"""FC1xx: does the comparison itself keep the rules? What data, models and options can break is measured here."""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import Any

import numpy as np

from forecheck.attention.identity import TOLERANCE
from forecheck.attention.replace import Replace
from forecheck.auditing.check import Check, Finding, Severity
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.setting import Setting
from forecheck.data.frequency import stamp
from forecheck.data.splits import PARTS, Part
from forecheck.training.recipe import Recipe

BY_CONSTRUCTION = {
    "FC102": "the scaler is of the training rows alone",
    "FC103": "every test window is scored, the last batch too",
    "FC105": "test rows are NaN during every fit, so they are never used for stopping",
    "FC106": "all arms have the same windows, and edited ones the model's seeds and options but for what was searched",
    "FC109": "naive and linear references are always run",
}
"""Rules of the comparison that no data, model or option can break, by the code of the check that once asked."""


def harness_line(setting: Setting) -> str:
    """Which rules hold by construction, what that rests on, and which are measured, for the protocol of a report."""
    rules = f"{'; '.join(BY_CONSTRUCTION.values())}. This holds by construction and is tested in forecheck itself"
    measured = f"what data and models can break is measured: {', '.join(check.code for check in CHECKS)}"
    unseen = (
        ". Which rows the model has seen is not known, as it was trained elsewhere: make sure that its training ended "
        "before the test part begins"
    )
    return f"{rules}; {measured}{unseen if setting.external else ''}"


_RECIPE = {field.name for field in fields(Recipe)}
_SEARCHED = frozenset({"lr", "epochs", "average", "dropout", "attention_dropout"})
"""Options of training that may differ between arms, since every arm searches them."""
_MIXES_WINDOWS = Replace("shuffled").label


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


class TrainedHere(HarnessCheck):
    """What can only be asked of a model that the audit trains itself."""

    def why_not(self, setting: Setting) -> str:
        """Nothing is trained of a model that was trained elsewhere."""
        return "the model was trained elsewhere: nothing is trained here" if setting.external else ""


class Seeds(TrainedHere):
    """Are there enough seeds for a claim about the architecture?

    One fit says nothing about the spread between fits, which is often larger than the effect. The spread is printed.
    """

    code, title = "FC107", "seeds"

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
    every row-stochastic edit must equal raw. What is taken for heads must respond to the same windows and channels. And
    with the plain mean in every place that was reached nothing may be left that mixes by weights that depend on the
    window: that would be attention that was not reached.
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
        if unreached := [each for each in found if "identity_error" not in each]:
            return self.not_applicable(str(unreached[0].get("why_not", "")))
        tests = [attention.get("identity", {}) for attention in found]
        worst = max(evidence.setting.identity or 0.0, *(attention["identity_error"] for attention in found))
        tolerance = max([TOLERANCE, *(test.get("tolerance", 0.0) for test in tests)])
        beside = evidence.setting.beside or next((said for test in tests if (said := test.get("unreached"))), "")
        said = f"{found[0]['adapter']}: edits that must change nothing change the forecast by {worst:.1e} of its size"
        if worst < tolerance and beside:
            return self.finding(
                "fail",
                f"{said}. Not reached: {beside}.",
                title="attention was reached in part",
                severity="warning",
                advice="Read all findings on attention as about what was reached; an adapter of your own (adapter=) "
                "reaches the rest.",
            )
        return self.passed(worst < tolerance, f"{said}.", advice="Do not believe the post-hoc findings of this audit.")


class SameSearch(TrainedHere):
    """Did every retrained arm get the same search as the raw model?

    An arm that is tuned or trained longer than what it is compared with wins by that. All arms try the same learning
    rates, with and without the forecaster's dropout, at the same lengths of training, and choose by validation alone.
    All other options of training must be equal; the fits of the search are counted from the results.
    """

    code, title = "FC110", "same search for all arms"

    def look(self, evidence: Evidence) -> Finding:
        """Compare the recipes of all fits of the audited forecaster, and what was tried for each arm."""
        arms = [arm for arm in evidence.arms if arm.family in ("raw", "retrained", "patches")]
        searched = evidence.searched
        free = _SEARCHED if searched.tried else frozenset()
        recipes = {
            tuple(sorted((k, v) for k, v in result.trial.config.items() if k in _RECIPE and k not in free))
            for arm in arms
            for result in arm.results
        }
        lengths = {result.trial.config.get("epochs") for arm in arms for result in arm.results}
        tried = {
            one.arm: [dict(other.options) for other in searched.tried if other.arm == one.arm] for one in searched.tried
        }
        counts = {len(found) for found in tried.values()}
        said = (
            f"every arm tried {counts.pop()} fits of the same rates and lengths, chosen on validation"
            if len(counts) == 1
            else "nothing was searched"
            if not counts
            else f"the arms tried {' and '.join(map(str, sorted(counts)))} fits"
        )
        rows = [
            [
                one.arm,
                ", ".join(f"{k} {v:g}" for k, v in one.options.items()),
                f"{one.validation_mse:.4f}",
                "yes" if one.chosen else "",
            ]
            for one in searched.tried
        ]
        table = {"columns": ["arm", "training", "validation MSE", "chosen"], "rows": rows}
        return self.passed(
            len(recipes) == 1 and len(lengths) == 1 and len(counts) <= 1,
            f"{len(arms)} arms were fitted by one recipe and equally long; {said}.",
            advice="Compare only arms that were trained alike.",
            **({"table": table} if rows else {}),
        )


class Converged(TrainedHere):
    """Was every arm trained until more training gains nothing?

    With the first seed every arm is fitted once more, twice as long. If its validation loss gets better by less than
    the margin, the arm counts as converged. What has not converged decides nothing: a model that loses could have won,
    and an arm without attention that is worse could have caught up.
    """

    code, title = "FC111", "training has converged"
    severity = "warning"
    advice = "Train longer: more --time if the time ended the search, else more epochs (--set MODEL.epochs=N)."

    def why_not(self, setting: Setting) -> str:
        """Budgets without a search do not measure it."""
        return super().why_not(setting) or ("" if setting.budget.doublings else "this budget does not search")

    def look(self, evidence: Evidence) -> Finding | None:
        """The gain of a fit twice as long, by arm."""
        searched = evidence.searched
        if not searched.gains:
            return None
        late = [arm for arm in searched.gains if not searched.converged(arm)]
        gains = ", ".join(f"{arm} {100 * gain:+.1f} %" for arm, gain in searched.gains.items())
        longer = searched.longer(evidence.setting.model)
        return self.passed(
            not late,
            f"A fit twice as long is better on validation by: {gains}; below {100 * searched.tolerance:g} % an arm "
            "counts as converged.",
            advice=f"{longer[:1].upper()}{longer[1:]}.",
            gains=dict(searched.gains),
            ended=searched.ended.to_dict(),
        )


CHECKS: tuple[Check, ...] = (Borders(), BatchSize(), Seeds(), AdapterIdentity(), SameSearch(), Converged())
