"""Squared error against targets of which some were never observed."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def squared_error(
    forecast: Float[Tensor, "batch horizon channel"], target: Float[Tensor, "batch horizon channel"]
) -> Float[Tensor, ""]:
    r"""Mean squared error over the targets that were observed.

    .. math:: \frac{1}{|O|} \sum_{i \in O} (\hat y_i - y_i)^2, \qquad O = \{i : y_i \text{ is not NaN}\}

    Args:
        forecast: in the units of the target.
        target: NaN where nothing was observed.

    Returns:
        Zero, with a gradient of zero, where nothing at all was observed.
    """
    unseen = torch.isnan(target)
    if not bool(unseen.any()):
        return nn.functional.mse_loss(forecast, target)
    # The forecast stands in for what is not known: its error is zero and so is its gradient.
    known = torch.where(unseen, forecast.detach(), target)
    seen = int((~unseen).sum())
    return nn.functional.mse_loss(forecast, known, reduction="sum") / max(seen, 1)
