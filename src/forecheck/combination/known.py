"""The combination with known columns: tried with and without them, at the same rolling origins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecheck.combination.combine import Combination, Progress, combine, origins_for
from forecheck.combination.features import Raw
from forecheck.combination.maps import usual_lookbacks
from forecheck.combination.ragged import Ragged
from forecheck.combination.regression import effects_of
from forecheck.combination.seasons import seasons_within
from forecheck.combination.suspects import untried
from forecheck.combination.worth import losses_of, mean_of
from forecheck.progress import within

_WORK = 2e9
"""Multiplications of all moments up to which effects are fitted before every origin."""
_LAGS = 2


def combine_known(
    batch: Ragged,
    raw: Raw,
    channels: int,
    horizon: int,
    seasons: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Combination:
    """The combination with the effects of known columns, or without, whichever forecasts better at rolling origins.

    Effects are fitted on differences over one of the two shortest seasons (over a season or a step where there is one
    season, a step where there is none), whichever gives the lower error. They are used if the 95 % interval of what
    is gained lies above zero.

    Args:
        batch: channels within series.
        raw: known columns of the series.
        channels: of every series.
        horizon: H.
        seasons: steps of the seasons that are known, the shortest first.
        progress: as for `combine`.
    """
    columns, worth = untried(batch, raw, channels)
    origins = origins_for(batch, horizon, seasons)
    if not columns or not origins:
        return replace(combine(batch, horizon, seasons, progress), worth=worth)
    lags = lags_of(batch, seasons)
    runs = len(lags) + 1
    plain = combine(batch, horizon, seasons, within(progress, 0.0, 1 / runs))
    tried: list[tuple[float, Combination, int, float]] = []
    each = _cheap(batch, seasons, horizon, len(origins))
    for number, lag in enumerate(lags):
        effects = effects_of(batch, raw, columns, channels, lag, origins, each=each)
        if effects is not None:
            made = combine(batch, horizon, seasons, within(progress, (number + 1) / runs, (number + 2) / runs), effects)
            tried.append((mean_of(losses_of(made.errors, plain.errors)), made, lag, effects.ridge))
    if not tried:
        return replace(plain, worth=replace(worth, why="too few rows lie before the first origin"))
    _, made, lag, ridge = min(tried, key=lambda each: each[0])
    before, after = (losses_of(each.errors, plain.errors) for each in (plain, made))
    worth = replace(worth, lag=lag, ridge=ridge).judged(before, after, made.origins)
    return replace(made if worth.used else plain, worth=worth)


def lags_of(batch: Ragged, seasons: tuple[int, ...]) -> tuple[int, ...]:
    """Steps of differences that are tried.

    Args:
        batch: the series.
        seasons: steps, the shortest first.
    """
    known = seasons_within(seasons, int(np.median(batch.lengths)))
    return known[:_LAGS] if len(known) > 1 else (*known, 1)


def _cheap(batch: Ragged, seasons: tuple[int, ...], horizon: int, origins: int) -> bool:
    """Whether the maps can be fitted anew for every origin."""
    joint = max(usual_lookbacks(seasons_within(seasons, int(batch.lengths.max())))) + horizon
    return float(batch.lengths.sum()) * joint * joint * (origins + 1) < _WORK and len(batch.values) < 2_000
