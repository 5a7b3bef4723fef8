"""FC107, FC110, FC111: enough seeds, the same search for every arm, and training until it converged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from forecheck.auditing.evidence import Evidence
from forecheck.auditing.harness import HarnessCheck
from forecheck.auditing.protocol import Check, Finding
from forecheck.auditing.searched import SEARCHED
from forecheck.auditing.setting import Setting
from forecheck.training.recipe import Recipe

_RECIPE = {field.name for field in fields(Recipe)}


class TrainedHere(HarnessCheck):
    """What can only be asked of a model that the audit trains itself."""

    def why_not(self, setting: Setting) -> str:
        """Nothing is trained of a model that was trained elsewhere."""
        return "the model was trained elsewhere: nothing is trained here" if setting.given else ""


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
        free = SEARCHED if searched.tried else frozenset()
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


def _words(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in options.items())


class Converged(TrainedHere):
    """Was every arm trained until more training gains nothing?

    With the first seed every arm is fitted once more, twice as long. If its validation loss gets better by less than
    the margin, the arm counts as converged. What has not converged decides nothing: a model that loses could have won,
    and an arm without attention that is worse could have caught up.
    """

    code, title = "FC111", "training has converged"
    severity = "warning"
    advice = "Train longer: more --time, or --budget standard."

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
        return self.passed(
            not late,
            f"A fit twice as long is better on validation by: {gains}; below {100 * searched.tolerance:g} % an arm "
            "counts as converged.",
            gains=dict(searched.gains),
        )


CHECKS: tuple[Check, ...] = (Seeds(), SameSearch(), Converged())
