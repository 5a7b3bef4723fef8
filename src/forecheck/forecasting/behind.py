"""What lies behind a forecast, for those who look at it: the data, and how wrong such forecasts were before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from forecheck.combination.combine import Combination
from forecheck.combination.origins import truth_of
from forecheck.combination.ragged import from_panel
from forecheck.data.panel import Panel
from forecheck.statistics.metrics import observed_mean

Units = Float[np.ndarray, " unit"]


@dataclass(frozen=True, eq=False)
class Behind:
    """The data of a forecast, and what is known of its errors; a unit is a channel of a series.

    Attributes:
        panel: the data, series and channels in the order of the forecast.
        period: steps of the season that the model was given; 1 for none.
        measure: what the losses are, as `MASE at 12 rolling origins`; empty if there are none.
        losses: of every unit; NaN where it is not known.
        made: the combination that made it, if one did.
    """

    panel: Panel
    period: int
    measure: str = ""
    losses: Units | None = None
    made: Combination | None = None

    def earlier(self) -> tuple[int, Float[np.ndarray, "unit step"]] | None:
        """What was forecast from the last rolling origin, in the units of the data; NaN where nothing was observed.

        Before it, the steps from its first one to the end of the data, that one included. None if it is not known.
        """
        if self.made is None or not self.made.origins:
            return None
        origin, errors = self.made.origins[-1], self.made.errors[-1] * self.made.units[-1][:, None]
        return origin.end, truth_of(from_panel(self.panel), origin) + errors


def behind_combination(made: Combination, panel: Panel, period: int) -> Behind:
    """The mean absolute scaled error of every unit at the rolling origins.

    Args:
        made: the combination.
        panel: the data that it forecasts.
        period: steps a season.
    """
    count = len(made.origins)
    if not count:
        return Behind(panel, period)
    losses = observed_mean(observed_mean(np.abs(made.errors), axis=2), axis=0)
    return Behind(panel, period, f"MASE at {count} rolling origin{'s' * (count > 1)}", losses, made)


def behind_windows(losses: Float[np.ndarray, "series channel"] | None, panel: Panel, period: int) -> Behind:
    """The mean absolute error of every unit on the test part, in standard deviations, where it is known.

    Args:
        losses: mean absolute errors of every series and channel; None where they are not known.
        panel: the data that are forecast.
        period: steps a season.
    """
    if losses is None:
        return Behind(panel, period)
    return Behind(panel, period, "MAE on the test part, in standard deviations", losses.reshape(-1))
