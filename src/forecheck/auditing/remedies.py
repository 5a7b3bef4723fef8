"""Remedies side by side: with each, does attention contribute more, and is the forecast better, also than linear?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.attention.edits import Edit
from forecheck.attention.replace import Mode, Replace
from forecheck.auditing.check import ATTENTION
from forecheck.auditing.evidence import LINEAR, Arm, Evidence
from forecheck.auditing.setting import Setting
from forecheck.errors import UsageError
from forecheck.forecasters.remedies import REMEDIES, remedied
from forecheck.statistics.inference import AS_FORECASTER, Comparison, Outcome, compare

NONE = "none"
"""Stands for the forecaster without a remedy."""
RAW = "raw"

GROWTH: Mapping[Outcome, str] = {
    "greater": "grows",
    "less": "shrinks",
    "equivalent": "does not grow",
    "undecided": "undecided",
}


@dataclass(frozen=True)
class Treatment:
    """An arm of the comparison, to be trained.

    Attributes:
        remedy: its name, or `none`.
        mode: what attention is replaced by before training, or `raw`.
        model: the forecaster that is trained.
        config: all its options.
        edit: the replacement, if any.
    """

    remedy: str
    mode: str
    model: str
    config: Mapping[str, Any]
    edit: Edit | None


def treatments(
    setting: Setting, names: Sequence[str], options: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> list[Treatment]:
    """Raw and without attention, for no remedy and for each of those named; nothing if none is.

    Args:
        setting: of the audit.
        names: of remedies.
        options: by forecaster, what the user chose for those that the model becomes.

    Raises:
        UsageError: if a remedy is unknown or named twice, or the model cannot be trained with it.
    """
    if not names:
        return []
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"the remedy {twice!r} is named twice")
    if setting.external or not setting.native or not setting.places:
        why = (
            "it was trained elsewhere, and a remedy needs training"
            if setting.external
            else setting.why_not or "its attention is not forecheck's own, so it cannot be trained without it"
        )
        raise UsageError(f"{setting.model} cannot take a remedy: {why}")
    arms: dict[str, tuple[str, Mapping[str, Any]]] = {NONE: (setting.model, setting.config)}
    for name in names:
        arms[name] = remedied(name, setting.model, setting.task, setting.config, options)
    edits: dict[str, Edit | None] = {RAW: None} | {mode: Replace(mode) for mode in replacements(setting)}
    return [Treatment(name, mode, *arm, edit) for name, arm in arms.items() for mode, edit in edits.items()]


def replacements(setting: Setting) -> tuple[Mode, ...]:
    """What attention is replaced by; the first is what its contribution is measured against.

    The identity, but for a model that also looks from one sequence at another, where there is none; zero for one whose
    sublayers have no pattern.
    """
    if any(place.no_pattern for place in setting.places):
        return ("zero",)
    crossing = any(place.queries != place.keys for place in setting.places)
    return ("mean",) if crossing else ("identity", "mean")


def compare_remedies(evidence: Evidence, arms: Mapping[tuple[str, str], Arm]) -> dict[str, Any]:
    r"""What every remedy does, as JSON types.

    .. math:: \text{contribution} = \frac{\bar\ell(\text{retrained without attention}) - \bar\ell(\text{raw})}
        {\bar\ell(\text{raw, no remedy})}, \qquad
        \text{growth} = \text{contribution with the remedy} - \text{contribution without}

    from test losses paired by origin and seed (`evaluation.inference.compare`: windows and seeds enter, each question
    is Holm-adjusted over the remedies). A contribution can also grow because the arm without attention gets worse, so
    the forecasts are compared as well: with those without a remedy, and with the linear reference that is best on
    validation.

    Args:
        evidence: of the audit; its references and margin.
        arms: by remedy and mode.
    """
    names = list(dict.fromkeys(name for name, _ in arms))
    remedies = names[1:]
    modes = replacements(evidence.setting)
    losses = {key: evidence.losses(arm) for key, arm in arms.items()}
    raw = {name: losses[name, RAW] for name in names}
    gains = {mode: {name: losses[name, mode] - raw[name] for name in names} for mode in modes}
    base = float(raw[NONE].mean())

    def test(differences: list[Float[np.ndarray, "seed time"]], reference: float = base) -> list[Comparison]:
        return compare(
            differences, reference, evidence.experiment.test.overlap, margin=evidence.margin, over_seeds="yes"
        )

    linear = evidence.best_reference(LINEAR)
    contributions = {mode: dict(zip(names, test([*gains[mode].values()]), strict=True)) for mode in modes}
    main = gains[modes[0]]
    growth = test([main[name] - main[NONE] for name in remedies])
    better = test([raw[name] - raw[NONE] for name in remedies])
    bar = np.broadcast_to(evidence.losses(linear), raw[NONE].shape) if linear else None
    below = test([raw[name] - bar for name in names], float(bar.mean())) if bar is not None else [None] * len(names)

    def row(name: str, against_linear: Comparison | None) -> dict[str, Any]:
        arm = arms[name, RAW]
        return {
            "name": name,
            "mse": arm.mean("mse"),
            "seconds": arm.seconds,
            "parameters": arm.parameters,
            "contribution": _said(contributions[modes[0]][name], ATTENTION),
            "over_mean": _said(contributions["mean"][name], ATTENTION) if "mean" in modes else None,
            "against_linear": _said(against_linear, AS_FORECASTER) if against_linear else None,
        }

    return {
        "without": modes[0],
        "linear": linear.label if linear else None,
        "base": row(NONE, below[0]),
        "rows": [
            row(name, against)
            | {
                "summary": REMEDIES[name].summary,
                "source": REMEDIES[name].source,
                "options": dict(REMEDIES[name].options),
                "against_base": _said(forecast, AS_FORECASTER),
                "growth": _said(more, GROWTH),
            }
            for name, against, forecast, more in zip(remedies, below[1:], better, growth, strict=True)
        ],
    }


def _said(c: Comparison, words: Mapping[Any, str]) -> dict[str, Any]:
    return {
        "outcome": words[c.outcome],
        "effect": c.effect,
        "interval": list(c.interval),
        "smallest_margin": c.smallest_margin,
        "seeds": c.seeds,
        "why": c.reason,
    }
