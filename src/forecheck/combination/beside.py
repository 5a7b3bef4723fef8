"""The combination of a panel with all that stands beside its channels."""

from __future__ import annotations

from forecheck.combination.combine import Combination, Progress, combine
from forecheck.combination.features import past_columns, raw_columns
from forecheck.combination.known import combine_known
from forecheck.combination.past import with_past
from forecheck.combination.ragged import Ragged
from forecheck.data.covariates import Covariates
from forecheck.data.panel import Panel


def combine_beside(
    panel: Panel,
    beside: Covariates,
    batch: Ragged,
    horizon: int,
    seasons: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Combination:
    """The combination with known and with past columns, each where rolling origins say that they help.

    Args:
        panel: the data.
        beside: its covariates, with all steps of the horizon.
        batch: its channels within series.
        horizon: H.
        seasons: steps of the seasons that are known, the shortest first.
        progress: as for `combine`.
    """
    width, channels = batch.values.shape[1], len(panel.channels)
    if beside.known or beside.calendar:
        raw = raw_columns(panel, beside, horizon, width)
        made = combine_known(batch, raw, channels, horizon, seasons, progress)
    else:
        made = combine(batch, horizon, seasons, progress)
    if beside.lagged is None:
        return made
    return with_past(made, batch, past_columns(panel, beside, horizon, width), channels, seasons, progress)
