"""Affiliation: how near predictions are to anomalies and anomalies to predictions, against chance."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair
from forecheck.anomaly.result import Measured, f_score
from forecheck.anomaly.segments import Segments, overlaps

_EDGES = "no alarm: precision is not defined and F is 0; zones without an alarm do not enter precision"
Array = Float[np.ndarray, "part"]


def zones_of(truth: Segments, n: int) -> Segments:
    """The stretch of each anomaly: up to the middle of the gap to the next, or the series' end."""
    middles = (truth.ends[:-1] + truth.starts[1:]) / 2
    return Segments(np.append(0.0, middles), np.append(middles, float(n)))


def affiliations(pair: Pair) -> tuple[Float[np.ndarray, "anomaly"], Float[np.ndarray, "anomaly"]]:
    """Precision (not a number where the zone has no alarm) and recall of each anomaly."""
    zones = zones_of(pair.truth, pair.n)
    parts = overlaps(zones, pair.alarms)
    return _precision(pair, zones, parts.first, parts.starts, parts.ends), _recall(
        pair, zones, parts.first, parts.starts, parts.ends
    )


def _precision(
    pair: Pair, zones: Segments, zone: Int[np.ndarray, "part"], low: Array, high: Array
) -> Float[np.ndarray, "anomaly"]:
    """Mean over predicted time of the chance to lie farther away."""
    start, end = pair.truth.starts[zone], pair.truth.ends[zone]
    margin = np.minimum(start - zones.starts[zone], zones.ends[zone] - end)
    length = (end - start).astype(float)
    inside = np.maximum(np.minimum(high, end) - np.maximum(low, start), 0.0)
    total = inside
    for near, far in (
        (np.maximum(start - high, 0.0), np.maximum(start - low, 0.0)),
        (np.maximum(low - end, 0.0), np.maximum(high - end, 0.0)),
    ):
        chance = _nearer(far, length, margin) - _nearer(near, length, margin)
        total = total + (far - near) - chance / zones.lengths[zone]
    many = len(zones)
    with np.errstate(invalid="ignore"):
        found: Float[np.ndarray, "anomaly"] = np.bincount(zone, total, many) / np.bincount(zone, high - low, many)
    return found


def _nearer(distance: Array, length: Array, margin: Array) -> Array:
    """Integral from 0 to `distance` of the measure of what lies nearer than d: |A| + min(d, margin) + d."""
    below = np.minimum(distance, margin)
    return length * distance + distance**2 / 2 + below**2 / 2 + margin * (distance - below)


def _recall(
    pair: Pair, zones: Segments, zone: Int[np.ndarray, "part"], low: Array, high: Array
) -> Float[np.ndarray, "anomaly"]:
    """Mean over anomalous time of the chance that a prediction anywhere in the zone is farther away."""
    many = len(zones)
    first = np.append(True, zone[1:] != zone[:-1])[: len(zone)]
    last = np.append(zone[1:] != zone[:-1], True)[: len(zone)]
    # The gaps between predictions, a gap before the first and one behind the last of each zone.
    gap_zone = np.concatenate((zone, zone[last]))
    left = np.concatenate((np.where(first, -np.inf, np.roll(high, 1)), high[last]))
    right = np.concatenate((low, np.full(int(last.sum()), np.inf)))
    middle = np.where(np.isinf(left), -np.inf, np.where(np.isinf(right), np.inf, (left + right) / 2))
    start, end = pair.truth.starts[gap_zone], pair.truth.ends[gap_zone]
    begin, stop = np.maximum(left, start), np.minimum(right, end)
    behind = np.maximum(np.minimum(stop, middle), begin), begin  # nearer to the prediction on the left
    before = np.minimum(np.maximum(begin, middle), stop), stop
    some = stop > begin
    chance = np.zeros(len(gap_zone))
    for (inner, outer), anchor, room in (
        (behind, left, zones.ends[gap_zone] - left),
        (before, right, right - zones.starts[gap_zone]),
    ):
        take = some & np.isfinite(anchor) & (inner != outer)
        far, near = np.abs(inner[take] - anchor[take]), np.abs(outer[take] - anchor[take])
        chance[take] += _reached(far, room[take]) - _reached(near, room[take])
    sums = np.bincount(gap_zone, chance, many)
    predicted = np.bincount(zone, minlength=many) > 0
    found: Float[np.ndarray, "anomaly"] = np.where(predicted, 1 - sums / (pair.truth.lengths * zones.lengths), 0.0)
    return found


def _reached(distance: Array, room: Array) -> Array:
    """Integral from 0 to `distance` of d + min(d, room - d): what of the zone lies within d of the point."""
    half = np.minimum(distance, room / 2)
    over = distance - half
    return distance**2 / 2 + half**2 / 2 + over * (room - half) - over**2 / 2


@metric(
    "affiliation",
    title="affiliation precision, recall and F",
    needs=Needs.ALARMS,
    source="Huet, Navarro & Rossi, KDD 2022, arXiv 2206.13167",
    edges=_EDGES,
    warning="random alarms score about 0.5 or more",
)
def affiliation(pair: Pair, *, beta: float = 1.0) -> Measured:
    r"""How near alarms are to the anomaly in whose zone they lie, against a random place in the zone.

    .. math:: P_j = \frac{1}{|p \cap E_j|} \int_{p \cap E_j} \Pr_{u \sim E_j}(d(u, A_j) > d(x, A_j)) \, dx, \quad
        R_j = \frac{1}{|A_j|} \int_{A_j} \Pr_{u \sim E_j}(|u - x| > d(x, p \cap E_j)) \, dx

    A point is the interval [t, t + 1). E_j, the zone of A_j, ends in the middle of the gap to the next anomaly.

    Args:
        pair: labels and alarms.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    precision, recall = _means(pair)
    return Measured(f_score(precision, recall, beta), precision, recall)


@metric(
    "affiliation_normalised",
    title="affiliation against what a random alarm reaches",
    needs=Needs.ALARMS,
    source="IEEE document 11099055",
    edges=_EDGES,
)
def affiliation_normalised(pair: Pair, *, chance: float = 0.5, beta: float = 1.0) -> Measured:
    r"""Affiliation with a precision of 0 for alarms that are as near as random ones, F with the sign of precision.

    .. math:: P' = (P - a) / (1 - a), \qquad F' = \operatorname{sign}(P') F(|P'|, R)

    Args:
        pair: labels and alarms.
        chance: a, the precision of random alarms; below 1.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    within("chance", chance, 0, 0.99)
    precision, recall = _means(pair)
    scaled = (precision - chance) / (1 - chance)
    return Measured(float(np.copysign(f_score(abs(scaled), recall, beta), scaled)) + 0.0, scaled, recall)


def _means(pair: Pair) -> tuple[float, float]:
    precisions, recalls = affiliations(pair)
    known = precisions[~np.isnan(precisions)]
    return float(known.mean()) if len(known) else float("nan"), float(recalls.mean())
