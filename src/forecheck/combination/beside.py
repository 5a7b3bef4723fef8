"""The combination of a panel with all that stands beside its channels."""

from __future__ import annotations

from forecheck.combination.combine import Combination, Progress, combine
from forecheck.combination.features import past_columns, raw_columns
from forecheck.combination.known import combine_known
from forecheck.combination.past import with_past
from forecheck.combination.ragged import Ragged
from forecheck.data.covariates import Covariates
from forecheck.data.panel import Panel
from forecheck.progress import within

_BEFORE = 0.8
"""Share of the work that is done when past columns are tried."""


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
    first = progress if beside.lagged is None else within(progress, 0.0, _BEFORE)
    if beside.known or beside.calendar:
        raw = raw_columns(panel, beside, horizon, width)
        made = combine_known(batch, raw, channels, horizon, seasons, first)
    else:
        made = combine(batch, horizon, seasons, first)
    if beside.lagged is None:
        return made
    raw = past_columns(panel, beside, horizon, width)
    return with_past(made, batch, raw, channels, seasons, within(progress, _BEFORE, 1.0))
