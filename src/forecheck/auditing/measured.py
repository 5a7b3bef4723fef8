"""What checks share that look at a measure of the trained model instead of an arm."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.auditing.check import Check, Finding
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.setting import Request, Setting
from forecheck.statistics.inference import Comparison, compare
from forecheck.statistics.metrics import loss_by_time
from forecheck.trials.store import Result


class MeasuredCheck(Check):
    """A question that a measure answers; numbers are means over seeds.

    Attributes:
        measure: its name in `forecheck.probes`.
    """

    measure: str

    def requests(self, setting: Setting) -> Sequence[Request]:
        """The measure on the raw model."""
        return [Request("raw", self.measure, measure=self.measure)]

    def look(self, evidence: Evidence) -> Finding | None:
        """Look at the measure, or say why it could not be made."""
        results = evidence.measured(self.measure)
        if not results:
            return None
        why = str(results[0].summary.get("why_not") or "")
        return self.not_applicable(why) if why else self.judge(evidence, results)

    @abstractmethod
    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """What the results, one a seed, say."""


def mean_of(results: Sequence[Result], *keys: str | int) -> float | None:
    """Mean over seeds of a number at the end of a path into the summaries; None if it is missing in any."""
    found = [_at(result.summary, keys) for result in results]
    return None if any(value is None for value in found) else float(np.mean(found))


def _at(value: Any, keys: Sequence[str | int]) -> Any:
    for key in keys:
        if value is None or (isinstance(value, dict) and key not in value):
            return None
        value = value[key]
    return value


def layers_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The layers that the first seed's summary lists; all seeds have the same ones."""
    layers: list[dict[str, Any]] = results[0].summary["layers"]
    return layers


def by_layer(results: Sequence[Result], *keys: str) -> list[float | None]:
    """Mean over seeds of a number of every layer."""
    return [mean_of(results, "layers", layer, *keys) for layer in range(len(layers_of(results)))]


def by_head(results: Sequence[Result], *keys: str) -> list[list[float | None]]:
    """Mean over seeds of a number of every head of every layer; an empty row where a layer has none."""
    rows = []
    for layer in range(len(layers_of(results))):
        heads = _at(results[0].summary, ["layers", layer, *keys]) or []
        rows.append([mean_of(results, "layers", layer, *keys, head) for head in range(len(heads))])
    return rows


def heat(values: Sequence[Sequence[float | None]], unit: str = "") -> dict[str, Any]:
    """A heat map of layers and heads; rows of fewer heads are filled up with nothing."""
    most = max((len(row) for row in values), default=0)
    return {
        "kind": "heat",
        "rows": [f"layer {layer}" for layer in range(len(values))],
        "columns": [f"head {head}" for head in range(most)],
        "values": [[*row, *[None] * (most - len(row))] for row in values],
        "unit": unit,
    }


def changed(evidence: Evidence, results: Sequence[Result], change: str) -> Comparison | None:
    """Loss of the measure's windows after a change of the input against the raw one; None if that was not tried.

    The windows are a sample of the test windows, evenly spread, so fewer of them overlap.

    Args:
        evidence: of the audit: the test windows and the margin.
        results: of the measure, one a seed.
        change: its name in the measure.
    """
    if f"{change}_loss" not in results[0].arrays:
        return None
    sampled, overlap = sampled_times(evidence, results)

    raw = losses_by_time((result.arrays["raw_loss"] for result in results), sampled)
    difference = losses_by_time((result.arrays[f"{change}_loss"] for result in results), sampled) - raw
    return compare([difference], float(raw.mean()), overlap, margin=evidence.margin)[0]


def losses_by_time(
    losses: Iterable[Float[np.ndarray, " window"]], times: np.ndarray[Any, np.dtype[Any]]
) -> Float[np.ndarray, "seed time"]:
    """Losses of every seed, pooled over the windows that share an origin time.

    Args:
        losses: of windows, one array a seed.
        times: of the windows' origins.
    """
    return np.stack([loss_by_time(each[:, None], times) for each in losses])


def sampled_times(evidence: Evidence, results: Sequence[Result]) -> tuple[np.ndarray[Any, np.dtype[Any]], int]:
    """Times of the windows that a measure looked at, and how many of them in a row share targets.

    Args:
        evidence: of the audit.
        results: of the measure, one a seed; all looked at the same windows.
    """
    experiment = evidence.experiment
    times = experiment.panel.time[experiment.test.origins]
    sampled = times[results[0].arrays["window_index"]]
    # From one sampled time to the next it is so many of all times, on average.
    steps = (len(np.unique(times)) - 1) / max(1, len(np.unique(sampled)) - 1)
    return sampled, math.ceil(experiment.test.overlap / max(1.0, steps))


def share(value: float | None) -> str:
    """A share as a percentage."""
    return "unknown" if value is None else f"{100 * value:.1f} %"


def numbers_of(values: Sequence[float | None], write: Callable[[float], str] = "{:.3g}".format) -> str:
    """Numbers of the layers in a row, for a sentence."""
    return ", ".join("unknown" if value is None else write(value) for value in values)
