"""Scores: errors standardised by series and phase of the season, of every channel and of all of them together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.detection.rows import Rows
from forecheck.anomaly.detection.spread import Method, spread

_ENOUGH = 20
"""Errors from which a series' own spread is taken; of fewer that of all series."""
_PSEUDO = 8.0
"""Errors with the usual spread that every phase of the season is given."""
_CLIPPED = 3.0
"""Largest standardised error that counts for correlations."""


@dataclass(frozen=True, eq=False)
class Scoring:
    r"""How errors become scores.

    .. math:: r_{t,c} = \frac{e_{t,c} - m_{\phi(t)}}{s_{\phi(t)}}, \qquad
        \text{score}_{t,c} = |r_{t,c}|, \qquad \text{joint}_t = \sqrt{r_t^\top R^{-1} r_t / C}

    with centre and scale of the errors of the series and of the phase of the season, and the correlation R of the
    channels' errors. Where channels are missing the joint score is that of the others.

    Attributes:
        centre, scale: by series, phase and channel.
        correlation: R, shrunk towards the identity.
    """

    centre: Float[np.ndarray, "series phase channel"]
    scale: Float[np.ndarray, "series phase channel"]
    correlation: Float[np.ndarray, "channel channel"]

    def standardised(self, rows: Rows, errors: Float[np.ndarray, "time channel"]) -> Float[np.ndarray, "time channel"]:
        """Signed standardised errors."""
        place = self.place(rows)
        return (errors - self.centre[place]) / self.scale[place]

    def scores(self, rows: Rows, errors: Float[np.ndarray, "time channel"]) -> Float[np.ndarray, "time stream"]:
        """Scores of every channel and, if there are several, last the joint one; NaN where there is none."""
        signed = self.standardised(rows, errors)
        if signed.shape[1] == 1:
            return np.abs(signed)
        return np.concatenate([np.abs(signed), _joint(signed, self.correlation)[:, None]], axis=1)

    def place(self, rows: Rows) -> tuple[Int[np.ndarray, " time"], Int[np.ndarray, " time"]]:
        """Series and phase of every row, as `centre` and `scale` are indexed."""
        return np.repeat(rows.series, np.diff(rows.offsets)), rows.phase


def fit_scoring(
    rows: Rows, errors: Float[np.ndarray, "time channel"], series: int, period: int, method: Method
) -> Scoring:
    """Spread and correlation of errors that are neither calibrated by nor scored.

    Args:
        rows: the data.
        errors: of the rows to take them from, NaN elsewhere.
        series: of the fit.
        period: steps a season; each phase's spread is shrunk to that of the series by eight pseudo-errors.
        method: `robust` or `standardised`.
    """
    channels = errors.shape[1]
    centre, scale = np.zeros((2, series, period, channels))
    for channel in range(channels):
        column = errors[:, channel]
        seen = ~np.isnan(column)
        pooled = spread(column[seen], method) if seen.any() else (0.0, 1.0)
        centre[:, :, channel], scale[:, :, channel] = pooled
        for place, start, end in zip(rows.series, rows.offsets[:-1], rows.offsets[1:], strict=True):
            part, phase = column[start:end][seen[start:end]], rows.phase[start:end][seen[start:end]]
            if len(part) < _ENOUGH:
                continue
            own = spread(part, method)
            centre[place, :, channel], scale[place, :, channel] = own
            for each in np.unique(phase) if period > 1 else ():
                some = part[phase == each]
                share = len(some) / (len(some) + _PSEUDO)
                mixed = share * np.array(spread(some, method)) + (1 - share) * np.array(own)
                centre[place, each, channel], scale[place, each, channel] = mixed
    scoring = Scoring(centre, scale, np.eye(channels))
    if channels == 1:
        return scoring
    return Scoring(centre, scale, _correlation(scoring.standardised(rows, errors)))


def _correlation(signed: Float[np.ndarray, "time channel"]) -> Float[np.ndarray, "channel channel"]:
    """Correlation of clipped errors, shrunk to none by as many pseudo-rows as there are channels."""
    channels = signed.shape[1]
    whole = np.clip(signed[~np.isnan(signed).any(axis=1)], -_CLIPPED, _CLIPPED)
    second = whole.T @ whole + channels * np.eye(channels)
    deviation = np.sqrt(np.diag(second))
    return np.asarray(second / np.outer(deviation, deviation))


def _joint(
    signed: Float[np.ndarray, "time channel"], correlation: Float[np.ndarray, "channel channel"]
) -> Float[np.ndarray, " time"]:
    """Mahalanobis distance over the channels that are there, by the root of their number."""
    found = np.full(len(signed), np.nan)
    seen = ~np.isnan(signed)
    for pattern in np.unique(seen, axis=0):
        if not pattern.any():
            continue
        which = (seen == pattern).all(axis=1)
        part = signed[which][:, pattern]
        factor = np.linalg.cholesky(correlation[np.ix_(pattern, pattern)])
        # Not by matrix products: how they round depends on how many rows there are.
        whitened = np.einsum("rc,kc->rk", part, np.linalg.inv(factor))
        found[which] = np.sqrt((whitened**2).sum(axis=1) / pattern.sum())
    return found
