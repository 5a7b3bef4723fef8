"""The combination with past columns: tried with and without them, at the rolling origins that it was weighted by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from forecheck.combination.combine import Combination, Progress
from forecheck.combination.features import Raw
from forecheck.combination.intervals import spread_of
from forecheck.combination.lagged import (
    FEWEST,
    RIDGES,
    Fit,
    Sizes,
    corrections,
    fit_lagged,
    lags_tried,
    places,
    standardised,
)
from forecheck.combination.ragged import Ragged
from forecheck.combination.seasons import seasons_within
from forecheck.combination.suspects import untried
from forecheck.combination.views import views_of
from forecheck.combination.worth import Worth, losses_of


def with_past(
    made: Combination,
    batch: Ragged,
    raw: Raw,
    channels: int,
    seasons: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Combination:
    r"""The combination with the effects of past columns, or as it is, whichever forecasts better at rolling origins.

    .. math:: \hat y_{T+h} \leftarrow \hat y_{T+h} + (x_T - \hat x_T)^\top B_h

    Whatever forecasts a series from its own past can gain by past columns what that past does not tell of them, x less
    its regression on the past (`lagged.Fit`). Number of lags and ridge are those with the least squared error on every
    stretch between two origins by what was before it. The effects are used if the 95 % interval of what is gained lies
    above zero.

    Args:
        made: the combination without them.
        batch: channels within series.
        raw: past columns of the series.
        channels: of every series.
        seasons: steps of the seasons that are known, the shortest first.
        progress: as for `combine`.
    """
    if progress is not None:
        progress(0.0, "past columns")
    columns, worth = untried(batch, raw, channels)
    chosen = next((each for each in made.maps if each.anchor == "last" and each.pull is None), None)
    if not columns or not made.origins or chosen is None:
        return replace(made, past_worth=worth)
    horizon = made.point.shape[1]
    lags = lags_tried(chosen.lookback, seasons_within(seasons, int(batch.lengths.max())), len(columns))
    sizes = Sizes(chosen.lookback, lags[-1], len(columns), horizon)
    z = standardised(raw, columns)
    unit = np.where(made.unit > 0, made.unit, np.inf)
    views = views_of(batch, list(made.origins), horizon, made.effects)
    table = np.zeros((len(lags), len(RIDGES)))
    tried: list[tuple[Ragged, list[Fit]] | None] = []
    for k, (past, before, count, stretch) in enumerate(places(views, list(made.origins), z, channels, unit, sizes)):
        if count < FEWEST:
            tried.append(None)
            continue
        fits = [fit_lagged(before, sizes, each, chosen.ridge) for each in lags]
        tried.append((past, fits))
        if stretch is not None:
            table += [[fit.loss(stretch, sizes, number) for number in range(len(RIDGES))] for fit in fits]
        if progress is not None:
            progress((k + 1) / (len(made.origins) + 1), "past columns")
    if all(each is None for each in tried[:-1]):
        return replace(made, past_worth=worth)
    few, number = (int(place) for place in np.unravel_index(table.argmin(), table.shape))
    none = np.full((len(unit), horizon), np.nan)
    moved = [none if each is None else corrections(each[0], z, channels, each[1][few], number) for each in tried]
    scale = np.where(made.unit > 0, made.unit, 0.0)[:, None]
    steps = made.errors.shape[2]
    with np.errstate(invalid="ignore"):
        errors = made.errors + np.stack([each[:, :steps] for each in moved[:-1]]) * scale / made.units[..., None]
    return _judged(made, errors, _held(moved[-1] * scale, batch), replace(worth, lag=lags[few], ridge=RIDGES[number]))


def _held(correction: Float[np.ndarray, "unit horizon"], batch: Ragged) -> Float[np.ndarray, "unit horizon"]:
    """Not beyond the range of the series."""
    reach = (np.nanmax(batch.values, axis=1) - np.nanmin(batch.values, axis=1))[:, None]
    return np.clip(correction, -reach, reach)


def _judged(
    made: Combination,
    errors: Float[np.ndarray, "origin unit step"],
    correction: Float[np.ndarray, "unit horizon"],
    worth: Worth,
) -> Combination:
    """With the correction if the origins at which it could be tried say so."""
    worth = worth.judged(losses_of(made.errors, errors), losses_of(errors, made.errors), made.origins)
    if not worth.used:
        return replace(made, past_worth=worth)
    errors = np.where(np.isnan(errors), made.errors, errors)
    point = made.point + correction
    return replace(
        made,
        point=np.where(made.never_negative[:, None], np.maximum(point, 0.0), point),
        errors=errors,
        spread=spread_of(errors, made.spread.independent, rising=made.spread.rising),
        past_worth=worth,
    )
