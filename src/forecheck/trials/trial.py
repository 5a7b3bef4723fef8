"""A trial: everything that decides a result, and nothing else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

RESULTS_VERSION = 1
"""Part of every address; raise it when a change of the code changes results."""


@dataclass(frozen=True)
class Trial:
    """One fit, or one post-hoc edit of a fit, and its score; equal trials have equal addresses.

    Attributes:
        data: fingerprint of the panel.
        split: notation of the split.
        lookback: L.
        horizon: H.
        step: rows between two forecast origins.
        forecaster: name.
        config: all its options, defaults included.
        period: season of the task.
        seed: of all random streams.
        edit: the intervention (`Edit.to_dict`), or None for the raw forecaster.
        posthoc: the edit is made on the trained raw forecaster instead of before training.
    """

    data: str
    split: str
    lookback: int
    horizon: int
    forecaster: str
    config: dict[str, Any] = field(default_factory=dict)
    period: int = 1
    step: int = 1
    seed: int = 0
    edit: dict[str, Any] | None = None
    posthoc: bool = False

    @property
    def address(self) -> str:
        """SHA-256 of the canonical description."""
        text = json.dumps(asdict(self) | {"version": RESULTS_VERSION}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def parent(self) -> Trial | None:
        """The fit whose checkpoint a post-hoc trial edits."""
        return replace(self, edit=None, posthoc=False) if self.posthoc else None

    @property
    def label(self) -> str:
        """What a person calls it."""
        if self.edit is None:
            return f"{self.forecaster}, seed {self.seed}"
        return f"{self.forecaster} {'edited' if self.posthoc else 'retrained'} to {self.edit['mode']}, seed {self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)
