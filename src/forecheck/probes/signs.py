"""Signs: how often the target turns against the last value or the last step, and what a forecaster loses there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.probes.case import Case, Measured, batches, number, numbers, spread

_WINDOWS = 1024
VIEWS = ("level", "difference")


@torch.no_grad()
def signs(case: Case) -> Measured:
    r"""Sign-inconsistent steps of test windows, and losses split by them, for every step h of the horizon.

    Two views: `level`, :math:`x_L y_h < 0` in values standardised by the training rows, and `difference`,
    :math:`(x_L - x_{L-1}) (y_h - x_L) < 0`. A z-scored level rarely turns over, so the share is the first thing to
    read. Products of exactly 0 (values that repeat) are in neither class. Besides the forecaster's loss stand those
    of the last value and of zero: labels of one class can be small, so losses compare within a class only.

    Returns:
        Summary: per view `share`, `first_step_share`, `ties` and `mse` per class and predictor (None where a class is
        empty). Arrays: `{view}_share` (horizon) and `{view}_{class}_mse` (horizon), NaN where a class is empty.

    Source: Ke et al., Curse of Attention, section 6 (sign-inconsistent next-step prediction); the second view is ours.
    """
    test = case.experiment.test
    if test.lookback < 2:
        return {"why_not": "windows of one step have no last difference"}, {}
    index = spread(test, _WINDOWS)
    sums = {view: _Split(test.horizon) for view in VIEWS}
    for x, y in batches(test, index):
        last = x[:, -1:]
        errors = torch.stack([case.forecaster.predict(x) - y, last - y, -y]).double().square()
        errors = errors.nan_to_num()  # of targets that were never observed, which are in neither class
        sums["level"].add(last.double() * y.double(), errors)
        sums["difference"].add((last - x[:, -2:-1]).double() * (y - last).double(), errors)
    summary: dict[str, Any] = {"windows": len(index)}
    arrays: dict[str, np.ndarray[Any, np.dtype[Any]]] = {}
    for view, each in sums.items():
        summary[view] = each.summary()
        arrays[f"{view}_share"] = each.share.numpy()
        for name, losses in zip(_Split.CLASSES, each.losses[:, 0], strict=True):
            arrays[f"{view}_{name}_mse"] = losses.numpy()
    return summary, arrays


class _Split:
    """Counts and squared errors of both classes by step of the horizon."""

    CLASSES = ("inconsistent", "consistent")
    PREDICTORS = ("forecaster", "last", "zero")

    def __init__(self, horizon: int) -> None:
        self.all = 0
        self.counts = torch.zeros(2, horizon, dtype=torch.float64)
        self.errors = torch.zeros(2, 3, horizon, dtype=torch.float64)

    def add(
        self, product: Float[Tensor, "batch horizon channel"], errors: Float[Tensor, "3 batch horizon channel"]
    ) -> None:
        """Take in a batch."""
        self.all += int((~torch.isnan(product)).sum())
        for i, members in enumerate((product < 0, product > 0)):
            self.counts[i] += members.sum(dim=(0, 2))
            self.errors[i] += (errors * members).sum(dim=(1, 3))

    @property
    def share(self) -> Float[Tensor, " horizon"]:
        """Share of inconsistent steps among those with a sign; NaN if there are none."""
        return self.counts[0] / self.counts.sum(dim=0)

    @property
    def losses(self) -> Float[Tensor, "2 3 horizon"]:
        """Mean squared error by class, predictor and step; NaN where a class is empty."""
        return self.errors / self.counts[:, None]

    def summary(self) -> dict[str, Any]:
        """What was counted, as JSON types."""
        means = self.errors.sum(dim=2) / self.counts.sum(dim=1)[:, None]
        return {
            "share": number(self.counts[0].sum() / self.counts.sum()),
            "first_step_share": number(self.share[0]),
            "ties": number(1 - self.counts.sum() / self.all),
            "mse": {
                name: dict(zip(self.PREDICTORS, numbers(row), strict=True))
                for name, row in zip(self.CLASSES, means, strict=True)
            },
        }
