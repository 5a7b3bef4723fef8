"""Do the tests keep their level on overlapping windows? Simulated, beside an earlier simulation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from forecheck.calibration.context import Context
from forecheck.calibration.losses import (
    Series,
    bartlett,
    block_bootstrap,
    diebold_mariano,
    naive,
    overlapping_losses,
    stride,
)
from forecheck.calibration.result import Check, Part, Table
from forecheck.nn.seeding import derive
from forecheck.statistics.inference import MINIMUM_BLOCKS, Mean, mean_over_windows
from forecheck.statistics.means import cosine_terms, cosine_variance

NOMINAL, LIBERAL = 0.05, 0.075
"""A test of level 5 % counts as robust up to 7.5 % (liberal criterion of Bradley 1978, Br. J. Math. Stat.
Psych. 31)."""
EARLIER: dict[tuple[int, int], tuple[float, ...]] = {
    (500, 24): (0.70, 0.08, 0.11, 0.11, 0.06, 0.06, 0.16, 0.15),
    (2785, 96): (0.84, 0.07, 0.12, 0.25, 0.06, 0.06, 0.15, 0.11),
    (2545, 336): (0.92, 0.16, 0.14, 0.57, 0.06, 0.04, 0.23, 0.24),
    (2161, 720): (0.96, 0.32, 0.17, 0.72, 0.07, 0.05, 0.40, 0.57),
    (11425, 96): (0.86, 0.06, 0.12, 0.17, 0.07, 0.06, 0.14, 0.10),
    (11185, 336): (0.90, 0.07, 0.11, 0.44, 0.06, 0.05, 0.17, 0.13),
}
"""Sizes at nominal 5 % by (n, H), step losses independent, in an earlier simulation by other code."""
EARLIER_AR = {(500, 24, "stride H, t"): 0.115}
EARLIER_REPEATS, EARLIER_BOOTSTRAPS = 1000, 300
MEMORIES = (0.0, 0.9)
HORIZONS, LENGTHS, SHORT_MEMORIES = (1, 4, 24, 96), (300, 1000, 3000), (0.0, 0.5, 0.9)
"""Of our test alone, wherever there are stretches enough for a verdict."""
_BATCH = 100


def _rejects(mean: Mean) -> bool:
    low, high = mean.interval(1 - NOMINAL)
    return low > 0 or high < 0


def _rows(test: Callable[[np.ndarray, int], Mean]) -> Callable[[Series, int], np.ndarray]:
    """A test of one series, as the audit calls it, for all rows."""
    return lambda d, horizon: np.array([_rejects(test(row, horizon)) for row in d])


def _many_cosines(row: np.ndarray, _horizon: int) -> Mean:
    """EWC with the B = 0.4 n^(2/3) that suits series without overlap."""
    terms = int(0.4 * len(row) ** (2 / 3))
    return Mean(float(row.mean()), math.sqrt(cosine_variance(row, terms) / len(row)), terms)


OURS = "EWC, ours"
TESTS: dict[str, Callable[[Series, int], np.ndarray]] = {
    "naive t": naive,
    "DM, rectangular": diebold_mariano,
    "Bartlett + HLN": bartlett,
    "EWC, B = .4 n^(2/3)": _rows(_many_cosines),
    OURS: _rows(mean_over_windows),
    "stride H, t": stride,
}
BOOTSTRAPS = {"block bootstrap, H": 1, "block bootstrap, 2H": 2}
_COLUMNS = (*TESTS, *BOOTSTRAPS)


def simulate(count: int, horizon: int, memory: float, repeats: int, bootstraps: int) -> dict[str, list[int]]:
    """Rejections and repetitions of every test at one (n, H).

    Args:
        count: n, test windows.
        horizon: H; windows of successive steps overlap by H - 1 of them.
        memory: autocorrelation of the steps' losses; 0 for independent ones.
        repeats: simulated test parts.
        bootstraps: of these, how many are also tested by the block bootstraps, which are slow.
    """
    rng = np.random.default_rng(derive(0, f"size {count} {horizon} {memory}"))
    hits: dict[str, list[int]] = {name: [0, 0] for name in _COLUMNS}
    for start in range(0, repeats, _BATCH):
        size = min(_BATCH, repeats - start)
        d = overlapping_losses(rng, size, count, horizon, memory)
        for name, test in TESTS.items():
            _add(hits[name], test(d, horizon))
        few = d[: max(0, bootstraps - start)]
        for name, blocks in BOOTSTRAPS.items():
            _add(hits[name], block_bootstrap(few, blocks * horizon, rng))
    return hits


def our_size(count: int, horizon: int, memory: float, repeats: int) -> int:
    """Rejections of our test alone.

    Args:
        count: n, test windows.
        horizon: H; windows of successive steps overlap by H - 1 of them.
        memory: autocorrelation of the steps' losses; 0 for independent ones.
        repeats: simulated test parts.
    """
    rng = np.random.default_rng(derive(0, f"our size {count} {horizon} {memory}"))
    test = TESTS[OURS]
    parts = [min(_BATCH, repeats - start) for start in range(0, repeats, _BATCH)]
    return sum(int(test(overlapping_losses(rng, part, count, horizon, memory), horizon).sum()) for part in parts)


def _add(hits: list[int], rejected: np.ndarray) -> None:
    hits[0] += int(np.sum(rejected))
    hits[1] += len(rejected)


def agree(ours: float, count: int, earlier: float, earlier_count: int) -> bool:
    """Whether two simulated shares lie within their 99 % simulation error and the rounding to two digits.

    The difference of two independent binomial shares has variance p (1 - p) (1/n + 1/m), with p their pooled value.

    Args:
        ours: our share.
        count: repetitions that it is of.
        earlier: the other share, rounded to two digits.
        earlier_count: repetitions that it is of.
    """
    pooled = (ours * count + earlier * earlier_count) / (count + earlier_count)
    error = math.sqrt(pooled * (1 - pooled) * (1 / count + 1 / earlier_count))
    return abs(ours - earlier) <= float(stats.norm.ppf(0.995)) * error + 0.005


def run_size(context: Context) -> Part:
    """Sizes of all tests at six (n, H), for independent and for AR(0.9) step losses."""
    scale = context.scale
    cells = [(n, h, memory) for memory in MEMORIES for n, h in EARLIER]
    found: dict[tuple[int, int, float], dict[str, list[int]]] = {}
    for done, (n, h, memory) in enumerate(cells):
        context.report("size", done, len(cells))
        key: dict[str, Any] = {"part": "size", "n": n, "h": h, "memory": memory}
        key |= {"repeats": scale.simulations, "bootstraps": scale.bootstraps}
        found[n, h, memory] = context.once(key, partial(simulate, n, h, memory, scale.simulations, scale.bootstraps))
    context.report("size", len(cells), len(cells))
    whole = describe(found)
    checks, table = _our_sizes(context)
    return replace(whole, checks=[*checks, *whole.checks], tables=[table, *whole.tables])


def _our_sizes(context: Context) -> tuple[list[Check], Table]:
    """Our test over horizons, lengths and memories."""
    repeats = context.scale.simulations
    checks, rows = [], []
    for horizon, count in itertools.product(HORIZONS, LENGTHS):
        if count / horizon < MINIMUM_BLOCKS:
            continue
        cells = []
        for memory in SHORT_MEMORIES:
            key: dict[str, Any] = {"part": "our size", "n": count, "h": horizon, "memory": memory, "repeats": repeats}
            hits = context.once(key, partial(our_size, count, horizon, memory, repeats))
            name = f"{OURS}; n {count}, H {horizon}, AR({memory:g}) step losses"
            checks.append(Check.share(name, hits, repeats, LIBERAL, strict=False))
            cells.append(f"{hits / repeats:.3f}")
        rows.append([str(horizon), str(count), str(cosine_terms(count, horizon)), *cells])
    columns = ("H", "n", "B", *(f"AR({memory:g})" for memory in SHORT_MEMORIES))
    return checks, Table("Rejections of our test at nominal 5 %", columns, rows)


def describe(found: dict[tuple[int, int, float], dict[str, list[int]]]) -> Part:
    """Checks and tables of the rejections."""
    checks: list[Check] = []
    tables: list[Table] = []
    compared: list[bool] = []
    for memory in MEMORIES:
        words = "independent" if not memory else f"AR({memory:g})"
        rows = []
        for (n, h), earlier in EARLIER.items():
            hits = found[n, h, memory]
            row = [f"{n}, {h}"]
            for name, number in zip(_COLUMNS, earlier, strict=True):
                beside = number if not memory else EARLIER_AR.get((n, h, name))
                row.append(_cell(name, hits[name], beside, compared))
            rows.append(row)
            what = f"{OURS}; n {n}, H {h}, {words} step losses"
            checks.append(Check.share(what, hits[OURS][0], hits[OURS][1], LIBERAL, required=not memory, strict=False))
        tables.append(Table(f"Rejections at nominal 5 %, {words} step losses", ("n, H", *_COLUMNS), rows, _NOTE))
    agreed = sum(compared)
    # At 99 % each, one in a hundred may disagree by chance; three times as many are allowed for.
    checks.append(
        Check.share("sizes of an earlier simulation that ours agree with", agreed, len(compared), 0.97, above=True)
    )
    return Part("size", "Size of the tests on overlapping windows", _ABOUT, checks, tables)


def _cell(name: str, hits: list[int], earlier: float | None, compared: list[bool]) -> str:
    ours = hits[0] / hits[1]
    if earlier is None:
        return f"{ours:.3f}"
    agrees = agree(ours, hits[1], earlier, EARLIER_BOOTSTRAPS if name in BOOTSTRAPS else EARLIER_REPEATS)
    compared.append(agrees)
    return f"{ours:.3f} ({earlier:.3g}{'' if agrees else ', differs'})"


_ABOUT = (
    "Step losses with mean zero are averaged over H steps, one window a step, and every test asks whether the mean is "
    "zero. A test that the audit uses may reject at most 7.5 % at nominal 5 % (Bradley 1978), and fails if the whole "
    "interval of the simulation lies above that."
)
_NOTE = (
    "In brackets the size in an earlier simulation by other code. It agrees with ours if the two differ by no more "
    "than the 99 % simulation error of both (1000 repetitions there, 300 of the bootstrap) and half a unit of its "
    "last digit. Of AR(0.9) step losses only one number is known."
)
