"""The forecast combination as a fit: a description that is made anew on the data that it forecasts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.combination.beside import combine_beside
from forecheck.combination.combine import FEWEST, Combination, combine
from forecheck.combination.ragged import from_panel, width_of
from forecheck.combination.seasons import known_seasons
from forecheck.data.frequency import Frequency, stamp
from forecheck.data.panel import Panel
from forecheck.errors import DataError, UsageError
from forecheck.forecasting.beside import check_ahead, check_asked, notes_on, worths_of
from forecheck.forecasting.candidates import COMBINATION
from forecheck.forecasting.fitted import check_level, of_one_kind
from forecheck.statistics.metrics import observed_mean
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Combined:
    """A forecast combination as it can be saved: nothing that was fitted, since all of it is fitted anew in seconds.

    Attributes:
        horizon: H.
        period: steps of the shortest season, or None for what the step of the data has.
        channels: names of the channels.
        frequency: the step of the data.
        info: members, weights, and losses at rolling origins.
        origin: the data and the versions; to be read, not used.
        asked: known columns and others of which the forecast is made, by part, as `forecheck.load` takes them.
        made: fingerprint of the panel that was combined when this was made, and the outcome, so that it need not be
            done twice.
    """

    horizon: int
    period: int | None
    channels: tuple[str, ...]
    frequency: Frequency
    info: dict[str, Any]
    origin: dict[str, Any]
    asked: dict[str, list[str]] = field(default_factory=dict)
    made: tuple[str, Combination] | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"<Combined: {self.horizon} steps, every {self.frequency}, {len(self.channels)} channels>"

    def _repr_html_(self) -> str:
        """What it is, for a notebook."""
        return f"<p>{escape(repr(self))}: {escape(self.info['rule'])}</p>"

    def aligned(self, panel: Panel) -> Panel:
        """The panel with its channels in the order of the fit; its series may be others.

        Raises:
            DataError: if it lacks channels or known columns or has others, or its step is another.
        """
        check_asked(panel, self.asked)
        return of_one_kind(panel, self.channels, self.frequency)

    def combine(self, panel: Panel) -> tuple[Combination, dict[str, Any]]:
        """The combination of an aligned panel, and what is to be said of it."""
        if self.made is not None and self.made[0] == panel.fingerprint:
            return self.made[1], self.info
        made = combined_panel(panel, self.horizon, self.period)
        return made, {"model": COMBINATION, "rule": self.info["rule"]} | described(made, panel)


def combined_panel(panel: Panel, horizon: int, period: int | None, means: Means | None = None) -> Combination:
    """Combine every channel of every series.

    Args:
        panel: the data.
        horizon: H.
        period: steps of the shortest season, or None for what the step of the data has.
        means: whose watcher receives the progress.

    Raises:
        DataError: if a series has too few values.
    """
    batch = from_panel(panel)
    short, count = np.flatnonzero(batch.lengths < FEWEST), len(batch.lengths)
    if len(short):
        name, length = unit_names(panel)[short[0]], int(batch.lengths[short[0]])
        raise DataError(
            f'"{name}" of {panel.name} has {length} observed values, fewer than the {FEWEST} that a forecast needs',
            "Give more rows"
            + (f", or leave it out with {_drop(panel, int(short[0]))}." if len(short) < count else "."),
        )
    progress = None if means is None else lambda share, _: means.watcher.part(COMBINATION, share, 1)
    seasons = known_seasons(panel.frequency, period)
    beside = panel.covariates
    if beside is None:
        return combine(batch, horizon, seasons, progress)
    check_ahead(panel, beside, horizon)
    return combine_beside(panel, beside, batch, horizon, seasons, progress)


def unit_names(panel: Panel) -> list[str | int]:
    """Names of series as they were in the data, of channels where there is one series, else both."""
    if len(panel.channels) == 1 and panel.reading.ids == "integer":
        return [int(name) for name in panel.series]
    if len(panel.channels) == 1 and (len(panel.series) > 1 or panel.reading.ids):
        return list(panel.series)
    if len(panel.series) == 1 and not panel.reading.ids:
        return list(panel.channels)
    return [f"{series}/{channel}" for series in panel.series for channel in panel.channels]


def _drop(panel: Panel, unit: int) -> str:
    """How to be rid of a unit: of its channel if there is one series, else of its series."""
    series, channel = divmod(unit, len(panel.channels))
    return f"--drop {shlex.quote(panel.channels[channel] if len(panel.series) == 1 else panel.series[series])}"


def fit_combined(
    panel: Panel, protocol: Protocol, means: Means, made: Combination | None = None, rule: str = "named"
) -> Combined:
    """A fit of the combination, for all series of a panel.

    Args:
        panel: the data.
        protocol: horizon and period.
        means: whose watcher receives the progress.
        made: the outcome, if it is there already.
        rule: why this model.
    """
    if made is None:
        made = combined_panel(panel, protocol.horizon, protocol.period, means)
    info = {"model": COMBINATION, "rule": rule} | described(made, panel)
    origin = {"data": {"name": panel.name, "fingerprint": panel.fingerprint, "rows": len(panel.values)}}
    origin["data"] |= {"first": stamp(panel.time.min()), "last": stamp(panel.time.max()), "fills": panel.fills}
    made_of = panel.fingerprint, made
    asked = {} if panel.covariates is None else panel.covariates.asked
    return Combined(protocol.horizon, protocol.period, panel.channels, panel.frequency, info, origin, asked, made_of)


def described(made: Combination, panel: Panel) -> dict[str, Any]:
    """Members with their mean weights, losses, origins, and what a user should know, as JSON types."""
    mean = made.weights.mean(axis=0)
    return {
        "members": {name: round(float(weight), 4) for name, weight in zip(made.members, mean, strict=True)},
        "member_mase": made.losses,
        "maps": [chosen._asdict() for chosen in made.maps],
        "rolling_mase": {COMBINATION: scaled_loss(made.errors)},
        "origins": len(made.origins),
        "read": panel.described,
        "notes": [*notes_of(made, panel), *notes_on(made, panel)],
    } | worths_of(made)


def scaled_loss(errors: Float[np.ndarray, "origin series step"]) -> float | None:
    """Mean over origins and series of the mean absolute scaled error; None if there is none."""
    each = observed_mean(np.abs(errors), axis=2)
    known = each[~np.isnan(each)]
    return float(known.mean()) if known.size else None


def notes_of(made: Combination, panel: Panel) -> list[str]:
    """What a user should know of the forecast."""
    names, notes = unit_names(panel), []
    still = np.flatnonzero(made.unit == 0)
    if len(still):
        notes.append(f"{_listed([names[i] for i in still])}: never changes, and is forecast by its value")
    if made.never_negative.any():
        count = int(made.never_negative.sum())
        which = "all series" if count == len(names) else f"{count} of {len(names)} series"
        notes.append(f"{which} never fall below zero, and neither do their forecasts and intervals")
    zeros = [int(i) for i in np.flatnonzero(made.mostly_zero)]
    if zeros:
        notes.append(
            f"{_listed([names[i] for i in zeros])}: zero at most steps; the forecast is near the median, as "
            "the absolute error asks for, and its sum is no forecast of the total"
        )
    if not made.origins:
        notes.append("too short for rolling origins: equal weights, and no intervals")
    elif made.origins[0].horizon < made.point.shape[1]:
        reach = made.origins[0].horizon
        notes.append(f"the series are too short to try more than {reach} steps ahead; beyond, widths are extrapolated")
    left_out = int(panel.lengths.max()) - width_of(panel)
    if left_out:
        notes.append(f"the oldest {left_out} rows of the longest series are not used")
    return notes


def _listed(names: Sequence[str | int]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def check_named(protocol: Protocol, options: Mapping[str, Any], *, refit: bool) -> None:
    """Refuse options that have no effect on a combination (UsageError).

    Args:
        protocol: that was asked for; only its lookback and split are looked at.
        options: of the model, set by the user.
        refit: whether closed forms are to be refitted on all rows, as by default.
    """
    given = {"--lookback": protocol.lookback, "--split": protocol.split, "--no-refit": not refit}
    useless = [name for name, value in given.items() if value] + ["--set"] * bool(options)
    if useless:
        raise UsageError(
            f"{useless[0]} has no effect on the combination, which chooses by rolling origins inside the history",
            "Leave it out, or name another model.",
        )


def bands(
    made: Combination, levels: Sequence[float], panel: Panel
) -> dict[str, Float[np.ndarray, "series horizon channel"]]:
    """Point forecasts and intervals by the name of their column.

    Args:
        made: the combination.
        levels: coverage of the intervals, in percent.
        panel: the data that it forecasts.

    Raises:
        DataError: if intervals are asked for and no rolling origin lies inside the history.
        UsageError: if a level is no percentage.
    """
    shape = len(panel.series), len(panel.channels), -1
    columns = {COMBINATION: made.point}
    for level in levels:
        check_level(level)
        if not made.origins:
            raise DataError(
                f"{panel.name} is too short for intervals: no step can be forecast from inside its history",
                "Leave --level out, or give more rows.",
            )
        low, high = made.interval(level)
        columns |= {f"{COMBINATION}-lo-{level:g}": low, f"{COMBINATION}-hi-{level:g}": high}
    return {name: values.reshape(shape).transpose(0, 2, 1) for name, values in columns.items()}
