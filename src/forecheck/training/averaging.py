"""Weight averaging: the mean of what a model was over the last steps of training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightMean:
    r"""Mean of a model's weights over steps, one added at a time.

    .. math:: \bar\theta_n = \bar\theta_{n-1} + (\theta_n - \bar\theta_{n-1}) / n

    Buffers are averaged like weights, so batch norms get the mean of their running statistics. Where the learning rate
    falls that forecasts as well as statistics of the mean weights, which take a pass more: `benchmarks/averaging.py`.

    Args:
        tensors: :math:`\bar\theta_n`, to go on with; copied.
        count: n.

    Source: Izmailov et al. 2018 (arXiv 1803.05407), algorithm 1, with a step as cycle.
    """

    def __init__(self, tensors: Mapping[str, Tensor] | None = None, count: int = 0) -> None:
        self.tensors = {name: value.clone() for name, value in (tensors or {}).items()}
        self.count = count

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Add the weights as they are; whole numbers, such as counts of batches, are the last ones."""
        self.count += 1
        for name, value in model.state_dict().items():
            if value.is_floating_point() and name in self.tensors:
                self.tensors[name].lerp_(value, 1 / self.count)
            else:
                self.tensors[name] = value.clone()
