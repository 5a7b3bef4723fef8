"""Metrics of anomaly detection beside aeon, vus and tsadmetrics: time, growth with n, memory, and whether values agree.

    PYTHON benchmarks/anomaly.py [--limit SECONDS] [--sizes 16384,...]

PYTHON has the peers that are to be compared (each is optional): `pip install aeon tsadmetrics tqdm scikit-learn` and
`pip install --no-deps vus`. Writes benchmarks/results/anomaly.md. One process at a time, one thread. Every call of a
peer is a process of its own that is ended at the limit; a peer that did not finish one size is not asked for the next.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import multiprocessing
import os
import platform
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np

from forecheck.anomaly.metrics.registry import Needs, all_metrics, find_metric

RESULTS = Path(__file__).parent / "results" / "anomaly.md"
SIZES = (2_048, 16_384, 65_536, 262_144, 1_048_576)
WINDOW = 4
"""Of VUS: the default of tsadmetrics."""


def made(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of about 5 % in anomalies of 10 to 60 points, alarms that find two thirds of them, and scores."""
    rng = np.random.default_rng(seed)
    y, p = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for start in range(300, n - 300, 700):
        low, size = start + int(rng.integers(0, 200)), int(rng.integers(10, 60))
        y[low : low + size] = True
        if rng.random() < 0.66:
            p[low + int(rng.integers(-8, 8)) : low + int(rng.integers(9, size + 5))] = True
        if rng.random() < 0.5:
            p[start - 200 : start - 200 + int(rng.integers(1, 10))] = True
    return y, p, rng.random(n) + 0.4 * y + 0.3 * p


def _segments(marked: np.ndarray) -> list[tuple[int, int]]:
    change = np.flatnonzero(np.diff(np.concatenate(([0], marked.astype(int), [0]))))
    return list(zip(change[::2].tolist(), change[1::2].tolist(), strict=True))


def _tsadmetrics(name: str, **options: Any) -> Callable[..., float]:
    def call(y: np.ndarray, found: np.ndarray) -> float:
        from tsadmetrics.metrics.Registry import Registry

        found = found.astype(int) if found.dtype == bool else found
        return float(Registry.get_metric(name, **options).compute(y.astype(int), found))

    return call


def _vus_affiliation(y: np.ndarray, p: np.ndarray) -> float:
    from vus.affiliation.metrics import pr_from_events

    made = pr_from_events(_segments(p), _segments(y), (0, len(y)))
    precision, recall = made["Affiliation_Precision"], made["Affiliation_Recall"]
    return float(2 * precision * recall / (precision + recall))


def _vus_volume(y: np.ndarray, s: np.ndarray) -> float:
    from vus.utils.metrics import metricor

    return float(metricor().RangeAUC_volume_opt(y.astype(float), s, WINDOW)[-1])


def _aeon_range(y: np.ndarray, p: np.ndarray) -> float:
    from aeon.benchmarking.metrics.anomaly_detection import range_f_score

    return float(range_f_score(y.astype(int), p.astype(int), p_alpha=0, r_alpha=0, cardinality="reciprocal"))


def _aeon_volume(y: np.ndarray, s: np.ndarray) -> float:
    from aeon.benchmarking.metrics.anomaly_detection import range_pr_vus_score

    return float(range_pr_vus_score(y.astype(int), s, max_buffer_size=WINDOW))


CASES: list[tuple[str, dict[str, Any], dict[str, Callable[..., float]]]] = [
    ("affiliation", {}, {"tsadmetrics": _tsadmetrics("aff_f"), "vus": _vus_affiliation}),
    (
        "range",
        {},
        {
            "tsadmetrics": _tsadmetrics("rbf", p_alpha=0.0, r_alpha=0.0, cardinality_mode="reciprocal"),
            "aeon": _aeon_range,
        },
    ),
    ("tapr", {"delta": 5}, {"tsadmetrics": _tsadmetrics("taf", alpha=0.5, theta=0.5, delta=5)}),
    ("etapr", {}, {"tsadmetrics": _tsadmetrics("etaf", theta_p=0.5, theta_r=0.1)}),
    ("nab", {}, {"tsadmetrics": _tsadmetrics("nab_score")}),
    ("pate_f", {}, {"tsadmetrics": _tsadmetrics("pate_f1", early=5, delay=5)}),
    ("pate", {}, {"tsadmetrics": _tsadmetrics("pate", early=5, delay=5)}),
    (
        "vus_pr",
        {"window": WINDOW, "version": "package"},
        {"tsadmetrics": _tsadmetrics("vus_pr", window=WINDOW), "vus": _vus_volume, "aeon": _aeon_volume},
    ),
]


def _called(send: Any, peer: Callable[..., float], y: np.ndarray, found: np.ndarray) -> None:
    warnings.simplefilter("ignore")
    try:
        small = slice(0, 2000)
        peer(y[small], found[small])  # what is imported and compiled is not timed
        started = time.perf_counter()
        value = peer(y, found)
        send.send((time.perf_counter() - started, value))
    except Exception as error:  # noqa: BLE001  told in the table
        send.send((None, f"{type(error).__name__}: {error}"))


def timed_peer(peer: Callable[..., float], y: np.ndarray, found: np.ndarray, limit: float) -> tuple[float | None, Any]:
    """Seconds and value of a peer, or None and why not."""
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=_called, args=(send, peer, y, found))
    process.start()
    answer = receive.recv() if receive.poll(limit + 15) else (None, f"more than {limit:g} s")
    process.kill()
    process.join()
    return answer


def timed_ours(name: str, options: dict[str, Any], y: np.ndarray, found: np.ndarray) -> tuple[float, float, float]:
    """Best of three in seconds, value, and peak memory in bytes a point; inputs are new, so that nothing is cached."""
    metric = find_metric(name)
    best, value = np.inf, 0.0
    for _ in range(3):
        started = time.perf_counter()
        value = metric(y, found, **options).value
        best = min(best, time.perf_counter() - started)
    tracemalloc.start()
    metric(y, found, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return best, value, peak / len(y)


def slope(sizes: list[int], seconds: list[float]) -> float:
    """The exponent of growth, by least squares on logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=float, default=60)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    given = parser.parse_args()
    sizes = [int(each) for each in given.sizes.split(",")]
    load = os.getloadavg()[0]
    data = {n: made(n) for n in sizes}
    for name, options, _ in CASES:  # imports
        y, p, s = data[sizes[0]]
        find_metric(name)(y, s if find_metric(name).needs is Needs.SCORES else p, **options)
    ours: dict[tuple[str, int], tuple[float, float, float]] = {}
    growth = []
    everything = [(each.name, {}) for each in all_metrics() if each.needs is not Needs.GRADED]
    for name, options in [*everything, *((case[0], case[1]) for case in CASES)]:
        for n in sizes:
            y, p, s = data[n]
            ours[name, n] = timed_ours(name, options, y, s if find_metric(name).needs is Needs.SCORES else p)
        growth.append((name, options, [ours[name, n] for n in sizes]))
        print(name, [f"{each[0]:.4f}" for each in growth[-1][2]], flush=True)
    rows = []
    for name, _, peers in CASES:
        for peer, call in peers.items():
            last = None
            for n in sizes:
                y, p, s = data[n]
                found = s if find_metric(name).needs is Needs.SCORES else p
                seconds, value = timed_peer(call, y, found, given.limit)
                print(name, peer, n, seconds, value, flush=True)
                if seconds is None:
                    why = value
                    break
                last, why = (n, seconds, value), ""
            if last is None:
                rows.append(f"| {name} | {peer} | | | | | not run: {why[:80]} |")
                continue
            n, seconds, value = last
            mine = ours[name, n]
            rows.append(
                f"| {name} | {peer} | {n:,} | {mine[0]:.4f} | {seconds:.3f} | {seconds / mine[0]:,.0f} | "
                f"{mine[1]:.6f} / {value:.6f} |"
            )
    _write(load, given.limit, sizes, rows, growth)


def _write(load: float, limit: float, sizes: list[int], rows: list[str], growth: list[Any]) -> None:
    packages = []
    for name in ("numpy", "aeon", "vus", "tsadmetrics"):
        try:
            packages.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            packages.append(f"{name} not there")
    seen = {name: (name, options, each) for name, options, each in growth if not options}
    lines = [
        "# Metrics of anomaly detection: time, growth and memory",
        "",
        (
            f"`python benchmarks/anomaly.py`, one thread of {os.cpu_count()} cores, load average {load:.1f} at the "
            f"start; Python {platform.python_version()}, {', '.join(packages)}. Anomalies of 10 to 60 points about "
            f"every 700, so that their number grows with n. A peer has {limit:g} s a call and stands here with the "
            f"largest size of {', '.join(f'{n:,}' for n in sizes)} that it finished; ours is the best of three calls."
        ),
        "",
        "| metric | peer | n | ours (s) | peer (s) | times faster | value, ours / peer |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        "Values that differ are explained in [docs/anomaly-metrics.md](../../docs/anomaly-metrics.md).",
        "",
        "## Ours, by length",
        "",
        "Seconds a call, the exponent of growth fitted over all sizes but the first and over the two largest, and the",
        "peak of memory in bytes a point at the largest.",
        "",
        f"| metric | {' | '.join(f'{n:,}' for n in sizes)} | exponent | last two | bytes a point |",
        f"|---|{'---|' * len(sizes)}---|---|---|",
    ]
    for name, _, found in seen.values():
        seconds = [each[0] for each in found]
        lines.append(
            f"| {name} | {' | '.join(f'{each:.4f}' for each in seconds)} | {slope(sizes[1:], seconds[1:]):.2f} | "
            f"{slope(sizes[-2:], seconds[-2:]):.2f} | {found[-1][2]:.0f} |"
        )
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
