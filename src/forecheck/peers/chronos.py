"""Pretrained models of chronos, as they are: their median from the last steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecheck.errors import UsageError
from forecheck.peers.base import Forecasts, History, Peer

_CONTEXT = 2048
_BATCH = 64


class ChronosPeer(Peer):
    """`chronos:FOLDER` or `chronos:amazon/chronos-bolt-small`; nothing is fitted to the data.

    What it was trained on may hold the very series that it is tried on.
    """

    library = "chronos"

    def fit(self, histories: Sequence[History]) -> None:
        """Load the weights; nothing else.

        Raises:
            UsageError: if they cannot be loaded.
        """
        from chronos import BaseChronosPipeline

        try:
            self._pipeline = BaseChronosPipeline.from_pretrained(self.model, **self.options)
        except Exception as error:
            raise UsageError(
                f"chronos cannot load {self.model}: {type(error).__name__}: {str(error)[:200]}",
                "Give a folder with its weights, or a name that can be downloaded.",
            ) from error

    def forecast(self, histories: Sequence[History]) -> Forecasts:
        """The median from the last 2048 steps."""
        import torch

        parts = []
        for first in range(0, len(histories), _BATCH):
            context = [torch.tensor(each.values[-_CONTEXT:]).float() for each in histories[first : first + _BATCH]]
            quantiles, _ = self._pipeline.predict_quantiles(
                context, prediction_length=self.task.horizon, quantile_levels=[0.5]
            )
            parts.append(torch.stack(list(quantiles)).reshape(len(context), self.task.horizon).double().numpy())
        return np.concatenate(parts)
