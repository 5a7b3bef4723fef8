"""The forecast combination of many series: members, rolling origins, weights, forecast and intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from forecheck.combination.intervals import Spread, half_widths, spread_of
from forecheck.combination.members import Bounds, bounded, bounds_of, classical, filled_in
from forecheck.combination.naive import Forecasts
from forecheck.combination.origins import Origin, rolling_origins, truth_of, units_at
from forecheck.combination.own import PULLS, RIDGE, own_forecasts
from forecheck.combination.pooled import Chosen, Pooled
from forecheck.combination.ragged import Ragged, naive_error
from forecheck.combination.regression import Effects
from forecheck.combination.seasons import seasons_within
from forecheck.combination.stack import stacked
from forecheck.combination.views import PooledViews, View, views_of
from forecheck.combination.worth import Worth

FEWEST = 5
"""Values that a series must have."""
_NUMBERS = 30_000_000
"""Errors of all members at all origins that are held at once; fewer origins are taken where there would be more."""
_USUAL_MEMBERS = 12
_DROPPED = 1.2
"""Members whose loss is so many times that of the best one get no weight."""
_WINSOR = 20.0
_TRIED = 64
"""Series on which the maps of single series are chosen."""
_OWN = 8
"""Series from which on single ones have maps of their own: from fewer the pull is chosen badly."""
_NEVER_TRIED = ("theta", "damped", "simple")
"""Members with equal weights where there is no origin."""
Progress = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Combination:
    """A forecast, what it was made of, and how wrong the same rule was at earlier origins.

    Attributes:
        point: forecasts in the units of the series.
        members: names of those with weight.
        weights: of every series.
        losses: mean absolute scaled error of every member over the origins, by name.
        maps: the pooled maps among the members: anchor, lookback and ridge.
        origins: where the rule was tried, the earliest first.
        units: naive error of the series before every origin; NaN where it does not count.
        errors: of the combination at every origin, in those units, with weights of other origins.
        unit: naive error of the whole series; 0 if it never changes.
        spread: of the errors.
        never_negative: whether no value of a series is below zero.
        mostly_zero: whether a series is zero at more than half of its steps, and not at all.
        worth: of known columns, where there are such.
        past_worth: of past columns, where there are such.
        effects: of known columns, where they are used.
    """

    point: Float[np.ndarray, "series horizon"]
    members: tuple[str, ...]
    weights: Float[np.ndarray, "series member"]
    losses: dict[str, float]
    maps: tuple[Chosen, ...]
    origins: tuple[Origin, ...]
    units: Float[np.ndarray, "origin series"]
    errors: Float[np.ndarray, "origin series step"]
    unit: Float[np.ndarray, " series"]
    spread: Spread
    never_negative: Bool[np.ndarray, " series"]
    mostly_zero: Bool[np.ndarray, " series"]
    worth: Worth | None = None
    past_worth: Worth | None = None
    effects: Effects | None = None

    @property
    def worths(self) -> dict[str, Worth]:
        """Of known and of past columns, by part, where there are such."""
        both = {"known": self.worth, "past": self.past_worth}
        return {part: worth for part, worth in both.items() if worth is not None}

    def interval(self, level: float) -> tuple[Float[np.ndarray, "series horizon"], Float[np.ndarray, "series horizon"]]:
        """Lower and upper ends of the intervals of a level in percent; not below zero for series that never were."""
        width = half_widths(self.spread, level, self.point.shape[1]) * self.unit[:, None]
        low = self.point - width
        return np.where(self.never_negative[:, None], np.maximum(low, 0.0), low), self.point + width


def combine(
    batch: Ragged,
    horizon: int,
    seasons: tuple[int, ...] = (),
    progress: Progress | None = None,
    effects: Effects | None = None,
) -> Combination:
    r"""Forecast every series by a weighted mean of members.

    .. math:: \hat y_{s,T+h} = \sum_k w_{sk} \, \hat y^{(k)}_{s,T+h}

    Members are naive ones, exponential smoothing (simple, damped, Theta) of seasonally adjusted values, and ridge
    regressions on the last steps that all series share in units of their naive error. All forecast from rolling
    origins inside the history, from what was known there; members whose mean absolute scaled error exceeds that of
    the best by a fifth are dropped, of the maps the best lookback and ridge are kept, and the errors give the weights
    (`stack.stacked`) and the intervals (`intervals.half_widths`). A series that never changes is forecast by its value.

    Args:
        batch: series of at least five values.
        horizon: H.
        seasons: steps of the seasons that are known, the shortest first.
        progress: called with the share that is done, and a word for the stage.
        effects: what known columns explain, fitted before the origins of `origins_for`: members forecast what is left
            of the series, and the effects on the steps ahead are added to that.

    Raises:
        ValueError: if a series has less than five values.

    Source: Bates & Granger, *The combination of forecasts*, OR 1969; Timmermann, *Forecast combinations*, 2006; the
    members as named where they are made; MASE of Hyndman & Koehler, IJF 2006.
    """
    if batch.lengths.min() < FEWEST:
        raise ValueError(f"a series has {batch.lengths.min()} values, fewer than {FEWEST}")
    scale, batch = _near_one(batch)
    origins, lag = origins_for(batch, horizon, seasons), lag_of(batch, seasons)
    seasons = seasons_within(seasons, int(batch.lengths.max()))
    views = views_of(batch, origins, horizon, None if effects is None else effects.over(scale))
    pooled = PooledViews(views, seasons, horizon, origins)
    units = np.stack([units_at(batch, origin, lag) for origin in origins]) if origins else np.zeros((0, len(scale)))
    tell = progress or _silent
    tell(0.0, "rolling origins")
    tried: list[Forecasts] = []
    table: dict[Chosen, list[float]] = {}
    ends = [*(origin.end for origin in origins), 0]
    limits = [bounds_of(view.batch.before(end), horizon) for view, end in zip(views, ends, strict=True)]
    for k, origin in enumerate(origins):
        past, truth = views[k].batch.before(origin.end), views[k].truth(origin)
        tried.append(classical(past, seasons, horizon))
        for chosen, forecast in pooled.forecasts(k):
            error = _settled(forecast, tried[k], limits[k])[:, : origin.horizon] - truth
            table.setdefault(chosen, []).append(_loss(error / units[k][:, None]))
        tell((k + 1) / (len(origins) + 4), "rolling origins")
    maps = _best(table)
    for k in range(len(origins)):
        tried[k] |= _mapped(pooled, k, maps, tried[k], limits[k])
    final = classical(views[-1].batch, seasons, horizon)
    final |= _mapped(pooled, -1, maps, final, limits[-1])
    tell((len(origins) + 1) / (len(origins) + 4), "maps of single series")
    shared = pooled.shared  # own maps sum their moments from origin to origin, so all have to see the same series
    own = None if shared is None else _own(shared, batch, tried, units, limits)
    if shared is not None and own is not None:
        maps = (*maps, own)
        every = own_forecasts(shared, own.lookback, [own.pull or 0.0], np.arange(len(scale)))[0]
        for k, forecast in enumerate(every):
            others = [*tried, final][k]
            others["own map"] = _settled(forecast, others, limits[k])
    unit = naive_error(batch, lag)
    names, losses, errors = _errors(views, origins, units, tried)
    tell((len(origins) + 2) / (len(origins) + 4), "weights")
    if origins:
        weights, blind = stacked(errors)
    else:
        weights, blind = np.full((len(scale), len(names)), 1 / len(names)), np.zeros((0, len(scale), 1))
    tell(1.0, "weights")
    point = views[-1].ahead + sum(weights[:, [k]] * final[name] for k, name in enumerate(names))
    never_negative = np.nanmin(batch.values, axis=1) >= 0
    point = np.where(never_negative[:, None], np.maximum(point, 0.0), point)  # an effect may have gone below
    point = np.where(unit[:, None] > 0, point, batch.values[:, -1:])
    return Combination(
        point=point * scale[:, None],
        members=tuple(names),
        weights=weights,
        losses=losses,
        maps=maps,
        origins=tuple(origins),
        units=units * scale,
        errors=blind,
        unit=unit * scale,
        spread=spread_of(blind, _independent(origins), rising=len(seasons) < 2),
        never_negative=never_negative,
        mostly_zero=((batch.values == 0).sum(axis=1) > batch.lengths / 2) & (unit > 0),
        effects=effects,
    )


def _silent(share: float, word: str) -> None:
    """Progress that nobody asked for."""


def _near_one(batch: Ragged) -> tuple[Float[np.ndarray, " series"], Ragged]:
    """A power of two a series, and the series divided by it, so that squares of tiny and huge values stay numbers."""
    largest = np.nanmax(np.abs(batch.values), axis=1)
    scale = np.exp2(np.floor(np.log2(np.where(largest > 0, largest, 1.0))))
    return scale, replace(batch, values=batch.values / scale[:, None])


def lag_of(batch: Ragged, seasons: tuple[int, ...]) -> int:
    """Lag of the naive error that is the unit: the shortest season of which there are two, or 1."""
    return (*seasons_within(seasons, int(batch.lengths.max())), 1)[0]


def origins_for(batch: Ragged, horizon: int, seasons: tuple[int, ...]) -> list[Origin]:
    """The rolling origins of the combination of these series.

    Args:
        batch, horizon, seasons: as in `combine`.
    """
    held = len(batch.values) * _USUAL_MEMBERS * horizon
    most = int(np.clip(_NUMBERS // held, 3, 12))
    return rolling_origins(batch.lengths, horizon, lag_of(batch, seasons), most)


def _settled(
    forecast: Float[np.ndarray, "series horizon"], others: Forecasts, limits: Bounds
) -> Float[np.ndarray, "series horizon"]:
    """A map's forecast, that of the fallback where a series is too short for it, within bounds."""
    return bounded(filled_in(forecast, others["theta"]), limits)


def _mapped(pooled: PooledViews, place: int, maps: tuple[Chosen, ...], others: Forecasts, limits: Bounds) -> Forecasts:
    """Forecasts of the chosen maps from an origin; those of the fallback where there were too few windows yet."""
    found = {f"map of {chosen.anchor}": others["theta"] for chosen in maps}
    for chosen in maps:
        for _, forecast in pooled.forecasts(place, chosen):
            found[f"map of {chosen.anchor}"] = _settled(forecast, others, limits)
    return found


def _own(
    pooled: Pooled,
    batch: Ragged,
    tried: list[Forecasts],
    units: Float[np.ndarray, "origin series"],
    limits: list[Bounds],
) -> Chosen | None:
    """The lookback and the pull of maps of single series that forecast some of them best; None if there are none."""
    count = len(batch.values)
    if count < _OWN or not tried:
        return None
    some = np.arange(0, count, -(-count // _TRIED))
    part, table = batch.only(some), {}
    others = [{"theta": each["theta"][some]} for each in tried]
    within = [Bounds(each.low[some], each.high[some]) for each in limits]
    for lookback in pooled.lookbacks:
        for pull, places in zip(PULLS, own_forecasts(pooled, lookback, PULLS, some), strict=True):
            losses = []
            for k, origin in enumerate(pooled.origins):
                if not np.isnan(places[k]).all():
                    forecast = _settled(places[k], others[k], within[k])[:, : origin.horizon]
                    losses.append(_loss((forecast - truth_of(part, origin)) / units[k][some][:, None]))
            if losses:
                table[Chosen("last", lookback, RIDGE, pull)] = losses
    return next(iter(_best(table)), None)


def _best(table: dict[Chosen, list[float]]) -> tuple[Chosen, ...]:
    """The best map of every anchor, over the origins that all maps have."""
    if not table:
        return ()
    shared = min(len(losses) for losses in table.values())
    mean = {chosen: float(np.mean(losses[-shared:])) for chosen, losses in table.items()}
    anchors = dict.fromkeys(chosen.anchor for chosen in mean)
    return tuple(min((c for c in mean if c.anchor == anchor), key=mean.__getitem__) for anchor in anchors)


def _loss(errors: Float[np.ndarray, "series step"]) -> float:
    """Mean over series of the mean absolute scaled error, each at most 20."""
    known = ~np.isnan(errors)
    count = known.sum(axis=1)
    each = np.where(known, np.abs(errors), 0.0).sum(axis=1) / np.maximum(1, count)
    return float(np.minimum(each, _WINSOR)[count > 0].mean()) if count.any() else 0.0


def _errors(
    views: list[View], origins: list[Origin], units: Float[np.ndarray, "origin series"], tried: list[Forecasts]
) -> tuple[list[str], dict[str, float], Float[np.ndarray, "origin member series step"]]:
    """Names of the members that are kept, losses of all, and the errors of those that are kept."""
    if not origins:
        return (
            list(_NEVER_TRIED),
            {},
            np.zeros((0, len(_NEVER_TRIED), len(views[-1].batch.values), 1), dtype=np.float32),
        )
    names = [name for name in tried[0] if all(name in each for each in tried)]  # early origins lack long seasons
    steps = origins[0].horizon
    errors = np.empty((len(origins), len(names), len(views[-1].batch.values), steps), dtype=np.float32)
    for k, origin in enumerate(origins):
        truth = views[k].truth(origin)
        for j, name in enumerate(names):
            errors[k, j] = (tried[k].pop(name)[:, :steps] - truth) / units[k][:, None]
    losses = {name: float(np.mean([_loss(part[j]) for part in errors])) for j, name in enumerate(names)}
    best = min(losses.values())
    kept = [j for j, name in enumerate(names) if losses[name] <= _DROPPED * best]
    return [names[j] for j in kept], losses, errors[:, kept]


def _independent(origins: list[Origin]) -> float:
    """Origins whose futures do not overlap."""
    return (origins[0].end - origins[-1].end) / origins[0].horizon + 1 if origins else 0.0
