"""What is measured of metrics: twelve properties, the two predictions of figure 1, and ALARM on all short series."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Bool

from forecheck.anomaly.harness.table import properties
from forecheck.anomaly.metrics.registry import Metric, Needs, all_metrics, find_metric
from forecheck.anomaly.segments import segments
from forecheck.papers.experiment import Bench, Experiment

OUR_OWN = ("ours",)
OF_THE_PAPER = ("alarm",)
N = 6


def published() -> list[Metric]:
    """Metrics of alarms that others have published, but the paper's own."""
    return [
        each
        for each in all_metrics()
        if each.needs is Needs.ALARMS and not each.source.startswith(OUR_OWN) and each.name not in OF_THE_PAPER
    ]


def table(bench: Bench, draws: int) -> dict[str, Any]:
    """Which properties every metric has, as words."""
    names = [each.name for each in published()] + ["alarm", "net_event"]
    found = {}
    for k, name in enumerate(names):
        found[name] = {key: each.word for key, each in properties(name, draws=draws).items()}
        bench.progress((k + 1) / len(names), name)
    return {"words": found}


def two_predictions(length: int) -> tuple[Bool[np.ndarray, "time"], Bool[np.ndarray, "time"], Bool[np.ndarray, "time"]]:
    """An anomaly; its first half as one alarm; and as many points in alarms of two, from a quarter of it on."""
    y = np.zeros(5 * length, dtype=bool)
    start, hits = 2 * length, length // 2
    y[start : start + length] = True
    concise, oscillating = np.zeros_like(y), np.zeros_like(y)
    concise[start : start + hits] = True
    late = start + length // 4
    places = late + np.round(np.linspace(0, length - length // 4 - 2, hits // 2)).astype(int)
    oscillating[places] = oscillating[places + 1] = True
    return y, concise, oscillating


def figure(bench: Bench, length: int) -> dict[str, Any]:
    """Both predictions under every published metric, ALARM and the net event score; higher is better."""
    y, concise, oscillating = two_predictions(length)
    found = {}
    for each in [*published(), find_metric("alarm"), find_metric("net_event")]:
        sign = -1 if each.lower_is_better else 1
        found[each.name] = [sign * each(y, p).value for p in (concise, oscillating)]
    bench.progress(1.0, f"length {length}")
    return {"values": found, "points": [int(concise.sum()), int(oscillating.sum())]}


def blind(bench: Bench, length: int) -> dict[str, Any]:
    """From which offset on a single later hit, and a longer coverage, change nothing."""
    y, metric = np.ones(length, dtype=bool), find_metric("alarm")
    at = np.arange(length)
    single = [metric(y, at == offset).value for offset in range(length)]
    covered = [metric(y, at <= offset).value for offset in range(length)]
    bench.progress(1.0, f"length {length}")
    return {
        "offset": next(k for k in range(length) if len(set(single[k:])) == 1),
        "coverage": next(k for k in range(length) if len(set(covered[k:])) == 1),
        "first two differ": single[0] != single[1],
    }


def monotone(bench: Bench) -> dict[str, Any]:
    """ALARM on all pairs of six points: an alarm more in a missed anomaly, and a true point more beside a hit."""
    metric = find_metric("alarm")
    series = [np.array(bits, dtype=bool) for bits in product((0, 1), repeat=N)]
    values = {(y.tobytes(), p.tobytes()): metric(y, p).value for y in series if y.any() for p in series}
    counted = {"alarms": 0, "alarms lower": 0, "points": 0, "points lower": 0}
    for y in (each for each in series if each.any()):
        truth = segments(y)
        for p in series:
            for low, high in zip(truth.starts.tolist(), truth.ends.tolist(), strict=True):
                for begin, end, kind in _more(p, low, high):
                    longer = p.copy()
                    longer[begin:end] = True
                    counted[kind] += 1
                    fell = values[y.tobytes(), longer.tobytes()] < values[y.tobytes(), p.tobytes()]
                    counted[f"{kind} lower"] += bool(fell)
    bench.progress(1.0, "six points")
    return counted


def _more(p: Bool[np.ndarray, "time"], low: int, high: int) -> list[tuple[int, int, str]]:
    """Intervals that can be added: any in a missed anomaly, single points in one that is hit."""
    if not p[low:high].any():
        return [(a, b, "alarms") for a in range(low, high) for b in range(a + 1, high + 1)]
    return [(t, t + 1, "points") for t in range(low, high) if not p[t]]


TABLE = Experiment("table", table, quick=[{"draws": 50}], full=[{"draws": 200}])
FIGURE = Experiment("figure", figure, quick=[{"length": size} for size in (16, 40, 120)])
BLIND = Experiment("blind", blind, quick=[{"length": size} for size in (100, 200, 400)])
MONOTONE = Experiment("monotone", monotone, quick=[{}])
