"""Rolling origins: closed forms are refitted through the test part, always on the rows before the origin alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from forecheck.data.splits import Borders, origins
from forecheck.data.windows import Experiment, Windows
from forecheck.forecasters.base import Forecaster
from forecheck.forecasters.gram import Gram
from forecheck.forecasters.refit import grams, refitted
from forecheck.progress import Progress
from forecheck.trials.score import Scores, score


def windows_before(experiment: Experiment, ends: Int[np.ndarray, " series"]) -> Windows:
    """Every window that ends before a row of its series, `ends` counted from the series' own first row."""
    test = experiment.test
    borders = Borders(ends, ends, ends).only(experiment.scaler.known)
    rows = origins(experiment.panel, borders, "train", test.lookback, test.horizon, test.step)
    return replace(test, origins=rows)


def rolled(
    forecaster: Forecaster, details: Mapping[str, Any], experiment: Experiment, every: int
) -> Iterator[tuple[Int[np.ndarray, " window"], Forecaster]]:
    r"""The forecaster refitted every so many rows of the test part, with the test windows that it is to forecast.

    Block k of a series are its origins in rows [kN, (k + 1) N) of the test part. They are forecast by the model that
    is fitted on all windows before row kN, training and validation windows among them. Gram matrices are sums over
    windows, so from block to block only the new windows are added:

    .. math:: G_k = G_{k-1} + \sum_{k-1 < w \le k} z_w z_w^\top

    which is exact up to rounding. What validation chose stays, and so does the scaler, which is that of the training
    rows. Rows that are not before the block are NaN to the fit, infinite as targets of which some were never observed:
    one that read them could not hide it.

    Args:
        forecaster: fitted on the training windows, in closed form (`can_refit`).
        details: of the report of that fit.
        experiment: what it was fitted on.
        every: N, rows.

    Yields:
        Places of a block's windows among the test windows, and what forecasts them.
    """
    panel, test, borders = experiment.panel, experiment.test, experiment.borders
    series = panel.series_of(test.origins)
    block = (test.origins - panel.offsets[series] - borders.validation_end[series]) // every
    hidden = np.full_like(test.values, np.nan)
    targets = None if test.targets is None else np.full_like(test.values, np.inf)
    windows = replace(windows_before(experiment, borders.test_end), values=hidden, targets=targets)
    ends, of = windows.origins + test.horizon, panel.series_of(windows.origins)
    reached = panel.offsets[:-1]
    total: list[Gram] | None = None
    counted = windows.origins[:0]
    for k in np.unique(block):
        cut = panel.offsets[:-1] + np.minimum(borders.validation_end + k * every, borders.test_end)
        for start, end in zip(reached, cut, strict=True):
            hidden[start:end] = test.values[start:end]
            if targets is not None and test.targets is not None:
                targets[start:end] = test.targets[start:end]
        new = windows.origins[(ends > reached[of]) & (ends <= cut[of])]
        if len(new):
            before = None if total is None else replace(windows, origins=counted)
            added = grams(forecaster, replace(windows, origins=new), before)
            counted = np.union1d(counted, new)
            total = added if total is None else [one + more for one, more in zip(total, added, strict=True)]
        assert total is not None  # the training windows are before every block
        reached = cut
        yield np.flatnonzero(block == k), refitted(forecaster, total, details)


def score_rolled(
    forecaster: Forecaster,
    details: Mapping[str, Any],
    experiment: Experiment,
    every: int,
    progress: Progress | None = None,
) -> tuple[Scores, int]:
    """Losses on every test window, each forecast by the last refit before it; and the number of refits.

    Args:
        forecaster: fitted on the training windows, in closed form.
        details: of the report of that fit.
        experiment: what it was fitted on.
        every: rows of the test part between two refits.
        progress: called with the share that is done.
    """
    test = experiment.test
    shape = (len(test), test.channels)
    mse, mae, refits, done = np.empty(shape), np.empty(shape), 0, 0
    total, count = np.zeros(test.horizon), np.zeros(test.horizon)
    for place, again in rolled(forecaster, details, experiment, every):
        block = replace(test, origins=test.origins[place])
        scores = score(again, block)
        mse[place], mae[place] = scores.mse, scores.mae
        seen = block.observed(slice(None)) / test.channels
        total += np.where(seen > 0, seen * scores.horizon_mse, 0.0)
        count += seen
        refits, done = refits + 1, done + len(place)
        if progress is not None:
            progress(done / len(test), "refits")
    return Scores(mse, mae, np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)), refits
