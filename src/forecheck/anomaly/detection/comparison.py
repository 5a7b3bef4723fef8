"""Detectors side by side on the same rows: alarms, planted anomalies found, and whether attention is worth it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from forecheck.anomaly.detection.bootstrap import FEWEST, Estimate, share, share_difference
from forecheck.anomaly.detection.detector import Scored
from forecheck.anomaly.detection.fit import Fits
from forecheck.anomaly.detection.naive import RANDOM, random_scored
from forecheck.anomaly.detection.planted import Plant, plant
from forecheck.progress import Progress, within


@dataclass(frozen=True, eq=False)
class Planted:
    """What a detector found of planted anomalies.

    Attributes:
        hits: whether an alarm was raised inside.
        delays: rows from the start of an anomaly to the first alarm in it; NaN where there was none.
    """

    hits: Bool[np.ndarray, " anomaly"]
    delays: Float[np.ndarray, " anomaly"]


def scored_by_all(fits: Fits, progress: Progress | None = None) -> dict[str, Scored]:
    """What every detector says of the scored part, and last what chance says of it."""
    return _scored(fits, fits.panel, progress)


def _scored(fits: Fits, panel: Any, progress: Progress | None) -> dict[str, Scored]:
    found, count = {}, len(fits.detectors)
    for number, detector in enumerate(fits.detectors):
        part_progress = within(progress, number / count, (number + 1) / count)
        found[detector.name] = detector.score(fits.ground, panel, fits.parts.calibration_end, part_progress)
    first, seed = fits.chosen, int(fits.panel.fingerprint[:8], 16)  # of the data, so that not all have the same draws
    return found | {RANDOM: random_scored(found[first.name], first, panel.offsets, seed)}


def planted_by_all(fits: Fits, progress: Progress | None = None) -> tuple[list[Plant], dict[str, Planted]]:
    """Plant anomalies into the scored part, and see who finds them in the stream of their channel."""
    panel, plants = plant(fits.panel, fits.parts.calibration_end)
    if len(plants) < FEWEST:
        return [], {}
    return plants, {name: _found(scored, plants) for name, scored in _scored(fits, panel, progress).items()}


def _found(scored: Scored, plants: Sequence[Plant]) -> Planted:
    delays = np.full(len(plants), np.nan)
    for place, each in enumerate(plants):
        alarms = np.flatnonzero(scored.alarm[each.first : each.last + 1, each.channel])
        if len(alarms):
            delays[place] = alarms[0]
    return Planted(~np.isnan(delays), delays)


def row_of(name: str, role: str, scored: Scored, plants: Sequence[Plant], planted: Planted | None) -> dict[str, Any]:
    """A detector's line: alarms in 1000 scored steps, and what it found of planted anomalies, by kind.

    Args:
        name: of the detector.
        role: what it is for in the comparison, shown beside its name.
        scored: what it says of the rows of the panel as they are.
        plants: the anomalies that were planted; empty if there were too few places for them.
        planted: which of them it found; None if none were planted.
    """
    known = ~np.isnan(scored.scores)
    steps, alarms = int(known.sum()), int((scored.alarm & known).sum())
    row = {"detector": name, "role": role, "steps": steps, "alarms": alarms}
    row["alarms_per_1000"] = 1000 * alarms / steps if steps else None
    if planted is None:
        return row | {"planted": None}
    kinds = {}
    for kind in dict.fromkeys(each.kind for each in plants):
        which = np.array([each.kind == kind for each in plants])
        kinds[kind] = [int(planted.hits[which].sum()), int(which.sum())]
    delay = float(np.median(planted.delays[planted.hits])) if planted.hits.any() else None
    return row | {"planted": {"found": share(planted.hits).to_list(), "kinds": kinds, "median_delay": delay}}


def roles(fits: Fits) -> dict[str, str]:
    """What every detector is there for."""
    others = {each.name: "attention" if each.name == fits.attention else "reference" for each in fits.others}
    return {fits.chosen.name: "detector", **others, RANDOM: "chance"}


def worth(fits: Fits, planted: dict[str, Planted]) -> dict[str, Any] | None:
    """Whether the forecaster with attention finds more of the planted anomalies; None if there is no answer."""
    name, plain = fits.attention, fits.plain
    if not name or name not in planted:
        return None
    difference = share_difference(planted[name].hits, planted[plain].hits)
    about = {"model": name, "against": plain, "anomalies": len(planted[name].hits)}
    return about | _answer(difference, name, plain, "planted anomalies")


def _answer(difference: Estimate, model: str, reference: str, of: str) -> dict[str, Any]:
    """An answer on a difference of shares, model less reference."""
    assert difference.interval is not None
    low, high = difference.interval
    outcome = "yes" if low > 0 else "no" if high < 0 else "undecided"
    much = f"{100 * difference.value:+.0f} points [{100 * low:+.0f}, {100 * high:+.0f}]"
    meaning = {
        "yes": f"Attention is worth it here: {model} finds more {of} than {reference}, {much}.",
        "no": f"Attention is not worth it here: {model} finds fewer {of} than {reference}, {much}.",
        "undecided": f"It is not shown that attention is worth it: {model} less {reference} in {of} found, {much}.",
    }
    return {"outcome": outcome, "difference": difference.to_list(), "sentence": meaning[outcome]}
